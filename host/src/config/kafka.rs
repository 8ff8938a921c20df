//! The settings of a cluster whose journals are on Apache Kafka.

use std::sync::Arc;

use delfin_plugin_api::{
    Failure,
    setting::{ConfigError, Mistakes},
    tls::Tls,
};
use serde::Deserialize;
use serde_json::Value;

use crate::journal::KafkaTopics;

const SERVERS: &str = "write `host:9092`, several separated by commas, or a list of them";
const REPLICAS: &str = "write a number from 1 to 100";
const DEFAULT_REPLICAS: i16 = 3;

/// `[cluster.kafka]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WrittenKafka")]
pub struct KafkaConfig {
    /// `host:port` of some of the brokers.
    bootstrap_servers: Vec<String>,
    /// `None`: connections without TLS.
    tls: Option<Tls>,
    /// Of the topics that the host creates.
    replicas: i16,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenKafka {
    bootstrap_servers: Option<Value>,
    replicas: Option<Value>,
    tls: Option<Value>,
    ca_certificate: Option<Value>,
    client_certificate: Option<Value>,
    client_key: Option<Value>,
}

impl TryFrom<WrittenKafka> for KafkaConfig {
    type Error = ConfigError;

    fn try_from(written: WrittenKafka) -> Result<Self, ConfigError> {
        let mut mistakes = Mistakes::default();
        if written.bootstrap_servers.is_none() {
            mistakes.missing("bootstrap_servers", SERVERS);
        }
        let servers = written.bootstrap_servers;
        let servers = mistakes.read("bootstrap_servers", servers, read_servers, SERVERS);
        let replicas = mistakes.read("replicas", written.replicas, read_replicas, REPLICAS);
        let certificates = [
            written.ca_certificate,
            written.client_certificate,
            written.client_key,
        ];
        let tls = Tls::read_optional(written.tls, certificates, &mut mistakes);
        mistakes.into_result(Self {
            bootstrap_servers: servers.unwrap_or_default(),
            tls,
            replicas: replicas.unwrap_or(DEFAULT_REPLICAS),
        })
    }
}

impl KafkaConfig {
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
            replicas: self.replicas,
            cluster: cluster.to_owned(),
        })
    }

    /// The brokers, for messages.
    #[must_use]
    pub fn servers(&self) -> String {
        self.bootstrap_servers.join(",")
    }
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
        serde_json::from_value(written).map_err(|error: serde_json::Error| error.to_string())
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
