//! The settings of a cluster whose journals are on Apache Kafka.

use std::sync::Arc;

use delfin_plugin_api::{
    Failure,
    credentials::is_this_machine,
    setting::{ConfigError, Mistakes, TEXT},
    tls::Tls,
};
use serde_json::{Map, Value};

use super::setting::Setting;
use crate::journal::{KafkaTopics, SaslLogin, SaslMechanism};

const SERVERS: &str = "write `host:9092`, several separated by commas, or a list of them";
const REPLICAS: &str = "write a number from 1 to 100";
const MECHANISM: &str = "write `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`";
const DEFAULT_REPLICAS: i16 = 3;

/// `[cluster.kafka]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaConfig {
    /// `host:port` of some of the brokers.
    bootstrap_servers: Vec<String>,
    /// `None`: connections without TLS.
    tls: Option<Tls>,
    /// `None`: the host does not log in to the brokers.
    sasl: Option<SaslLogin>,
    /// Of the topics that the host creates.
    replicas: i16,
}

const KEYS: [&str; 6] = [
    "bootstrap_servers",
    "replicas",
    "tls",
    "ca_certificate",
    "client_certificate",
    "client_key",
];

const SASL_KEYS: [&str; 3] = ["mechanism", "username", "password"];

impl KafkaConfig {
    /// Reads the settings of these keys.
    fn read(mut written: Map<String, Value>) -> Result<Self, ConfigError> {
        let mut take = |key| written.remove(key);
        let mut mistakes = Mistakes::default();
        let servers = take("bootstrap_servers");
        if servers.is_none() {
            mistakes.missing("bootstrap_servers", SERVERS);
        }
        let servers = mistakes.read("bootstrap_servers", servers, read_servers, SERVERS);
        let replicas = mistakes.read("replicas", take("replicas"), read_replicas, REPLICAS);
        let certificates = ["ca_certificate", "client_certificate", "client_key"].map(&mut take);
        let tls = Tls::read_optional(take("tls"), certificates, &mut mistakes);
        mistakes.into_result(Self {
            bootstrap_servers: servers.unwrap_or_default(),
            tls,
            sasl: None,
            replicas: replicas.unwrap_or(DEFAULT_REPLICAS),
        })
    }

    /// The topics of a cluster.
    ///
    /// # Errors
    ///
    /// A file of a certificate cannot be used.
    pub fn topics(&self, cluster: &str) -> Result<KafkaTopics, Failure> {
        let tls = self.tls.as_ref().map(Tls::config).transpose()?;
        Ok(KafkaTopics {
            bootstrap_servers: self.bootstrap_servers.clone(),
            tls: tls.map(Arc::new),
            sasl: self.sasl.clone(),
            replicas: self.replicas,
            cluster: cluster.to_owned(),
        })
    }

    /// Whether a login crosses a network without TLS.
    fn shows_login(&self) -> bool {
        let is_local = |server: &String| is_this_machine(server);
        self.sasl.is_some() && self.tls.is_none() && !self.bootstrap_servers.iter().all(is_local)
    }

    /// The brokers, for messages.
    #[must_use]
    pub fn servers(&self) -> String {
        self.bootstrap_servers.join(",")
    }
}

/// Reads `[cluster.kafka]`.
pub(super) fn read_kafka(setting: &Setting<'_>) -> Option<KafkaConfig> {
    let mut section = setting.section()?;
    let kafka = section.read_values(KEYS, KafkaConfig::read);
    let sasl = section.take("sasl");
    let login = sasl.as_ref().and_then(read_sasl);
    section.finish();
    let kafka = KafkaConfig {
        sasl: login,
        ..kafka?
    };
    if let (Some(sasl), true) = (sasl, kafka.shows_login()) {
        sasl.warn(
            "others can read what the host sends to brokers of other machines (set `tls`)"
                .to_owned(),
        );
    }
    Some(kafka)
}

fn read_sasl(setting: &Setting<'_>) -> Option<SaslLogin> {
    let mut section = setting.section()?;
    let login = section.read_values(SASL_KEYS, |mut written| {
        let mut mistakes = Mistakes::default();
        let mut take = |key, remedy| {
            let value = written.remove(key);
            if value.is_none() {
                mistakes.missing(key, remedy);
            }
            value
        };
        let mechanism = take("mechanism", MECHANISM);
        let [username, password] = ["username", "password"].map(|key| take(key, TEXT));
        let mechanism = mistakes.read("mechanism", mechanism, read_mechanism, MECHANISM);
        let username = mistakes.text("username", username);
        let password = mistakes.secret("password", password);
        match (mechanism, username, password) {
            (Some(mechanism), Some(username), Some(password)) => mistakes.into_result(SaslLogin {
                mechanism,
                username,
                password,
            }),
            _ => Err(mistakes.into()),
        }
    });
    section.finish();
    login
}

fn read_mechanism(value: &Value) -> Option<SaslMechanism> {
    let name = value.as_str()?;
    let mut all = SaslMechanism::ALL.into_iter();
    all.find(|mechanism| mechanism.as_str() == name)
}

fn read_servers(value: &Value) -> Option<Vec<String>> {
    let servers: Vec<&str> = match value {
        Value::String(text) => text.split(',').map(str::trim).collect(),
        Value::Array(values) => values.iter().map(Value::as_str).collect::<Option<_>>()?,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return None,
    };
    let is_server = |server: &&str| {
        let parts = server.rsplit_once(':');
        parts.is_some_and(|(host, port)| {
            !host.is_empty() && !host.contains(['/', ' ', '@']) && port.parse::<u16>().is_ok()
        })
    };
    let all_are = !servers.is_empty() && servers.iter().all(is_server);
    all_are.then(|| servers.into_iter().map(str::to_owned).collect())
}

fn read_replicas(value: &Value) -> Option<i16> {
    let replicas = i16::try_from(value.as_i64()?).ok()?;
    (1..=100).contains(&replicas).then_some(replicas)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(written: Value) -> Result<KafkaConfig, String> {
        let written = written.as_object().unwrap().clone();
        KafkaConfig::read(written).map_err(|error| error.to_string())
    }

    #[test]
    fn brokers_are_text_or_a_list() {
        let list = read(json!({ "bootstrap_servers": ["a:9092", "[2001:db8::7]:9093"] })).unwrap();
        assert_eq!(list.bootstrap_servers, ["a:9092", "[2001:db8::7]:9093"]);
        assert_eq!((list.replicas, list.tls), (3, Some(Tls::default())));
        let text = read(json!({ "bootstrap_servers": "a:9092, b:9092", "tls": false })).unwrap();
        assert_eq!(text.bootstrap_servers, ["a:9092", "b:9092"]);
        assert_eq!(text.tls, None);
    }

    #[test]
    fn every_mistake_is_reported_with_its_remedy() {
        let mistakes = read(json!({ "bootstrap_servers": "kafka://a", "replicas": 0 }));
        assert_eq!(
            mistakes.unwrap_err(),
            format!(
                "`bootstrap_servers` cannot be `\"kafka://a\"` ({SERVERS}); `replicas` cannot be `0` ({REPLICAS})"
            )
        );
        let missing = read(json!({})).unwrap_err();
        assert_eq!(
            missing,
            format!("`bootstrap_servers` is missing ({SERVERS})")
        );
    }
}
