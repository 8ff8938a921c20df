//! The settings, from `[exporter.NAME.config]`.
//!
//! Promises: all mistakes are reported at once, each with its key and a remedy; a bad
//! value never falls back to a default; no mistake shows the password.

use std::marker::PhantomData;

use delfin_plugin_api::{
    message::{MessageConfig, MessageRules, MessageSettings, WrittenMessages},
    setting::{ConfigError, Mistakes, Secret},
    stream::Address,
    template::TemplateRules,
    tls::Tls,
};
use serde::Deserialize;
use serde_json::Value;

use crate::{client::MqttClient, encode::MqttBatch};

const PORT: u16 = 1883;
const TLS_PORT: u16 = 8883;
/// Below what hosted brokers accept: 128 KiB and more.
const DEFAULT_BYTES: usize = 100_000;
const MAX_TOPIC: usize = 1024;

/// What MQTT allows in a topic. Slashes separate its levels, so a value has none.
const TOPIC: TemplateRules = TemplateRules {
    character: |c| (!c.is_control() && !matches!(c, '/' | '+' | '#')).then_some(c),
    // A level can be empty, but few tools show it.
    empty: "_",
    max_value_bytes: 255,
    check: |topic| {
        if topic.contains(|c: char| c.is_control() || matches!(c, '+' | '#')) {
            return Err(
                "a topic has no `+`, `#` or control character (write `delfin/{storage_id}`)",
            );
        }
        if topic.starts_with('$') || topic.len() > MAX_TOPIC {
            return Err("it begins with `$`, or is longer than 1024 bytes");
        }
        Ok(())
    },
};

/// Checked settings of an exporter of batches `B`.
#[derive(Debug, Deserialize)]
#[serde(try_from = "RawSettings", bound = "B: MqttBatch")]
pub(crate) struct Config<B> {
    pub(crate) connection: BrokerConfig,
    pub(crate) messages: MessageSettings,
    batches: PhantomData<fn(B)>,
}

#[derive(Debug)]
pub(crate) struct BrokerConfig {
    pub(crate) address: Address,
    /// Empty: the broker chooses one.
    pub(crate) client_id: String,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Secret>,
    pub(crate) retain: bool,
    /// `None`: connections without TLS.
    pub(crate) tls: Option<Tls>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSettings {
    address: Option<Value>,
    topic: Option<Value>,
    retain: Option<Value>,
    message_format: Option<Value>,
    message_rows: Option<Value>,
    message_bytes: Option<Value>,
    client_id: Option<Value>,
    username: Option<Value>,
    password: Option<Value>,
    tls: Option<Value>,
    ca_certificate: Option<Value>,
    client_certificate: Option<Value>,
    client_key: Option<Value>,
}

impl<B: MqttBatch> MessageConfig for Config<B> {
    type Batch = B;
    type Client = MqttClient;

    fn into_parts(self) -> (BrokerConfig, MessageSettings) {
        (self.connection, self.messages)
    }
}

impl<B: MqttBatch> TryFrom<RawSettings> for Config<B> {
    type Error = ConfigError;

    fn try_from(written: RawSettings) -> Result<Self, ConfigError> {
        let mut mistakes = Mistakes::default();
        let certificates = [
            written.ca_certificate,
            written.client_certificate,
            written.client_key,
        ];
        let tls = Tls::read_optional(written.tls, certificates, &mut mistakes);
        let port = if tls.is_some() { TLS_PORT } else { PORT };
        let address = Address::read("address", written.address, port, &mut mistakes);
        let messages = WrittenMessages {
            name: written.topic,
            format: written.message_format,
            rows: written.message_rows,
            bytes: written.message_bytes,
        };
        let rules = MessageRules {
            key: "topic",
            default: B::TOPIC,
            bytes: DEFAULT_BYTES,
            template: TOPIC,
        };
        let messages = MessageSettings::read::<B>(messages, &rules, &mut mistakes);
        let retain = mistakes.flag("retain", written.retain);
        let client_id = mistakes.text("client_id", written.client_id);
        let username = mistakes.text("username", written.username);
        let password = mistakes.secret("password", written.password);
        if password.is_some() && username.is_none() {
            mistakes.missing("username", "it comes with `password`");
        }
        let Some(address) = address else {
            return Err(mistakes.into());
        };
        mistakes.into_result(Self {
            connection: BrokerConfig {
                address,
                client_id: client_id.unwrap_or_default(),
                username,
                password,
                retain,
                tls,
            },
            messages,
            batches: PhantomData,
        })
    }
}

#[cfg(test)]
mod tests {
    use delfin_plugin_api::{AlertBatch, PerformanceBatch};
    use serde_json::json;

    use super::*;

    fn read(config: Value) -> Result<Config<AlertBatch>, String> {
        serde_json::from_value(config).map_err(|error: serde_json::Error| error.to_string())
    }

    #[test]
    fn the_port_is_that_of_tls_unless_it_is_off() {
        let address = |config: Value| read(config).unwrap().connection.address.to_string();
        assert_eq!(address(json!({ "address": "a" })), "a:8883");
        assert_eq!(address(json!({ "address": "a", "tls": false })), "a:1883");
    }

    #[test]
    fn every_mistake_is_reported_with_its_remedy() {
        let check = |key: &str, value: Value, reason: &str| {
            let mut config = json!({ "address": "a" });
            config[key] = value;
            let mistakes = read(config).unwrap_err();
            assert!(mistakes.contains(reason), "{mistakes}");
            assert!(!mistakes.contains("hunter2"), "{mistakes}");
        };
        let missing = read(json!({})).unwrap_err();
        assert!(missing.starts_with("`address` is missing"), "{missing}");
        for bad in ["a/#", "+/a", "a\n", "$SYS/a", "{storage_id}/+"] {
            check("topic", json!(bad), "`topic` cannot be");
        }
        check("topic", json!("{unit}"), "`{unit}` is not a placeholder");
        check("retain", json!("yes"), "write true or false");
        check("password", json!("hunter2"), "`username` is missing");
        check("password", json!(["hunter2"]), "has a wrong value");
        check("message_format", json!("delfin"), "write `json` or `arrow`");
        check("qos", json!(2), "unknown field `qos`");
    }

    #[test]
    fn the_example_shows_the_defaults() {
        let example: Value = toml::from_str(include_str!("../example.toml")).unwrap();
        let shown = &example["exporter"]["PerformanceExporterMqtt"]["config"];
        let show = |config: &Value| {
            let config: Config<PerformanceBatch> = serde_json::from_value(config.clone()).unwrap();
            format!("{config:?}")
        };
        assert_eq!(show(shown), show(&json!({ "address": shown["address"] })));
    }
}
