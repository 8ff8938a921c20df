//! The settings, from `[exporter.NAME.config]`.
//!
//! Promises: all mistakes are reported at once, each with its key and a remedy; a secret
//! is not shown; a bad value never falls back to a default.

use std::time::Duration;

use delfin_plugin_api::{
    http::{ClientSettings, Compression, ReceiverUrl, WithClientSettings},
    setting::{ConfigError, Mistakes},
    workers::read_workers,
};
use serde::Deserialize;
use serde_json::Value;

use crate::WORK_LIMITS;

const USER_AGENT: &str = concat!("delfin-exporter-splunk/", env!("CARGO_PKG_VERSION"));
const URL: &str = "write the address of the HTTP event collector, such as `https://localhost:8088`";
const TOKEN: &str = "create a token in Splunk: Settings, Data inputs, HTTP Event Collector";

/// Headers that the exporter sets itself.
const OWN_HEADERS: [&str; 1] = ["x-splunk-request-channel"];

/// As long as Splunk advises to wait before an event is sent again.
const DEFAULT_TIMEOUT: Duration = Duration::from_mins(5);

/// Checked settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WithClientSettings<RawSettings>")]
pub(crate) struct Config {
    /// The URL before `/services/collector`.
    pub(crate) url: ReceiverUrl,
    pub(crate) metadata: EventMetadata,
    /// Whether a row is delivered only when Splunk acknowledges it.
    pub(crate) acknowledgement: bool,
    pub(crate) acknowledgement_timeout: Duration,
    pub(crate) http: ClientSettings,
    pub(crate) compression: Compression,
    /// Requests at the same time.
    pub(crate) workers: usize,
}

/// What each event has besides its content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventMetadata {
    /// `None`: that of the token.
    pub index: Option<String>,
    /// `None`: that of the token.
    pub sourcetype: Option<String>,
    /// Where events come from.
    pub source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSettings {
    url: Option<Value>,
    token: Option<Value>,
    index: Option<Value>,
    source: Option<Value>,
    sourcetype: Option<Value>,
    acknowledgement: Option<Value>,
    acknowledgement_timeout: Option<Value>,
    compression: Option<Value>,
    workers: Option<Value>,
}

impl TryFrom<WithClientSettings<RawSettings>> for Config {
    type Error = ConfigError;

    fn try_from(settings: WithClientSettings<RawSettings>) -> Result<Self, ConfigError> {
        let WithClientSettings { client, own } = settings;
        let mut mistakes = Mistakes::default();
        let url = ReceiverUrl::read_base(own.url, URL, &mut mistakes);
        let mut http = ClientSettings::read(USER_AGENT, &OWN_HEADERS, client, &mut mistakes);
        if own.token.is_none() && !http.is_authorized() {
            mistakes.missing("token", TOKEN);
        }
        http.read_scheme(["token", "Splunk"], own.token, "`token`", &mut mistakes);
        let metadata = EventMetadata {
            index: mistakes.text("index", own.index),
            sourcetype: mistakes.text("sourcetype", own.sourcetype),
            source: mistakes
                .text("source", own.source)
                .unwrap_or_else(|| "delfin-host".to_owned()),
        };
        let acknowledgement = mistakes.flag_or("acknowledgement", own.acknowledgement, true);
        let timeout = mistakes.duration("acknowledgement_timeout", own.acknowledgement_timeout);
        let allowed = [Compression::Gzip, Compression::None];
        let compression = Compression::read(own.compression, &allowed, &mut mistakes);
        let default = WORK_LIMITS.workers;
        let workers = read_workers("workers", own.workers, default, &mut mistakes);
        mistakes.into_result(Self {
            url,
            metadata,
            acknowledgement,
            acknowledgement_timeout: timeout.unwrap_or(DEFAULT_TIMEOUT),
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
        let mistakes =
            read(json!({ "acknowledgement": 1, "acknowledgement_timeout": "0s", "index": "" }));
        let mistakes = mistakes.unwrap_err();
        for part in [
            "`url` is missing (write the address of the HTTP event collector",
            "`token` is missing (create a token in Splunk",
            "`acknowledgement` cannot be `1` (write true or false)",
            "`acknowledgement_timeout` cannot be `\"0s\"`",
            "`index` cannot be `\"\"`",
        ] {
            assert!(mistakes.contains(part), "{mistakes}");
        }
        let both = json!({ "url": "http://a", "token": "hunter1", "bearer_token": "hunter2" });
        let mistakes = read(both).unwrap_err();
        assert!(
            mistakes.contains("(keep `token`)") && !mistakes.contains("hunter"),
            "{mistakes}"
        );
    }

    #[test]
    fn the_token_is_sent_and_not_shown() {
        let config = read(json!({ "url": "http://a", "token": "hunter2" })).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
        let header = config.http.authorization.unwrap().header();
        assert_eq!(header.reveal(), "Splunk hunter2");
    }

    #[test]
    fn the_example_shows_the_defaults() {
        let example: Value = toml::from_str(include_str!("../example.toml")).unwrap();
        for exporter in ["PerformanceExporterSplunk", "AlertExporterSplunk"] {
            let shown = &example["exporter"][exporter]["config"];
            let required = json!({ "url": shown["url"], "token": shown["token"] });
            assert_eq!(read(shown.clone()), read(required));
        }
    }
}
