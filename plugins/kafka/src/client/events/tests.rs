use std::sync::{Mutex, Once};

use rdkafka::{ClientConfig, producer::BaseProducer, types::RDKafkaErrorCode as Code};

use super::*;

const SECRET: &str = "hunter2-hunter2";

static LOGGED: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Logger;

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let fields = record.key_values().count();
        let line = format!("{} {} {fields}", record.level(), record.args());
        LOGGED.lock().unwrap().push(line);
    }

    fn flush(&self) {}
}

fn events() -> ProducerEvents {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Logger).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
    });
    let mut properties = Properties::default();
    properties.set("sasl.password", SECRET.to_owned());
    ProducerEvents::new(properties)
}

fn logged(part: &str) -> Vec<String> {
    let logged = LOGGED.lock().unwrap();
    logged
        .iter()
        .filter(|line| line.contains(part))
        .cloned()
        .collect()
}

#[test]
fn the_log_of_librdkafka_contains_no_secret() {
    let text = format!("login as u with {SECRET} failed");
    events().log(RDKafkaLogLevel::Error, "SASL", &text);
    let expected = "WARN librdkafka: SASL: login as u with *** failed 0";
    assert_eq!(logged("login as u"), [expected]);
}

#[test]
fn a_warning_that_lasts_is_a_warning_once() {
    let events = events();
    for _ in 0..3 {
        events.log(RDKafkaLogLevel::Error, "FAIL", "broker 7 is away");
    }
    events.log(RDKafkaLogLevel::Warning, "CONFWARN", "broker 7 is away");
    let levels: Vec<_> = logged("broker 7 is away")
        .iter()
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(levels, ["WARN", "DEBUG", "DEBUG", "WARN"]);
}

#[test]
fn an_outage_ends_with_a_delivery_after_a_quiet_time() {
    let (start, mut outage) = (Instant::now(), Outage::default());
    assert!(outage.is_first("FAIL", start));
    // Of several brokers one is away: messages to the others are delivered.
    outage.on_delivery(start + QUIET / 4);
    assert!(!outage.is_first("FAIL", start + QUIET / 4));
    assert!(!outage.is_first("FAIL", start + QUIET * 9));
    outage.on_delivery(start + QUIET * 11);
    assert!(outage.is_first("FAIL", start + QUIET * 12));
}

#[test]
fn the_settings_that_librdkafka_logs_contain_no_secret() {
    let mut config = ClientConfig::new();
    config.set_log_level(RDKafkaLogLevel::Debug);
    config
        .set("debug", "all")
        .set("bootstrap.servers", "127.0.0.1:1");
    config
        .set("security.protocol", "sasl_plaintext")
        .set("sasl.mechanism", "PLAIN");
    config
        .set("sasl.username", "u")
        .set("sasl.password", SECRET);
    let producer: BaseProducer<ProducerEvents> = config.create_with_context(events()).unwrap();
    producer.poll(Duration::from_millis(200));
    assert!(!logged("sasl.username").is_empty());
    assert_eq!(logged(SECRET), [""; 0]);
}

#[test]
fn the_reason_of_an_error_contains_no_secret() {
    let events = events();
    let reason = format!("wrong password {SECRET}");
    events.error(KafkaError::Global(Code::Authentication), &reason);
    let error = SendError::new(SendErrorKind::Unauthorized, "wrong password ***");
    assert_eq!(events.last_error(), Some(error.clone()));
    // The event about all brokers does not replace the reason.
    events.error(
        KafkaError::Global(Code::AllBrokersDown),
        "1/1 brokers are down",
    );
    assert_eq!(events.last_error(), Some(error.clone()));
    assert_eq!(events.take_operator_error(), Some(error));
    assert_eq!(events.take_operator_error(), None);
}
