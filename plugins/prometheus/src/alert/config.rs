//! The settings of the alert exporter, from `[exporter.NAME.config]`.

use std::time::Duration;

use delfin_plugin_api::{
    http::{ClientSettings, WithClientSettings, check_url, redact_url},
    setting::{ConfigError, Mistakes},
};
use serde::Deserialize;
use serde_json::Value;

use super::encode::can_be_label;

/// The default of Alertmanager's `resolve_timeout`, and five times the interval of
/// resends.
const RESOLVE_AFTER: Duration = Duration::from_mins(5);
const HOST: &str = "localhost";
const PORT: u16 = 9093;
const USER_AGENT: &str = concat!("delfin-exporter-prometheus/", env!("CARGO_PKG_VERSION"));
/// The label of a storage that has a meaning for the host.
const LABEL: &str = "site";
/// A storage has as many labels at most.
const MAX_LABELS: usize = 16;
const NAMES: &str = "write a list such as `[\"site\", \"tenant\"]`: at most 16 names of A-Z, a-z, 0-9 and `_` that are \
                     no labels already";
const URLS: &str = "write a list such as `[\"http://alertmanager:9093\"]`";
const URL: &str = "write `http://` or `https://`, a host, and the path before `/api/v2/alerts`";

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WithClientSettings<AlertSettings>")]
pub(crate) struct AlertConfig {
    /// Base URLs of Alertmanagers. Each gets every alert.
    pub(crate) urls: Vec<String>,
    /// An alert that is not sent again ends after this time.
    pub(crate) resolve_after: Duration,
    /// The extra fields that are labels.
    pub(crate) labels: Vec<String>,
    pub(crate) http: ClientSettings,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AlertSettings {
    alert_manager_host: Option<Value>,
    alert_manager_port: Option<Value>,
    urls: Option<Value>,
    resolve_after: Option<Value>,
    labels: Option<Value>,
}

impl TryFrom<WithClientSettings<AlertSettings>> for AlertConfig {
    type Error = ConfigError;

    fn try_from(settings: WithClientSettings<AlertSettings>) -> Result<Self, ConfigError> {
        let WithClientSettings {
            client,
            own: written,
        } = settings;
        let mut mistakes = Mistakes::default();
        let resolve_after = mistakes.duration("resolve_after", written.resolve_after);
        let labels = mistakes.read("labels", written.labels, read_labels, NAMES);
        let http = ClientSettings::read(USER_AGENT, &[], client, &mut mistakes);
        let host = mistakes.text("alert_manager_host", written.alert_manager_host);
        let port = mistakes.port("alert_manager_port", written.alert_manager_port);
        let named = host.is_some() || port.is_some();
        let urls = match written.urls {
            Some(_) if named => {
                mistakes.add(
                    "`urls` cannot be combined with `alert_manager_host` or `alert_manager_port` (keep one)"
                        .to_owned(),
                );
                Vec::new()
            }
            Some(urls) => read_urls(urls, &mut mistakes),
            None => {
                let host = host.as_deref().unwrap_or(HOST);
                let url = address(host, port.unwrap_or(PORT));
                check_base("alert_manager_host", &url, &mut mistakes);
                vec![url]
            }
        };
        mistakes.into_result(Self {
            urls,
            resolve_after: resolve_after.unwrap_or(RESOLVE_AFTER),
            labels: labels.unwrap_or_else(|| vec![LABEL.to_owned()]),
            http,
        })
    }
}

fn address(host: &str, port: u16) -> String {
    if host.contains(':') && !host.starts_with('[') {
        return format!("http://[{host}]:{port}");
    }
    format!("http://{host}:{port}")
}

fn read_labels(value: &Value) -> Option<Vec<String>> {
    let names = value.as_array()?;
    let label = |name: &Value| {
        let name = name.as_str().filter(|name| can_be_label(name));
        name.map(str::to_owned)
    };
    (names.len() <= MAX_LABELS).then(|| names.iter().map(label).collect())?
}

fn read_urls(value: Value, mistakes: &mut Mistakes) -> Vec<String> {
    let read = |value: &Value| -> Option<Vec<String>> {
        let texts = value.as_array()?.iter().map(Value::as_str);
        let urls: Vec<_> = texts
            .map(|text| Some(text?.trim_end_matches('/').to_owned()))
            .collect::<Option<_>>()?;
        (!urls.is_empty()).then_some(urls)
    };
    let urls = mistakes.read("urls", Some(value), read, URLS);
    let urls = urls.unwrap_or_default();
    for url in &urls {
        check_base("urls", url, mistakes);
    }
    urls
}

fn check_base(key: &str, url: &str, mistakes: &mut Mistakes) {
    let uri = check_url(key, url, mistakes);
    if uri.is_some_and(|uri| uri.query().is_some()) {
        let url = redact_url(url);
        mistakes.add(format!("`{key}` cannot hold `{url}` ({URL})"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(config: Value) -> Result<AlertConfig, String> {
        serde_json::from_value(config).map_err(|error: serde_json::Error| error.to_string())
    }

    #[test]
    fn the_two_settings_of_delfin_or_urls_set_the_address() {
        let check = |config: Value, urls: &[&str]| {
            assert_eq!(read(config.clone()).unwrap().urls, urls, "{config}");
        };
        check(json!({}), &["http://localhost:9093"]);
        check(
            json!({ "alert_manager_host": "am", "alert_manager_port": "9094" }),
            &["http://am:9094"],
        );
        check(
            json!({ "alert_manager_host": "2001:db8::7" }),
            &["http://[2001:db8::7]:9093"],
        );
        check(
            json!({ "urls": ["https://a/prefix/", "http://b:9093"] }),
            &["https://a/prefix", "http://b:9093"],
        );
    }

    #[test]
    fn a_bad_value_is_refused() {
        let check = |config: Value, reason: &str| {
            let mistakes = read(config).unwrap_err();
            assert!(mistakes.contains(reason), "{mistakes}");
        };
        check(
            json!({ "urls": ["http://a"], "alert_manager_port": 1 }),
            "cannot be combined",
        );
        for urls in [json!([]), json!("http://a"), json!([7])] {
            check(json!({ "urls": urls }), "`urls` cannot be");
        }
        for url in ["alertmanager:9093", "ftp://a", "http://", "http://a?b"] {
            check(json!({ "urls": [url] }), "`urls` cannot hold");
        }
        check(
            json!({ "alert_manager_host": "a b" }),
            "`alert_manager_host` cannot hold",
        );
        check(json!({ "username": "u" }), "come together");
        check(
            json!({ "bearer_token": "t", "username": "u", "password": "p" }),
            "keep one",
        );
        check(json!({ "bearer_token": "two words" }), "no token has");
    }

    #[test]
    fn labels_are_names_that_alerts_do_not_have() {
        assert_eq!(read(json!({})).unwrap().labels, ["site"]);
        let chosen = read(json!({ "labels": ["tenant", "_x9"] })).unwrap();
        assert_eq!(chosen.labels, ["tenant", "_x9"]);
        assert!(read(json!({ "labels": [] })).unwrap().labels.is_empty());
        let many = vec!["a"; 17];
        for labels in [
            json!("site"),
            json!([7]),
            json!(["severity"]),
            json!(["alertname"]),
            json!(["description"]),
            json!(["a-b"]),
            json!(["__a"]),
            json!([""]),
            json!(many),
        ] {
            let mistake = read(json!({ "labels": labels })).unwrap_err();
            assert!(mistake.contains("`labels` cannot be"), "{mistake}");
        }
    }

    #[test]
    fn no_message_contains_a_secret() {
        let mistakes = read(json!({
            "urls": ["http://hunter1:hunter2@am"],
            "password": [["hunter3"]],
            "bearer_token": "hunter4 ",
        }));
        let mistakes = mistakes.unwrap_err();
        assert!(!mistakes.contains("hunter"), "{mistakes}");
        let config = read(json!({ "bearer_token": "hunter5" })).unwrap();
        assert!(!format!("{config:?}").contains("hunter"));
    }

    #[test]
    fn the_example_shows_the_defaults() {
        let example: Value = toml::from_str(include_str!("../../example.toml")).unwrap();
        let shown = &example["exporter"]["AlertExporterPrometheus"]["config"];
        assert_eq!(read(shown.clone()), read(json!({})));
    }
}
