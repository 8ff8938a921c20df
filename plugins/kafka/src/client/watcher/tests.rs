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
        let line = format!("{} {:?}", record.args(), record.key_values().count());
        LOGGED.lock().unwrap().push(line);
    }

    fn flush(&self) {}
}

fn watcher() -> Watcher {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Logger).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
    });
    let mut secrets = Secrets::default();
    secrets.add(SECRET);
    Watcher::new(secrets)
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
fn librdkafkas_log_comes_out_without_the_secrets() {
    let text = format!("login as u with {SECRET} failed");
    watcher().log(RDKafkaLogLevel::Error, "SASL", &text);
    let expected = "librdkafka: SASL: login as u with *** failed 0";
    assert_eq!(logged("login as u"), [expected]);
}

#[test]
fn librdkafkas_own_account_of_its_settings_shows_no_secret() {
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
    let producer: BaseProducer<Watcher> = config.create_with_context(watcher()).unwrap();
    producer.poll(std::time::Duration::from_millis(200));
    assert!(!logged("sasl.username").is_empty());
    assert_eq!(logged(SECRET), [""; 0]);
}

#[test]
fn the_reason_of_an_error_is_kept_without_the_secrets() {
    let watcher = watcher();
    let reason = format!("wrong password {SECRET}");
    watcher.error(KafkaError::Global(Code::Authentication), &reason);
    let trouble = Trouble::new(Kind::Unauthorized, "wrong password ***");
    assert_eq!(watcher.last(), Some(trouble.clone()));
    // That all brokers are down says less than why.
    watcher.error(
        KafkaError::Global(Code::AllBrokersDown),
        "1/1 brokers are down",
    );
    assert_eq!(watcher.last(), Some(trouble.clone()));
    assert_eq!(watcher.take_lasting(), Some(trouble));
    assert_eq!(watcher.take_lasting(), None);
}
