//! The settings, from `[exporter.NAME.config]`.
//!
//! Promises: all mistakes are reported at once, each with its key and a remedy; a secret
//! is not shown; a bad value never falls back to a default.

use delfin_plugin_api::{
    http::{ClientSettings, ReceiverUrl, WithClientSettings},
    setting::{ConfigError, Mistakes},
    workers::read_workers,
};
use serde::Deserialize;
use serde_json::Value;

const USER_AGENT: &str = concat!(
    "delfin-exporter-prometheus-remote-write/",
    env!("CARGO_PKG_VERSION")
);
const URL: &str = "write the URL to write to, such as `http://localhost:9090/api/v1/write`";
const PROTOCOL: &str = "write `auto`, `2.0` or `1.0`";

const DEFAULT_WORKERS: usize = 4;

/// Headers that the exporter sets.
const OWN_HEADERS: [&str; 1] = ["x-prometheus-remote-write-version"];

/// Checked settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WithClientSettings<RawSettings>")]
pub(crate) struct Config {
    pub(crate) url: ReceiverUrl,
    pub(crate) http: ClientSettings,
    pub(crate) protocol: ProtocolSetting,
    /// Requests at the same time.
    pub(crate) workers: usize,
}

/// The version of the protocol that the operator wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum ProtocolSetting {
    /// 2.0 if the receiver confirms it, else 1.0.
    #[default]
    Auto,
    V2,
    V1,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSettings {
    url: Option<Value>,
    protocol: Option<Value>,
    workers: Option<Value>,
}

impl TryFrom<WithClientSettings<RawSettings>> for Config {
    type Error = ConfigError;

    fn try_from(settings: WithClientSettings<RawSettings>) -> Result<Self, ConfigError> {
        let WithClientSettings { client, own } = settings;
        let mut mistakes = Mistakes::default();
        let url = ReceiverUrl::read(own.url, URL, &mut mistakes);
        let http = ClientSettings::read(USER_AGENT, &OWN_HEADERS, client, &mut mistakes);
        let read_protocol = |value: &Value| match value.as_str()? {
            "auto" => Some(ProtocolSetting::Auto),
            "2.0" => Some(ProtocolSetting::V2),
            "1.0" => Some(ProtocolSetting::V1),
            _ => None,
        };
        let protocol = mistakes.read("protocol", own.protocol, read_protocol, PROTOCOL);
        let workers = read_workers("workers", own.workers, DEFAULT_WORKERS, &mut mistakes);
        mistakes.into_result(Self {
            url,
            http,
            protocol: protocol.unwrap_or_default(),
            workers,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(config: Value) -> Result<Config, String> {
        serde_json::from_value(config).map_err(|error: serde_json::Error| error.to_string())
    }

    #[test]
    fn a_bad_value_is_refused_with_the_remedy() {
        assert_eq!(
            read(json!({ "protocol": 2.0, "workers": 0 })).unwrap_err(),
            "`url` is missing (write the URL to write to, such as `http://localhost:9090/api/v1/write`); \
             `protocol` cannot be `2.0` (write `auto`, `2.0` or `1.0`); \
             `workers` cannot be `0` (write a number from 1 to 64)"
        );
        let own_header = json!({
            "url": "http://a",
            "headers": { "X-Prometheus-Remote-Write-Version": "1.0" },
        });
        let mistake = read(own_header).unwrap_err();
        assert!(mistake.contains("is set by the exporter"), "{mistake}");
    }

    #[test]
    fn the_example_shows_the_defaults() {
        let example: Value = toml::from_str(include_str!("../example.toml")).unwrap();
        let shown = &example["exporter"]["PerformanceExporterPrometheusRemoteWrite"]["config"];
        assert_eq!(read(shown.clone()), read(json!({ "url": shown["url"] })));
    }
}
