//! The settings, from `[exporter.NAME.config]`.
//!
//! Promises: all mistakes are reported at once, each with its key and a remedy; a secret
//! is not shown; a bad value never falls back to a default.

use delfin_plugin_api::{
    http::{ClientSettings, Compression, ReceiverUrl, WithClientSettings, query_value},
    setting::{ConfigError, Mistakes},
    workers::read_workers,
};
use serde::Deserialize;
use serde_json::Value;

use crate::REQUEST_LIMITS;

const USER_AGENT: &str = concat!("delfin-exporter-influxdb/", env!("CARGO_PKG_VERSION"));
const URL: &str = "write the address of the server, such as `http://localhost:8086`";
const TARGET: &str = "set `database` for the API of version 1, or `bucket` for that of version 2";

/// Checked settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WithClientSettings<RawSettings>")]
pub(crate) struct Config {
    /// The URL to write to, with a query.
    pub(crate) write_url: String,
    /// The URL for messages.
    pub(crate) redacted_url: String,
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
    retention_policy: Option<Value>,
    bucket: Option<Value>,
    org: Option<Value>,
    token: Option<Value>,
    compression: Option<Value>,
    workers: Option<Value>,
}

impl TryFrom<WithClientSettings<RawSettings>> for Config {
    type Error = ConfigError;

    fn try_from(settings: WithClientSettings<RawSettings>) -> Result<Self, ConfigError> {
        let WithClientSettings {
            client,
            own: written,
        } = settings;
        let mut mistakes = Mistakes::default();
        let url = ReceiverUrl::read_base(written.url, URL, &mut mistakes);
        let query = read_target(
            [written.database, written.retention_policy],
            [written.bucket, written.org],
            &mut mistakes,
        );
        let mut http = ClientSettings::read(USER_AGENT, &[], client, &mut mistakes);
        http.read_scheme(["token", "Token"], written.token, "one", &mut mistakes);
        let allowed = [Compression::Gzip, Compression::None];
        let compression = Compression::read(written.compression, &allowed, &mut mistakes);
        let default = REQUEST_LIMITS.workers;
        let workers = read_workers("workers", written.workers, default, &mut mistakes);
        mistakes.into_result(Self {
            write_url: format!("{}{query}", url.url),
            redacted_url: url.redacted,
            http,
            compression,
            workers,
        })
    }
}

/// The path and the query that name the database or the bucket.
fn read_target(
    [database, retention_policy]: [Option<Value>; 2],
    [bucket, org]: [Option<Value>; 2],
    mistakes: &mut Mistakes,
) -> String {
    let is_v1 = database.is_some() || retention_policy.is_some();
    let is_v2 = bucket.is_some() || org.is_some();
    if is_v1 && is_v2 {
        mistakes.add(format!("`bucket` and `org` cannot be combined with `database` and `retention_policy` ({TARGET})"));
    }
    let missing = if is_v2 { "bucket" } else { "database" };
    if [&database, &bucket].iter().all(|name| name.is_none()) {
        mistakes.missing(missing, TARGET);
    }
    let mut value = |key: &str, value: Option<Value>| {
        let text = mistakes.text(key, value);
        text.map(|text| query_value(&text))
    };
    let (path, required, optional) = if is_v2 {
        let bucket = value("bucket", bucket).map(|bucket| format!("bucket={bucket}"));
        let org = value("org", org).map(|org| format!("&org={org}"));
        ("/api/v2/write", bucket, org)
    } else {
        let database = value("database", database).map(|database| format!("db={database}"));
        let policy = value("retention_policy", retention_policy);
        (
            "/write",
            database,
            policy.map(|policy| format!("&rp={policy}")),
        )
    };
    let (required, optional) = (required.unwrap_or_default(), optional.unwrap_or_default());
    format!("{path}?{required}{optional}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(config: Value) -> Result<Config, String> {
        serde_json::from_value(config).map_err(|error: serde_json::Error| error.to_string())
    }

    #[test]
    fn the_database_or_the_bucket_chooses_the_api() {
        let check = |config: Value, url: &str| assert_eq!(read(config).unwrap().write_url, url);
        check(
            json!({ "url": "http://a:8086/", "database": "my db", "retention_policy": "a&b" }),
            "http://a:8086/write?db=my%20db&rp=a%26b",
        );
        check(
            json!({ "url": "https://a/influx", "bucket": "b/rp", "org": "o", "token": "t" }),
            "https://a/influx/api/v2/write?bucket=b%2Frp&org=o",
        );
        check(
            json!({ "url": "http://a", "bucket": "b" }),
            "http://a/api/v2/write?bucket=b",
        );
    }

    #[test]
    fn a_bad_value_is_refused_with_the_remedy() {
        assert_eq!(
            read(json!({ "compression": "zstd" })).unwrap_err(),
            "`url` is missing (write the address of the server, such as `http://localhost:8086`); \
             `database` is missing (set `database` for the API of version 1, or `bucket` for that of version 2); \
             `compression` cannot be `\"zstd\"` (write `gzip` or `none`)"
        );
        let check = |settings: Value, reason: &str| {
            let mut config = json!({ "url": "http://a" });
            config
                .as_object_mut()
                .unwrap()
                .extend(settings.as_object().unwrap().clone());
            let mistakes = read(config).unwrap_err();
            assert!(mistakes.contains(reason), "{mistakes}");
            assert!(!mistakes.contains("hunter"), "{mistakes}");
        };
        check(
            json!({ "database": "d", "bucket": "b" }),
            "cannot be combined",
        );
        check(json!({ "org": "o" }), "`bucket` is missing");
        check(json!({ "database": "" }), "`database` cannot be");
        check(
            json!({ "url": "http://a?db=d", "database": "d" }),
            "with a query",
        );
        check(json!({ "url": "a", "database": "d" }), "`url` cannot hold");
        let both =
            json!({ "database": "d", "token": "hunter1", "username": "u", "password": "hunter2" });
        check(both, "(keep one)");
        let both = json!({ "database": "d", "token": "hunter1", "bearer_token": "hunter2" });
        check(both, "(keep one)");
        check(
            json!({ "database": "d", "api_key": "hunter" }),
            "unknown field",
        );
    }

    #[test]
    fn a_token_is_sent_and_not_shown() {
        let config = read(json!({ "url": "http://a", "bucket": "b", "token": "hunter2" })).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
        let header = config.http.authorization.unwrap().header();
        assert_eq!(header.reveal(), "Token hunter2");
    }

    #[test]
    fn the_example_shows_the_defaults() {
        let example: Value = toml::from_str(include_str!("../example.toml")).unwrap();
        for exporter in ["PerformanceExporterInfluxDB", "AlertExporterInfluxDB"] {
            let shown = &example["exporter"][exporter]["config"];
            let required = json!({ "url": shown["url"], "database": shown["database"] });
            assert_eq!(read(shown.clone()), read(required));
        }
    }
}
