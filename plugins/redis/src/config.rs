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

use crate::{client::RedisClient, encode::RedisBatch};

const MAX_LENGTH: &str = "write a whole number; 0 keeps all messages";
const DATABASE: &str = "write the number of a database";
const PORT: u16 = 6379;
const DEFAULT_BYTES: usize = 500_000;
const DEFAULT_MAX_LENGTH: u64 = 1_000_000;

/// Redis allows everything in the name of a stream. Control characters are hard to type.
const STREAM: TemplateRules = TemplateRules {
    character: |c| (!c.is_control()).then_some(c),
    empty: "_",
    max_value_bytes: 255,
    check: |stream| {
        if stream.contains(char::is_control) {
            return Err("it has a control character");
        }
        Ok(())
    },
};

/// Checked settings of an exporter of batches `B`.
#[derive(Debug, Deserialize)]
#[serde(try_from = "RawSettings", bound = "B: RedisBatch")]
pub(crate) struct Config<B> {
    pub(crate) connection: RedisConfig,
    pub(crate) messages: MessageSettings,
    batches: PhantomData<fn(B)>,
}

#[derive(Debug)]
pub(crate) struct RedisConfig {
    pub(crate) address: Address,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Secret>,
    pub(crate) database: u64,
    /// 0: streams grow without a limit.
    pub(crate) max_length: u64,
    /// `None`: connections without TLS.
    pub(crate) tls: Option<Tls>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSettings {
    address: Option<Value>,
    stream: Option<Value>,
    max_length: Option<Value>,
    message_format: Option<Value>,
    message_rows: Option<Value>,
    message_bytes: Option<Value>,
    database: Option<Value>,
    username: Option<Value>,
    password: Option<Value>,
    tls: Option<Value>,
    ca_certificate: Option<Value>,
    client_certificate: Option<Value>,
    client_key: Option<Value>,
}

impl<B: RedisBatch> MessageConfig for Config<B> {
    type Batch = B;
    type Client = RedisClient;

    fn into_parts(self) -> (RedisConfig, MessageSettings) {
        (self.connection, self.messages)
    }
}

impl<B: RedisBatch> TryFrom<RawSettings> for Config<B> {
    type Error = ConfigError;

    fn try_from(written: RawSettings) -> Result<Self, ConfigError> {
        let mut mistakes = Mistakes::default();
        let address = Address::read("address", written.address, PORT, &mut mistakes);
        let messages = WrittenMessages {
            name: written.stream,
            format: written.message_format,
            rows: written.message_rows,
            bytes: written.message_bytes,
        };
        let rules = MessageRules {
            key: "stream",
            default: B::STREAM,
            bytes: DEFAULT_BYTES,
            template: STREAM,
        };
        let messages = MessageSettings::read::<B>(messages, &rules, &mut mistakes);
        let max_length = mistakes.read("max_length", written.max_length, Value::as_u64, MAX_LENGTH);
        let database = mistakes.read("database", written.database, Value::as_u64, DATABASE);
        let username = mistakes.text("username", written.username);
        let password = mistakes.secret("password", written.password);
        if username.is_some() && password.is_none() {
            mistakes.missing("password", "it comes with `username`");
        }
        let certificates = [
            written.ca_certificate,
            written.client_certificate,
            written.client_key,
        ];
        let tls = Tls::read_optional(written.tls, certificates, &mut mistakes);
        let Some(address) = address else {
            return Err(mistakes.into());
        };
        mistakes.into_result(Self {
            connection: RedisConfig {
                address,
                username,
                password,
                database: database.unwrap_or_default(),
                max_length: max_length.unwrap_or(DEFAULT_MAX_LENGTH),
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
        check("stream", json!("a\nb"), "it has a control character");
        check("stream", json!("{unit}"), "`{unit}` is not a placeholder");
        check("max_length", json!(-1), MAX_LENGTH);
        check("database", json!("one"), DATABASE);
        check("username", json!("u"), "`password` is missing");
        check("password", json!(["hunter2"]), "has a wrong value");
        check("message_format", json!("delfin"), "write `json` or `arrow`");
        check("url", json!("redis://a"), "unknown field `url`");
    }

    #[test]
    fn the_example_shows_the_defaults() {
        let example: Value = toml::from_str(include_str!("../example.toml")).unwrap();
        let shown = &example["exporter"]["PerformanceExporterRedis"]["config"];
        let show = |config: &Value| {
            let config: Config<PerformanceBatch> = serde_json::from_value(config.clone()).unwrap();
            format!("{config:?}")
        };
        assert_eq!(show(shown), show(&json!({ "address": shown["address"] })));
    }
}
