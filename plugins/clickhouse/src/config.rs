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

const USER_AGENT: &str = concat!("delfin-exporter-clickhouse/", env!("CARGO_PKG_VERSION"));
const URL: &str = "write the address of the HTTP interface, such as `http://localhost:8123`";

/// Checked settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WithClientSettings<RawSettings>")]
pub(crate) struct Config {
    pub(crate) url: ReceiverUrl,
    pub(crate) database: String,
    /// `None`: the default of the kind.
    pub(crate) table: Option<String>,
    /// Whether to create the table and its view.
    pub(crate) create_table: bool,
    pub(crate) http: ClientSettings,
    pub(crate) compression: Compression,
    /// Requests at the same time.
    pub(crate) workers: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSettings {
    url: Option<Value>,
    database: Option<Value>,
    table: Option<Value>,
    create_table: Option<Value>,
    compression: Option<Value>,
    workers: Option<Value>,
}

impl TryFrom<WithClientSettings<RawSettings>> for Config {
    type Error = ConfigError;

    fn try_from(settings: WithClientSettings<RawSettings>) -> Result<Self, ConfigError> {
        let WithClientSettings { client, own } = settings;
        let mut mistakes = Mistakes::default();
        let url = ReceiverUrl::read_base(own.url, URL, &mut mistakes);
        let database = mistakes.text("database", own.database);
        let table = mistakes.text("table", own.table);
        let create_table = mistakes.flag_or("create_table", own.create_table, true);
        let http = ClientSettings::read(USER_AGENT, &[], client, &mut mistakes);
        let allowed = [Compression::Zstd, Compression::Gzip, Compression::None];
        let compression = Compression::read(own.compression, &allowed, &mut mistakes);
        let default = REQUEST_LIMITS.workers;
        let workers = read_workers("workers", own.workers, default, &mut mistakes);
        mistakes.into_result(Self {
            url,
            database: database.unwrap_or_else(|| "default".to_owned()),
            table,
            create_table,
            http,
            compression,
            workers,
        })
    }
}

#[cfg(test)]
mod tests {
    use delfin_plugin_api::{AlertBatch, PerformanceBatch};
    use serde_json::json;

    use super::*;
    use crate::encode::TableBatch;

    fn read(config: Value) -> Result<Config, String> {
        serde_json::from_value(config).map_err(|error: serde_json::Error| error.to_string())
    }

    #[test]
    fn a_bad_value_is_refused_with_the_remedy() {
        let mistakes = read(json!({ "create_table": "yes", "table": "", "compression": "lz4" }));
        let mistakes = mistakes.unwrap_err();
        for part in [
            "`url` is missing (write the address of the HTTP interface",
            "`create_table` cannot be `\"yes\"` (write true or false)",
            "`table` cannot be `\"\"`",
            "`compression` cannot be `\"lz4\"` (write `zstd` or `gzip` or `none`)",
        ] {
            assert!(mistakes.contains(part), "{mistakes}");
        }
    }

    #[test]
    fn the_example_shows_the_defaults() {
        let example: Value = toml::from_str(include_str!("../example.toml")).unwrap();
        for (exporter, table) in [
            ("PerformanceExporterClickHouse", PerformanceBatch::TABLE),
            ("AlertExporterClickHouse", AlertBatch::TABLE),
        ] {
            let shown = &example["exporter"][exporter]["config"];
            let required = json!({ "url": shown["url"], "table": table });
            assert_eq!(read(shown.clone()), read(required));
        }
    }
}
