//! The settings, from `[exporter.NAME.config]`.
//!
//! Promises: all mistakes are reported at once, each with its key and a remedy; a secret
//! is not shown; a bad value never falls back to a default.

use delfin_plugin_api::{
    AlertBatch,
    http::{ClientSettings, ReceiverUrl, WithClientSettings, WrittenClientSettings},
    limiter::RateLimiter,
    setting::{ConfigError, Mistakes},
    template::{NameTemplate, TemplateRules},
    workers::read_workers,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::client::service::IncidentService;

const USER_AGENT: &str = concat!("delfin-exporter-incident/", env!("CARGO_PKG_VERSION"));
const SUMMARY: &str = "{severity}: {alert_name} on {storage_name}";

/// A text for people: any character, and nothing for a value that is missing.
const RULES: TemplateRules = TemplateRules {
    character: Some,
    empty: "",
    max_value_bytes: 1024,
    check: |_| Ok(()),
};

/// Checked settings.
#[derive(Debug, Clone, Deserialize)]
#[serde(
    try_from = "WithClientSettings<Map<String, Value>>",
    bound = "S: IncidentService"
)]
pub(crate) struct Config<S> {
    pub(crate) url: ReceiverUrl,
    /// Makes the summary of an alert.
    pub(crate) summary: NameTemplate,
    /// The most requests in a minute.
    pub(crate) max_per_minute: u32,
    /// Requests at the same time.
    pub(crate) workers: usize,
    pub(crate) http: ClientSettings,
    pub(crate) service: S,
}

/// The settings of a service that are not read yet.
pub(crate) struct ServiceSettings {
    table: Map<String, Value>,
    /// Those that exist.
    keys: Vec<&'static str>,
}

impl ServiceSettings {
    /// Takes a setting out.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<Value> {
        self.keys.push(key);
        self.table.remove(key)
    }

    /// Reports what was not taken.
    fn refuse_others(&self, mistakes: &mut Mistakes) {
        for key in self.table.keys() {
            let keys = self.keys.iter().chain(&WrittenClientSettings::KEYS);
            let keys: Vec<_> = keys.map(|key| format!("`{key}`")).collect();
            mistakes.add(format!(
                "unknown field `{key}`, expected one of {}",
                keys.join(", ")
            ));
        }
    }
}

impl<S: IncidentService> TryFrom<WithClientSettings<Map<String, Value>>> for Config<S> {
    type Error = ConfigError;

    fn try_from(settings: WithClientSettings<Map<String, Value>>) -> Result<Self, ConfigError> {
        let WithClientSettings { client, own } = settings;
        let mut own = ServiceSettings {
            table: own,
            keys: Vec::new(),
        };
        let mut mistakes = Mistakes::default();
        let url = own.take("url").or_else(|| S::DEFAULT_URL.map(Value::from));
        let url = ReceiverUrl::read(url, S::URL, &mut mistakes);
        let http = ClientSettings::read(USER_AGENT, &[], client, &mut mistakes);
        let summary = own.take("summary");
        let summary =
            NameTemplate::read::<AlertBatch>("summary", summary, SUMMARY, &RULES, &mut mistakes);
        let per_minute = own.take("max_per_minute");
        let max_per_minute =
            RateLimiter::read("max_per_minute", per_minute, S::PER_MINUTE, &mut mistakes);
        let workers = read_workers("workers", own.take("workers"), S::WORKERS, &mut mistakes);
        let service = S::read(&mut own, &http, &mut mistakes);
        own.refuse_others(&mut mistakes);
        match service {
            Some(service) => mistakes.into_result(Self {
                url,
                summary,
                max_per_minute,
                workers,
                http,
                service,
            }),
            None => Err(mistakes.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::client::service::{Jira, PagerDuty, ServiceNow, Slack, Teams};

    fn read<S: IncidentService>(config: Value) -> Result<Config<S>, String> {
        serde_json::from_value(config).map_err(|error: serde_json::Error| error.to_string())
    }

    #[test]
    fn a_bad_value_is_refused_with_the_remedy() {
        let mistakes =
            read::<PagerDuty>(json!({ "summary": "{oops}", "max_per_minute": 0, "colour": 1 }));
        let mistakes = mistakes.unwrap_err();
        for part in [
            "`summary` cannot be `{oops}`: `{oops}` is not a placeholder",
            "`max_per_minute` cannot be `0` (write a number of requests from 1 to 6000)",
            "`routing_key` is missing",
        ] {
            assert!(mistakes.contains(part), "{mistakes}");
        }
        let key = json!({ "routing_key": "hunter2", "colour": 1 });
        let mistakes = read::<PagerDuty>(key).unwrap_err();
        let expected = "unknown field `colour`, expected one of `url`, `summary`, \
                        `max_per_minute`, `workers`, `routing_key`, `username`, ";
        assert!(mistakes.starts_with(expected), "{mistakes}");
        let missing = read::<Slack>(json!({})).unwrap_err();
        assert!(missing.contains("`url` is missing"), "{missing}");
        let no_login = read::<ServiceNow>(json!({ "url": "https://a.service-now.com" }));
        assert!(no_login.unwrap_err().contains("`username` is missing"));
    }

    #[test]
    fn no_secret_is_shown() {
        let config = read::<PagerDuty>(json!({ "routing_key": "hunter2" })).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
        assert_eq!(config.url.redacted, "https://events.pagerduty.com/…");
        let slack =
            read::<Slack>(json!({ "url": "https://hooks.slack.com/services/hunter2" })).unwrap();
        assert_eq!(slack.url.redacted, "https://hooks.slack.com/…");
    }

    #[test]
    fn the_example_shows_the_defaults() {
        fn check<S: IncidentService>(example: &Value, exporter: &str, required: &[&str]) {
            let shown = &example["exporter"][exporter]["config"];
            let of = |config: Value| {
                let config =
                    read::<S>(config).unwrap_or_else(|error| panic!("{exporter}: {error}"));
                format!("{config:?}")
            };
            let required = required
                .iter()
                .map(|&key| (key.to_owned(), shown[key].clone()));
            assert_eq!(of(shown.clone()), of(Value::Object(required.collect())));
        }
        let example: Value = toml::from_str(include_str!("../example.toml")).unwrap();
        check::<PagerDuty>(&example, "AlertExporterPagerDuty", &["routing_key"]);
        check::<ServiceNow>(
            &example,
            "AlertExporterServiceNow",
            &["url", "username", "password"],
        );
        check::<Jira>(
            &example,
            "AlertExporterJira",
            &["url", "username", "password", "project"],
        );
        check::<Slack>(&example, "AlertExporterSlack", &["url"]);
        check::<Teams>(&example, "AlertExporterTeams", &["url"]);
    }
}
