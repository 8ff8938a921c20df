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

use crate::REQUEST_LIMITS;

const USER_AGENT: &str = concat!("delfin-exporter-elasticsearch/", env!("CARGO_PKG_VERSION"));
const URL: &str = "write the address of a node, such as `http://localhost:9200`";
const DATA_STREAM: &str = "write a name in lower case, such as `metrics-delfin-default`, without \
                           spaces and without `\\ / * ? \" < > | , # :`";

/// The longest name of an index, in bytes.
const MAX_NAME: usize = 255;

/// Checked settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WithClientSettings<RawSettings>")]
pub(crate) struct Config {
    pub(crate) url: ReceiverUrl,
    /// `None`: the default of the kind.
    pub(crate) data_stream: Option<String>,
    /// Whether to create an index template.
    pub(crate) template: bool,
    pub(crate) http: ClientSettings,
    pub(crate) compression: Compression,
    /// Requests at the same time.
    pub(crate) workers: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSettings {
    url: Option<Value>,
    data_stream: Option<Value>,
    template: Option<Value>,
    api_key: Option<Value>,
    compression: Option<Value>,
    workers: Option<Value>,
}

impl TryFrom<WithClientSettings<RawSettings>> for Config {
    type Error = ConfigError;

    fn try_from(settings: WithClientSettings<RawSettings>) -> Result<Self, ConfigError> {
        let WithClientSettings { client, own } = settings;
        let mut mistakes = Mistakes::default();
        let url = ReceiverUrl::read_base(own.url, URL, &mut mistakes);
        let data_stream = mistakes.read(
            "data_stream",
            own.data_stream,
            read_data_stream,
            DATA_STREAM,
        );
        let template = mistakes.flag_or("template", own.template, true);
        let mut http = ClientSettings::read(USER_AGENT, &[], client, &mut mistakes);
        http.read_scheme(["api_key", "ApiKey"], own.api_key, "one", &mut mistakes);
        let allowed = [Compression::Gzip, Compression::None];
        let compression = Compression::read(own.compression, &allowed, &mut mistakes);
        let default = REQUEST_LIMITS.workers;
        let workers = read_workers("workers", own.workers, default, &mut mistakes);
        mistakes.into_result(Self {
            url,
            data_stream,
            template,
            http,
            compression,
            workers,
        })
    }
}

fn read_data_stream(value: &Value) -> Option<String> {
    let name = value.as_str()?;
    let is_valid = !name.is_empty()
        && name.len() <= MAX_NAME
        && name == name.to_lowercase()
        && !name.starts_with(['-', '_', '+', '.'])
        && !name.contains(|c: char| c.is_whitespace() || "\\/*?\"<>|,#:".contains(c));
    is_valid.then(|| name.to_owned())
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
        let mistakes = read(json!({ "template": "yes", "data_stream": "A" })).unwrap_err();
        for part in [
            "`url` is missing (write the address of a node",
            "`template` cannot be `\"yes\"` (write true or false)",
            "`data_stream` cannot be `\"A\"` (write a name in lower case",
        ] {
            assert!(mistakes.contains(part), "{mistakes}");
        }
        let both = json!({ "url": "http://a", "api_key": "hunter1", "username": "u", "password": "hunter2" });
        let mistakes = read(both).unwrap_err();
        assert!(
            mistakes.contains("(keep one)") && !mistakes.contains("hunter"),
            "{mistakes}"
        );
    }

    #[test]
    fn a_data_stream_has_a_valid_name() {
        let of = |name: &str| read(json!({ "url": "http://a", "data_stream": name })).is_ok();
        assert!(of("metrics-delfin-default") && of("größe"));
        for name in [
            "",
            "-a",
            "_a",
            "a b",
            "a/b",
            "a*",
            "A",
            "a,b",
            "a:b",
            &"a".repeat(256),
        ] {
            assert!(!of(name), "{name}");
        }
    }

    #[test]
    fn an_api_key_is_sent_and_not_shown() {
        let config = read(json!({ "url": "http://a", "api_key": "hunter2" })).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
        let header = config.http.authorization.unwrap().header();
        assert_eq!(header.reveal(), "ApiKey hunter2");
    }

    #[test]
    fn the_example_shows_the_defaults() {
        let example: Value = toml::from_str(include_str!("../example.toml")).unwrap();
        for (exporter, data_stream) in [
            (
                "PerformanceExporterElasticsearch",
                crate::encode::PERFORMANCE.data_stream,
            ),
            (
                "AlertExporterElasticsearch",
                crate::encode::ALERTS.data_stream,
            ),
        ] {
            let shown = &example["exporter"][exporter]["config"];
            let default = json!({ "url": shown["url"], "data_stream": data_stream });
            assert_eq!(read(shown.clone()), read(default));
        }
    }
}
