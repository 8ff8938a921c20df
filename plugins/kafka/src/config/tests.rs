use delfin_plugin_api::{AlertBatch, PerformanceBatch};
use serde_json::json;

use super::*;

fn read<B: KafkaBatch>(config: Value) -> Result<Config<B>, String> {
    serde_json::from_value(config).map_err(|error: serde_json::Error| error.to_string())
}

fn performance(config: Value) -> Result<Config<PerformanceBatch>, String> {
    read(config)
}

/// A property of librdkafka, or the mistakes.
fn property_of(config: Value, key: &str) -> Result<Option<String>, String> {
    let config = performance(config)?;
    let mut properties = config.properties.iter();
    let found = properties.find(|(name, _)| *name == key);
    Ok(found.map(|(_, value)| value.to_owned()))
}

fn check(config: Value, key: &str, expected: &str) {
    let found = property_of(config.clone(), key);
    assert_eq!(found, Ok(Some(expected.to_owned())), "{config}");
}

fn refused(config: Value) -> String {
    performance(config).unwrap_err()
}

#[test]
fn the_defaults_are_those_of_delfin() {
    let config = performance(json!({})).unwrap();
    assert_eq!(config.topic, "delfin-kafka");
    assert_eq!(config.format, MessageFormat::Delfin);
    check(json!({}), "bootstrap.servers", "localhost:9092");
    let alerts: Config<AlertBatch> = read(json!({})).unwrap();
    assert_eq!(alerts.topic, "delfin-alerts");
    assert_eq!(
        (alerts.format, alerts.limits.rows),
        (MessageFormat::Json, 1)
    );
}

#[test]
fn the_names_of_delfin_are_accepted() {
    let config = json!({ "kafka_topic_name": "t", "kafka_ip": "10.0.0.1", "kafka_port": "9093" });
    assert_eq!(performance(config.clone()).unwrap().topic, "t");
    check(config, "bootstrap.servers", "10.0.0.1:9093");
    check(
        json!({ "kafka_ip": "::1" }),
        "bootstrap.servers",
        "[::1]:9092",
    );
    check(
        json!({ "kafka_port": 1 }),
        "bootstrap.servers",
        "localhost:1",
    );
}

#[test]
fn brokers_are_text_or_a_list() {
    let (key, expected) = ("bootstrap.servers", "a:1,b:2");
    check(json!({ "bootstrap_servers": "a:1, b:2" }), key, expected);
    check(
        json!({ "bootstrap_servers": ["a:1", "b:2"] }),
        key,
        expected,
    );
    for bad in [
        json!(""),
        json!("a:1,,b:2"),
        json!([]),
        json!([1]),
        json!("a b"),
    ] {
        assert!(
            performance(json!({ "bootstrap_servers": bad })).is_err(),
            "{bad}"
        );
    }
}

#[test]
fn properties_that_the_guarantees_need_are_set_and_cannot_be_overridden() {
    check(json!({}), "enable.idempotence", "true");
    check(json!({}), "acks", "all");
    check(json!({}), "message.timeout.ms", "0");
    for key in [
        "acks",
        "enable.idempotence",
        "message.timeout.ms",
        "delivery.report.only.error",
    ] {
        let mistake = refused(json!({ "librdkafka": { key: "0" } }));
        let expected = format!("`librdkafka.{key}` cannot be set (");
        assert!(mistake.starts_with(&expected), "{mistake}");
    }
}

#[test]
fn any_other_property_goes_to_librdkafka() {
    let table = json!({ "librdkafka": {
        "socket.keepalive.enable": true,
        "client.id": "rack-7",
        "metadata.max.age.ms": 60_000,
    } });
    check(table.clone(), "socket.keepalive.enable", "true");
    check(table.clone(), "client.id", "rack-7");
    check(table, "metadata.max.age.ms", "60000");
}

#[test]
fn tls_and_sasl_set_the_security_protocol() {
    let protocol = "security.protocol";
    let sasl = json!({ "mechanism": "SCRAM-SHA-512", "username": "u", "password": "p" });
    assert_eq!(property_of(json!({}), protocol), Ok(None));
    assert_eq!(property_of(json!({ "tls": false }), protocol), Ok(None));
    check(json!({ "tls": true }), protocol, "ssl");
    check(json!({ "sasl": sasl }), protocol, "sasl_plaintext");
    let both = json!({ "tls": { "ca": "/ca.pem", "verify_hostname": false }, "sasl": sasl });
    check(both.clone(), protocol, "sasl_ssl");
    check(both.clone(), "ssl.ca.location", "/ca.pem");
    check(
        both.clone(),
        "ssl.endpoint.identification.algorithm",
        "none",
    );
    check(both, "sasl.password", "p");
}

#[test]
fn the_message_limit_stays_below_that_of_librdkafka() {
    let bytes = |config| performance(config).unwrap().limits.bytes;
    assert_eq!(bytes(json!({})), 500_000);
    let table = json!({ "message.max.bytes": 200_000 });
    assert_eq!(bytes(json!({ "librdkafka": table })), 100_000);
    assert_eq!(
        refused(json!({ "librdkafka": table, "message_bytes": 199_000 })),
        "`message_bytes` cannot be `199000` (stay a tenth below librdkafka's \
         `message.max.bytes`, which is 200000)"
    );
}

#[test]
fn a_message_must_fit_into_the_queue() {
    let mistake = refused(json!({ "librdkafka": { "message.max.bytes": 100_000_000 } }));
    let expected = "`librdkafka.message.max.bytes` cannot be `100000000` (raise ";
    assert!(mistake.starts_with(expected), "{mistake}");
}

#[test]
fn every_mistake_is_reported_with_its_key_its_value_and_the_remedy() {
    let mistakes = refused(json!({
        "topic": "a b",
        "kafka_port": 0,
        "message_format": "xml",
        "message_rows": -1,
        "compression": "rar",
        "linger": 5,
        "tls": { "cert": "x" },
        "sasl": { "mechanism": "GSSAPI", "username": "u" },
    }));
    assert_eq!(
        mistakes,
        "`kafka_port` cannot be `0` (write a number from 1 to 65535); \
         `topic` cannot be `\"a b\"` (write up to 249 of A-Z, a-z, 0-9, `.`, `_` and `-`); \
         `message_format` cannot be `\"xml\"` (write `delfin` or `json` or `arrow`); \
         `compression` cannot be `\"rar\"` (write `none`, `gzip`, `snappy`, `lz4` or `zstd`); \
         `linger` cannot be `5` (write `5ms` or `1s`, at most 60s; 0 to send at once); \
         unknown field `tls.cert`, expected one of `ca`, `certificate`, `key`, `key_password`, \
         `verify_hostname`; \
         `sasl.mechanism` cannot be `\"GSSAPI\"` (write `PLAIN`, `SCRAM-SHA-256` or \
         `SCRAM-SHA-512`); \
         `sasl.password` is missing (write text); \
         `message_rows` cannot be `-1` (write a whole number; 0 for as many as fit, \
         1 for one per message)"
    );
}

#[test]
fn alerts_do_not_have_the_delfin_format() {
    let mistake = read::<AlertBatch>(json!({ "message_format": "delfin" })).unwrap_err();
    let expected = "`message_format` cannot be `\"delfin\"` (write `json` or `arrow`)";
    assert_eq!(mistake, expected);
}

#[test]
fn two_names_for_one_setting_are_refused() {
    let both = refused(json!({ "bootstrap_servers": "a", "kafka_ip": "b" }));
    assert!(
        both.starts_with("`bootstrap_servers` cannot be combined with `kafka_ip`"),
        "{both}"
    );
    let both = refused(json!({ "topic": "a", "kafka_topic_name": "a" }));
    assert!(
        both.starts_with("`topic` cannot be combined with `kafka_topic_name`"),
        "{both}"
    );
}

#[test]
fn a_secret_is_not_printed_and_is_in_no_mistake() {
    let secret = "hunter2";
    let config = json!({
        "tls": { "key_password": secret },
        "sasl": { "mechanism": "PLAIN", "username": "u", "password": secret },
        "librdkafka": { "ssl.key.pem": secret, "sasl.oauthbearer.client.secret": secret },
    });
    let config = performance(config).unwrap();
    assert!(!format!("{config:?}").contains(secret), "{config:?}");
    assert_eq!(config.properties.redactor().redact("x hunter2"), "x ***");
    let mistake = refused(json!({
        "tls": { "key_password": [secret] },
        "sasl": { "mechanism": "PLAIN", "username": "u", "password": [secret] },
        "librdkafka": { "ssl.key.pem": [secret] },
    }));
    assert!(!mistake.contains(secret), "{mistake}");
    let mistake = refused(json!({ "sasl": secret }));
    assert!(!mistake.contains(secret), "{mistake}");
}

#[test]
fn the_example_shows_the_defaults() {
    fn same<B: KafkaBatch + std::fmt::Debug>(example: &Value, exporter: &str) {
        let config = &example["exporter"][exporter]["config"];
        let (shown, default) = (read::<B>(config.clone()), read::<B>(json!({})));
        assert_eq!(format!("{shown:?}"), format!("{default:?}"));
    }
    let example: Value = toml::from_str(include_str!("../../example.toml")).unwrap();
    same::<PerformanceBatch>(&example, "performance-kafka");
    same::<AlertBatch>(&example, "alert-kafka");
}
