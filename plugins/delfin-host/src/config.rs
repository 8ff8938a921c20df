//! The settings, from `[exporter.NAME.config]`.
//!
//! Promises: all mistakes are reported at once, each with its key and a remedy; a secret
//! is not shown; a bad value never falls back to a default.

use delfin_plugin_api::{
    http::{ClientSettings, Compression, ReceiverUrl, WithClientSettings},
    setting::{ConfigError, Mistakes},
    workers::read_workers,
};
use serde::Deserialize;
use serde_json::Value;

const USER_AGENT: &str = concat!("delfin-exporter-delfin-host/", env!("CARGO_PKG_VERSION"));
const URL: &str = "write the address of the other host, such as `https://centre.example.com:8190`";

/// Headers that the exporter sets itself.
const OWN_HEADERS: [&str; 3] = ["idempotency-key", "batch-origin", "prefer"];

/// Requests at the same time: with 100 ms to the other host, 40 batches a second.
const DEFAULT_WORKERS: usize = 4;

/// Checked settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WithClientSettings<RawSettings>")]
pub(crate) struct Config {
    /// The URL before `/v1/ingest/…`.
    pub(crate) url: ReceiverUrl,
    pub(crate) http: ClientSettings,
    pub(crate) compression: Compression,
    pub(crate) workers: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSettings {
    url: Option<Value>,
    compression: Option<Value>,
    workers: Option<Value>,
}

impl TryFrom<WithClientSettings<RawSettings>> for Config {
    type Error = ConfigError;

    fn try_from(settings: WithClientSettings<RawSettings>) -> Result<Self, ConfigError> {
        let WithClientSettings { client, own } = settings;
        let mut mistakes = Mistakes::default();
        let url = ReceiverUrl::read_base(own.url, URL, &mut mistakes);
        let http = ClientSettings::read(USER_AGENT, &OWN_HEADERS, client, &mut mistakes);
        let allowed = [Compression::Zstd, Compression::Gzip, Compression::None];
        let compression = Compression::read(own.compression, &allowed, &mut mistakes);
        let workers = read_workers("workers", own.workers, DEFAULT_WORKERS, &mut mistakes);
        mistakes.into_result(Self {
            url,
            http,
            compression,
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
            read(json!({ "compression": "lz4", "workers": 0 })).unwrap_err(),
            "`url` is missing (write the address of the other host, such as \
             `https://centre.example.com:8190`); \
             `compression` cannot be `\"lz4\"` (write `zstd` or `gzip` or `none`); \
             `workers` cannot be `0` (write a number from 1 to 64)"
        );
        let own = json!({ "url": "http://a", "headers": { "Batch-Origin": "trap" } });
        assert!(read(own).unwrap_err().contains("is set by the exporter"));
    }

    #[test]
    fn the_example_shows_the_defaults() {
        let example: Value = toml::from_str(include_str!("../example.toml")).unwrap();
        for exporter in ["PerformanceExporterDelfinHost", "AlertExporterDelfinHost"] {
            let shown = &example["exporter"][exporter]["config"];
            assert_eq!(read(shown.clone()), read(json!({ "url": shown["url"] })));
        }
    }
}
