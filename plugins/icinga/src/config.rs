//! The settings, from `[exporter.NAME.config]`.
//!
//! Promises: all mistakes are reported at once, each with its key and a remedy; a secret
//! is not shown; a bad value never falls back to a default.

use std::marker::PhantomData;

use delfin_plugin_api::{
    http::{ClientSettings, ReceiverUrl, WithClientSettings},
    setting::{ConfigError, Mistakes},
    workers::read_workers,
};
use serde::Deserialize;
use serde_json::Value;

use crate::encode::{ResultBatch, ServiceNames};

const USER_AGENT: &str = concat!("delfin-exporter-icinga/", env!("CARGO_PKG_VERSION"));
const URL: &str = "write the address of the API, such as `https://localhost:5665`";
const DEFAULT_WORKERS: usize = 4;

/// Headers that the exporter sets itself.
const OWN_HEADERS: [&str; 1] = ["accept"];

/// Checked settings of an exporter of batches `B`.
#[derive(Debug, Deserialize)]
#[serde(try_from = "WithClientSettings<RawSettings>", bound = "B: ResultBatch")]
pub(crate) struct Config<B> {
    pub(crate) connection: IcingaConfig,
    pub(crate) names: ServiceNames,
    /// Requests at the same time.
    pub(crate) workers: usize,
    batches: PhantomData<fn(B)>,
}

#[derive(Debug)]
pub(crate) struct IcingaConfig {
    /// The URL before `/v1`.
    pub(crate) url: ReceiverUrl,
    pub(crate) http: ClientSettings,
    /// Whether to create hosts and services that do not exist.
    pub(crate) create: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSettings {
    url: Option<Value>,
    host: Option<Value>,
    service: Option<Value>,
    label: Option<Value>,
    create: Option<Value>,
    workers: Option<Value>,
}

impl<B: ResultBatch> TryFrom<WithClientSettings<RawSettings>> for Config<B> {
    type Error = ConfigError;

    fn try_from(settings: WithClientSettings<RawSettings>) -> Result<Self, ConfigError> {
        let WithClientSettings { client, own } = settings;
        let mut mistakes = Mistakes::default();
        let url = ReceiverUrl::read_base(own.url, URL, &mut mistakes);
        let names = ServiceNames::read::<B>([own.host, own.service, own.label], &mut mistakes);
        let create = mistakes.flag_or("create", own.create, true);
        let workers = read_workers("workers", own.workers, DEFAULT_WORKERS, &mut mistakes);
        let http = ClientSettings::read(USER_AGENT, &OWN_HEADERS, client, &mut mistakes);
        mistakes.into_result(Self {
            connection: IcingaConfig { url, http, create },
            names,
            workers,
            batches: PhantomData,
        })
    }
}

#[cfg(test)]
mod tests {
    use delfin_plugin_api::{AlertBatch, PerformanceBatch};
    use serde_json::json;

    use super::*;

    fn read<B: ResultBatch + std::fmt::Debug>(config: Value) -> Result<String, String> {
        let config: Result<Config<B>, _> = serde_json::from_value(config);
        config
            .map(|config| format!("{config:?}"))
            .map_err(|error: serde_json::Error| error.to_string())
    }

    #[test]
    fn a_bad_value_is_refused_with_the_remedy() {
        let mistakes = read::<PerformanceBatch>(json!({
            "host": "a!b",
            "service": "{oops}",
            "label": "a=b",
            "create": "yes",
            "workers": 0,
        }));
        let mistakes = mistakes.unwrap_err();
        for part in [
            "`url` is missing (write the address of the API",
            "`host` cannot be `a!b`: it has an exclamation mark",
            "`service` cannot be `{oops}`",
            "`label` cannot be `a=b`",
            "`create` cannot be `\"yes\"`",
            "`workers` cannot be `0`",
        ] {
            assert!(mistakes.contains(part), "{part}: {mistakes}");
        }
        let alerts = read::<AlertBatch>(json!({ "url": "https://a", "label": "a" }));
        assert!(alerts.unwrap_err().contains("no effect on alerts"));
    }

    #[test]
    fn the_example_shows_the_defaults() {
        let example: Value = toml::from_str(include_str!("../example.toml")).unwrap();
        let of = |exporter: &str| example["exporter"][exporter]["config"].clone();
        let required = |shown: &Value| {
            json!({
                "url": shown["url"],
                "username": shown["username"],
                "password": shown["password"],
            })
        };
        let (points, alerts) = (of("PerformanceExporterIcinga"), of("AlertExporterIcinga"));
        assert_eq!(
            read::<PerformanceBatch>(points.clone()),
            read::<PerformanceBatch>(required(&points))
        );
        assert_eq!(
            read::<AlertBatch>(alerts.clone()),
            read::<AlertBatch>(required(&alerts))
        );
    }
}
