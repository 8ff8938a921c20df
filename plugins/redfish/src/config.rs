//! The options of a storage.
//!
//! Promises: all mistakes are reported at once; no message shows a password. Values of
//! `extra_attributes` are texts, because a registration accepts no others.

use std::time::Duration;

use delfin_plugin_api::{
    Failure,
    driver::{RegisteredStorage, StorageAccess},
    http::{Tls, check_url},
    quantity::parse_duration,
    setting::{Mistakes, Secret},
};
use serde_json::{Map, Value};

/// The longest time of one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// The requests of one call.
const MAX_REQUESTS: u32 = 5_000;

/// The age from which a log entry is history.
const MAX_ALERT_AGE: Duration = Duration::from_secs(7 * 24 * 3600);

/// The keys of `extra_attributes`.
const KEYS: &str = "`scheme`, `authentication`, `ca_certificate`, `client_certificate`, `client_key`, \
                    `max_alert_age`, `events`, `request_timeout`, `max_requests`";

const LOGIN: &str = "write `session` or `basic`";
const SCHEME: &str = "write `https` or `http`";
const COUNT: &str = "write a number from 10 to 100000";
const DURATION: &str = "write `30s`, `5m` or `7d`";
const FLAG: &str = "write `true` or `false`";

/// How to ask a storage.
#[derive(Debug)]
pub(crate) struct RedfishConfig {
    /// Scheme, host and port, without a slash at the end.
    pub(crate) base: String,
    pub(crate) login: RedfishLogin,
    pub(crate) tls: Tls,
    pub(crate) request_timeout: Duration,
    pub(crate) max_requests: u32,
    pub(crate) max_alert_age: Duration,
    pub(crate) events: bool,
}

/// How the driver shows who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RedfishLogin {
    /// No user was registered.
    Anonymous,
    Basic {
        username: String,
        password: Secret,
    },
    Session {
        username: String,
        password: Secret,
    },
}

impl RedfishConfig {
    pub(crate) fn read(storage: &RegisteredStorage) -> Result<Self, Failure> {
        let mut mistakes = Mistakes::default();
        let mut extra = match storage.options.get("extra_attributes") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(extra)) => extra.clone(),
            Some(_) => {
                mistakes.add("`extra_attributes` is not a table".to_owned());
                Map::new()
            }
        };
        let Some(rest) = storage.access("rest") else {
            return Err(Failure::misconfigured(
                "`rest` is missing (write `host`, `username` and `password`)",
            ));
        };
        let base = base(&rest, extra.remove("scheme"), &mut mistakes);
        let login = login(rest, extra.remove("authentication"), &mut mistakes);
        let tls = Tls::read(
            extra.remove("ca_certificate"),
            extra.remove("client_certificate"),
            extra.remove("client_key"),
            &mut mistakes,
        );
        let request_timeout = duration("request_timeout", &mut extra, &mut mistakes);
        let max_alert_age = duration("max_alert_age", &mut extra, &mut mistakes);
        let count = |value: &Value| {
            let number = plain(value)?.parse().ok()?;
            (10..=100_000).contains(&number).then_some(number)
        };
        let max_requests = extra.remove("max_requests");
        let max_requests = mistakes.read("max_requests", max_requests, count, COUNT);
        let config = Self {
            base,
            login,
            tls,
            request_timeout: request_timeout.unwrap_or(REQUEST_TIMEOUT),
            max_requests: max_requests.unwrap_or(MAX_REQUESTS),
            max_alert_age: max_alert_age.unwrap_or(MAX_ALERT_AGE),
            events: flag("events", &mut extra, &mut mistakes),
        };
        for unknown in extra.keys() {
            mistakes.add(format!(
                "`extra_attributes` has an unknown key `{unknown}` (write one of {KEYS}, or remove it)"
            ));
        }
        mistakes.into_result(config).map_err(Failure::misconfigured)
    }
}

fn base(rest: &StorageAccess, scheme: Option<Value>, mistakes: &mut Mistakes) -> String {
    let is_scheme = |value: &Value| plain(value).filter(|text| text == "https" || text == "http");
    let scheme = mistakes.read("scheme", scheme, is_scheme, SCHEME);
    let scheme = scheme.unwrap_or_else(|| "https".to_owned());
    if rest.host.trim().is_empty() {
        mistakes.missing("rest.host", "write a name or an address");
        return String::new();
    }
    let authority = rest.authority();
    let base = format!("{scheme}://{authority}");
    if authority.contains(['/', '?', '#']) {
        let host = &rest.host;
        mistakes.add(format!(
            "`rest.host` cannot be `{host}` (write a name or an address)"
        ));
    } else {
        check_url("rest.host", &base, mistakes);
    }
    base
}

fn login(rest: StorageAccess, scheme: Option<Value>, mistakes: &mut Mistakes) -> RedfishLogin {
    let is_login = |value: &Value| plain(value).filter(|text| text == "session" || text == "basic");
    let scheme = mistakes.read("authentication", scheme, is_login, LOGIN);
    let (username, password) = (rest.username, Secret::new(rest.password));
    match scheme.as_deref() {
        _ if username.is_empty() => RedfishLogin::Anonymous,
        Some("basic") => {
            if username.contains(':') {
                mistakes.add(
                    "`rest.username` has a colon, which ends a user name (set `authentication` to \
                     `session`)"
                        .to_owned(),
                );
            }
            RedfishLogin::Basic { username, password }
        }
        _ => RedfishLogin::Session { username, password },
    }
}

fn duration(
    key: &str,
    extra: &mut Map<String, Value>,
    mistakes: &mut Mistakes,
) -> Option<Duration> {
    let read = |value: &Value| {
        let duration = parse_duration(&plain(value)?)?;
        (duration >= Duration::from_secs(1)).then_some(duration)
    };
    mistakes.read(key, extra.remove(key), read, DURATION)
}

/// True unless it is switched off.
fn flag(key: &str, extra: &mut Map<String, Value>, mistakes: &mut Mistakes) -> bool {
    let read = |value: &Value| plain(value)?.parse().ok();
    let flag = mistakes.read(key, extra.remove(key), read, FLAG);
    flag.unwrap_or(true)
}

/// A text, or a number or a flag of the configuration file as one.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(options: Value) -> Result<RedfishConfig, String> {
        let storage = RegisteredStorage {
            id: "s".to_owned(),
            vendor: "redfish".to_owned(),
            model: "redfish".to_owned(),
            options: options.as_object().cloned().unwrap_or_default(),
            interval: None,
        };
        RedfishConfig::read(&storage).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_host_is_enough_and_a_user_logs_in() {
        let config = read(json!({"rest": {"host": "192.0.2.7"}})).unwrap();
        assert_eq!(config.base, "https://192.0.2.7");
        assert_eq!(config.login, RedfishLogin::Anonymous);
        assert!(config.events);
        let config = read(json!({
            "rest": {"host": "2001:db8::7", "port": 8443, "username": "u", "password": "p"},
            "extra_attributes": {"scheme": "http", "events": "false", "max_alert_age": "1d"}
        }));
        let config = config.unwrap();
        assert_eq!(config.base, "http://[2001:db8::7]:8443");
        assert!(matches!(config.login, RedfishLogin::Session { .. }));
        assert!(!config.events);
        assert_eq!(config.max_alert_age, Duration::from_secs(86_400));
    }

    #[test]
    fn every_mistake_is_named_and_no_password_is_shown() {
        let text = read(json!({
            "rest": {"host": "a/b", "username": "a:b", "password": "hunter2"},
            "extra_attributes": {
                "authentication": "basic",
                "scheme": "ftp",
                "request_timeout": "0s",
                "max_requests": "many",
                "events": "perhaps",
                "client_key": "key.pem",
                "even": "1"
            }
        }));
        let text = text.unwrap_err();
        for part in [
            "`scheme` cannot be `\"ftp\"` (write `https` or `http`)",
            "`rest.host` cannot be `a/b` (write a name or an address)",
            "`rest.username` has a colon",
            "`client_certificate` and `client_key` come together",
            "`request_timeout` cannot be `\"0s\"`",
            "`max_requests` cannot be `\"many\"`",
            "`events` cannot be `\"perhaps\"`",
            "unknown key `even` (write one of `scheme`, `authentication`",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(!text.contains("hunter2"), "{text}");
        assert!(
            read(json!({}))
                .unwrap_err()
                .starts_with("`rest` is missing")
        );
        let text = read(json!({"rest": {"port": 443}})).unwrap_err();
        assert!(text.contains("`rest.host` is missing"), "{text}");
    }
}
