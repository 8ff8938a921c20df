//! Reads settings one by one, so that all mistakes are reported at once.
//!
//! Promises: a mistake names its key, its value and what would be right, and
//! the value of a secret never; nothing falls back to a default.

use std::time::Duration;

use serde_json::Value;

const TRUTH: &str = "write true or false";
const DURATION: &str = "write `5m`, `90s` or `1h30m`, more than 0";
const PORT: &str = "write a number from 0 to 65535";
const TEXT: &str = "write a text in quotes";

/// Why settings cannot work.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub(crate) struct ConfigError(Vec<String>);

/// The mistakes found so far.
#[derive(Debug, Default)]
pub(crate) struct Mistakes(Vec<String>);

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Mistakes {
    /// Reads a value that is there with `read`, which says `None` to a wrong one.
    pub(crate) fn read<T>(
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

    pub(crate) fn truth(&mut self, key: &str, value: Option<Value>) -> bool {
        self.read(key, value, Value::as_bool, TRUTH)
            .unwrap_or(false)
    }

    pub(crate) fn duration(&mut self, key: &str, value: Option<Value>) -> Option<Duration> {
        let read = |value: &Value| {
            let duration = humantime::parse_duration(value.as_str()?.trim()).ok()?;
            (!duration.is_zero()).then_some(duration)
        };
        self.read(key, value, read, DURATION)
    }

    /// A port; in quotes too, as Delfin's options have it.
    pub(crate) fn port(&mut self, key: &str, value: Option<Value>) -> Option<u16> {
        let read = |value: &Value| match value {
            Value::String(text) => text.trim().parse().ok(),
            other => u16::try_from(other.as_u64()?).ok(),
        };
        self.read(key, value, read, PORT)
    }

    pub(crate) fn text(&mut self, key: &str, value: Option<Value>) -> Option<String> {
        let read = |value: &Value| Some(value.as_str()?.to_owned()).filter(|text| !text.is_empty());
        self.read(key, value, read, TEXT)
    }

    pub(crate) fn secret(&mut self, key: &str, value: Option<Value>) -> Option<Secret> {
        let text = match value? {
            Value::String(text) if !text.is_empty() => text,
            _ => {
                self.add(format!("`{key}` is no text, or an empty one ({TEXT})"));
                return None;
            }
        };
        Some(Secret(text))
    }

    pub(crate) fn add(&mut self, mistake: String) {
        self.0.push(mistake);
    }

    /// The settings, unless there were mistakes.
    pub(crate) fn none_or<T>(self, settings: T) -> Result<T, ConfigError> {
        if self.0.is_empty() {
            return Ok(settings);
        }
        Err(ConfigError(self.0))
    }
}

impl Secret {
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}
