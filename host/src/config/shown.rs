//! The settings of a configuration file as others may see them: without secrets.
//!
//! Placeholders stay as they are written. Other values are hidden if their key or their text
//! tells that they are secrets, and so are all values of `headers`. Of URLs, the path and the
//! query are hidden: that of a webhook is a secret.

use delfin_plugin_api::http::redact_url;
use serde_json::{Map, Value};

const HIDDEN: &str = "<redacted>";

/// Parts of the names of settings whose values are secrets.
const SECRET_NAMES: [&str; 12] = [
    "password",
    "passwd",
    "secret",
    "token",
    "api_key",
    "apikey",
    "private_key",
    "auth_key",
    "routing_key",
    "authorization",
    "community",
    "credential",
];

/// What else may be a secret: hiding too much costs little here.
const ALSO_HIDDEN: &str = "headers";

/// The settings of texts that were read before as one document.
pub(super) fn shown<'t>(texts: impl IntoIterator<Item = &'t str>) -> Map<String, Value> {
    let mut settings = Map::new();
    for text in texts {
        add(&mut settings, toml::from_str(text).unwrap_or_default());
    }
    settings
        .into_iter()
        .map(|(key, value)| {
            let value = hide(&key, value, false);
            (key, value)
        })
        .collect()
}

/// Adds settings: tables and lists have those of both.
fn add(settings: &mut Map<String, Value>, more: Map<String, Value>) {
    for (key, value) in more {
        match (settings.get_mut(&key), value) {
            (Some(Value::Object(settings)), Value::Object(more)) => add(settings, more),
            (Some(Value::Array(items)), Value::Array(more)) => items.extend(more),
            (_, value) => drop(settings.insert(key, value)),
        }
    }
}

fn hide(key: &str, value: Value, in_secret: bool) -> Value {
    let is_secret = in_secret
        || ((is_secret_name(key) || key.eq_ignore_ascii_case(ALSO_HIDDEN))
            && !key.to_lowercase().ends_with("_file"));
    match value {
        Value::Object(table) => {
            let items = table.into_iter();
            let items = items.map(|(key, value)| {
                let value = hide(&key, value, is_secret);
                (key, value)
            });
            Value::Object(items.collect())
        }
        Value::Array(items) => {
            let items = items.into_iter();
            Value::Array(items.map(|item| hide(key, item, is_secret)).collect())
        }
        Value::String(text) if is_placeholder(&text) => Value::String(text),
        Value::String(text) if is_secret || has_password(&text) => Value::from(HIDDEN),
        Value::String(text) if text.starts_with("http") && text.contains("://") => {
            Value::from(redact_url(&text))
        }
        Value::Number(_) if is_secret => Value::from(HIDDEN),
        other => other,
    }
}

/// Whether the name of a setting, or of a header, tells that its value is a secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    let name = name.to_lowercase().replace('-', "_");
    SECRET_NAMES.iter().any(|part| name.contains(part))
}

/// Whether a text is a placeholder and nothing else.
fn is_placeholder(text: &str) -> bool {
    let inside = text
        .strip_prefix("${")
        .and_then(|text| text.strip_suffix('}'));
    inside.is_some_and(|inside| !inside.contains(['$', '}']))
}

/// Whether a text is a URL with a password, or has one among its parameters.
fn has_password(text: &str) -> bool {
    let user = text.split_once("://").map_or("", |(_, rest)| rest);
    let user = user.split(['/', '?']).next().unwrap_or_default();
    let lower = text.to_lowercase();
    user.contains('@')
        || ["password=", "token=", "secret=", "api_key="]
            .iter()
            .any(|part| lower.contains(part))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_hidden_and_placeholders_are_shown() {
        let text = r#"
            performance_exporters = ["a"]
            [exporter.a.config]
            url = "https://user:hunter2@receiver/path"
            address = "https://receiver/user@path"
            urls = ["http://receiver:9093", "https://hooks.example.com/services/t0ken?key=t0ken"]
            dsn = "host=db Password=hunter2"
            API_TOKEN = "hunter2"
            password = "${env:PASSWORD}"
            mixed_password = "${env:A}hunter2"
            password_file = "/run/secret"
            pin_secret = 1234
            [exporter.a.config.headers]
            X-Any = ["hunter2"]
            [[storage]]
            vendor = "v"
            snmp = { community = "hunter2", port = 161 }
        "#;
        assert_eq!(
            Value::Object(shown([text])),
            json!({
                "performance_exporters": ["a"],
                "exporter": {"a": {"config": {
                    "url": HIDDEN,
                    "address": "https://receiver/…",
                    "urls": ["http://receiver:9093", "https://hooks.example.com/…"],
                    "dsn": HIDDEN,
                    "API_TOKEN": HIDDEN,
                    "password": "${env:PASSWORD}",
                    "mixed_password": HIDDEN,
                    "password_file": "/run/secret",
                    "pin_secret": HIDDEN,
                    "headers": {"X-Any": [HIDDEN]},
                }}},
                "storage": [{"vendor": "v", "snmp": {"community": HIDDEN, "port": 161}}],
            })
        );
    }
}
