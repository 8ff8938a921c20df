//! Reads settings one by one, so that all mistakes are reported at once.
//!
//! Settings whose fields are each an `Option<Value>` take anything, and are
//! checked with [`Mistakes`] when they are made into what the exporter uses.
//!
//! Promises: a mistake names its key, its value and what would be right, and
//! the value of a secret never; nothing falls back to a default.

use std::time::Duration;

use serde_json::Value;

use crate::quantity::parse_duration;

const TRUTH: &str = "write true or false";
const DURATION: &str = "write `5m`, `90s` or `1h30m`, more than 0";
const PORT: &str = "write a number from 0 to 65535";
const TEXT: &str = "write a text in quotes";

/// Why settings cannot work.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct ConfigError(Vec<String>);

/// The mistakes found so far.
#[derive(Debug, Default)]
pub struct Mistakes(Vec<String>);

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Mistakes {
    /// Reads a value that is there with `read`, which says `None` to a wrong one.
    pub fn read<T>(
        &mut self,
        key: &str,
        value: Option<Value>,
        read: impl FnOnce(&Value) -> Option<T>,
        right: &str,
    ) -> Option<T> {
        let value = value?;
        let result = read(&value);
        if result.is_none() {
            self.add(format!("`{key}` cannot be `{value}` ({right})"));
        }
        result
    }

    /// Whether something is so; not, unless it is said.
    pub fn truth(&mut self, key: &str, value: Option<Value>) -> bool {
        self.read(key, value, Value::as_bool, TRUTH)
            .unwrap_or(false)
    }

    /// A duration that is more than 0, such as `1h30m`.
    pub fn duration(&mut self, key: &str, value: Option<Value>) -> Option<Duration> {
        let read = |value: &Value| {
            let duration = parse_duration(value.as_str()?)?;
            (!duration.is_zero()).then_some(duration)
        };
        self.read(key, value, read, DURATION)
    }

    /// A port; in quotes too, as Delfin's options have it.
    pub fn port(&mut self, key: &str, value: Option<Value>) -> Option<u16> {
        let read = |value: &Value| match value {
            Value::String(text) => text.trim().parse().ok(),
            other => u16::try_from(other.as_u64()?).ok(),
        };
        self.read(key, value, read, PORT)
    }

    /// A text that is not empty.
    pub fn text(&mut self, key: &str, value: Option<Value>) -> Option<String> {
        let read = |value: &Value| Some(value.as_str()?.to_owned()).filter(|text| !text.is_empty());
        self.read(key, value, read, TEXT)
    }

    /// A text that is not empty, and that nobody may see.
    pub fn secret(&mut self, key: &str, value: Option<Value>) -> Option<Secret> {
        let text = match value? {
            Value::String(text) if !text.is_empty() => text,
            _ => {
                self.add(format!("`{key}` is no text, or an empty one ({TEXT})"));
                return None;
            }
        };
        Some(Secret(text))
    }

    /// Adds one: the key in backquotes, the reason, the remedy in brackets.
    pub fn add(&mut self, mistake: String) {
        self.0.push(mistake);
    }

    /// The settings, unless there were mistakes.
    ///
    /// # Errors
    ///
    /// All mistakes.
    pub fn none_or<T>(self, settings: T) -> Result<T, ConfigError> {
        if self.0.is_empty() {
            return Ok(settings);
        }
        Err(ConfigError(self.0))
    }
}

impl Secret {
    /// A text that is not shown from now on.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_mistake_is_reported_and_no_secret_is_shown() {
        let mut mistakes = Mistakes::default();
        assert_eq!(mistakes.text("name", Some(json!(""))), None);
        assert_eq!(mistakes.port("port", Some(json!("70000"))), None);
        assert_eq!(mistakes.secret("password", Some(json!(["hunter2"]))), None);
        assert_eq!(
            mistakes.none_or(()).unwrap_err().to_string(),
            "`name` cannot be `\"\"` (write a text in quotes); \
             `port` cannot be `\"70000\"` (write a number from 0 to 65535); \
             `password` is no text, or an empty one (write a text in quotes)"
        );
        let secret = Mistakes::default().secret("password", Some(json!("hunter2")));
        assert_eq!(format!("{secret:?}"), "Some(***)");
    }
}
