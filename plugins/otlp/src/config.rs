//! The settings, from `[exporter.NAME.config]`.
//!
//! Promises: all mistakes are reported at once, each with its key and a remedy; a secret
//! is not shown; a bad value never falls back to a default.

use delfin_plugin_api::{
    http::{ClientSettings, Compression, ReceiverUrl, WithClientSettings},
    setting::{ConfigError, Mistakes},
};
use serde::Deserialize;
use serde_json::Value;

const USER_AGENT: &str = concat!("delfin-exporter-otlp/", env!("CARGO_PKG_VERSION"));
const URL: &str = "write the address of the receiver, such as `http://localhost:4318`";

/// Checked settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WithClientSettings<RawSettings>")]
pub(crate) struct Config {
    /// The URL before `/v1/metrics` or `/v1/logs`.
    pub(crate) url: ReceiverUrl,
    pub(crate) http: ClientSettings,
    pub(crate) compression: Compression,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSettings {
    url: Option<Value>,
    compression: Option<Value>,
}

impl TryFrom<WithClientSettings<RawSettings>> for Config {
    type Error = ConfigError;

    fn try_from(settings: WithClientSettings<RawSettings>) -> Result<Self, ConfigError> {
        let WithClientSettings { client, own } = settings;
        let mut mistakes = Mistakes::default();
        let url = ReceiverUrl::read_base(own.url, URL, &mut mistakes);
        let http = ClientSettings::read(USER_AGENT, &[], client, &mut mistakes);
        let allowed = [Compression::Gzip, Compression::None];
        let compression = Compression::read(own.compression, &allowed, &mut mistakes);
        mistakes.into_result(Self {
            url,
            http,
            compression,
        })
    }
}

#[cfg(test)]
mod tests {
    use delfin_plugin_api::http::WrittenClientSettings;
    use serde_json::json;

    use super::*;

    fn read(config: Value) -> Result<Config, String> {
        serde_json::from_value(config).map_err(|error: serde_json::Error| error.to_string())
    }

    #[test]
    fn a_bad_value_is_refused_with_the_remedy() {
        assert_eq!(
            read(json!({ "compression": "zstd" })).unwrap_err(),
            "`url` is missing (write the address of the receiver, such as `http://localhost:4318`); \
             `compression` cannot be `\"zstd\"` (write `gzip` or `none`)"
        );
        let grpc = read(json!({ "url": "grpc://a:4317" })).unwrap_err();
        assert!(grpc.contains("`url` cannot hold"), "{grpc}");
    }

    #[test]
    fn the_example_shows_every_setting_with_its_default() {
        let text = include_str!("../example.toml");
        let example: Value = toml::from_str(text).unwrap();
        for exporter in ["PerformanceExporterOtlp", "AlertExporterOtlp"] {
            let shown = &example["exporter"][exporter]["config"];
            assert_eq!(read(shown.clone()), read(json!({ "url": shown["url"] })));
        }
        for key in WrittenClientSettings::KEYS {
            assert!(text.contains(&format!("\n#{key} = ")), "no `{key}`");
        }
    }
}
