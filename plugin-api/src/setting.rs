//! Reads settings one by one, so that all mistakes are reported at once.
//!
//! Declare each setting of a plugin as `Option<Value>`, so that serde accepts any
//! value, and read the values with [`Mistakes`] in `TryFrom`:
//!
//! ```
//! use delfin_plugin_api::{
//!     serde::Deserialize,
//!     setting::{ConfigError, Mistakes},
//! };
//! use serde_json::{Value, json};
//!
//! #[derive(Debug, Deserialize)]
//! #[serde(crate = "delfin_plugin_api::serde", try_from = "RawConfig")]
//! struct Config {
//!     path: String,
//!     port: u16,
//! }
//!
//! #[derive(Deserialize)]
//! #[serde(crate = "delfin_plugin_api::serde", deny_unknown_fields)]
//! struct RawConfig {
//!     path: Option<Value>,
//!     port: Option<Value>,
//! }
//!
//! impl TryFrom<RawConfig> for Config {
//!     type Error = ConfigError;
//!
//!     fn try_from(raw: RawConfig) -> Result<Self, ConfigError> {
//!         let mut mistakes = Mistakes::default();
//!         if raw.path.is_none() {
//!             mistakes.missing("path", "name a file");
//!         }
//!         let path = mistakes.text("path", raw.path);
//!         let port = mistakes.port("port", raw.port);
//!         mistakes.into_result(Self {
//!             path: path.unwrap_or_default(),
//!             port: port.unwrap_or(8195),
//!         })
//!     }
//! }
//!
//! let error = serde_json::from_value::<Config>(json!({ "port": -1 })).unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "`path` is missing (name a file); `port` cannot be `-1` (write a number from 0 to 65535)"
//! );
//! ```
//!
//! Promises: a mistake names its key, its value and what would be right; the value
//! of a secret is in no mistake; a wrong value is never replaced by a default.

use std::{
    borrow::{Borrow, Cow},
    fmt::Display,
    io,
    path::Path,
    time::Duration,
};

use serde_json::Value;

use crate::{Failure, quantity::parse_duration};

const FLAG: &str = "write true or false";
const DURATION: &str = "write `5m`, `90s` or `1h30m`, more than 0";
const PORT: &str = "write a number from 0 to 65535";
/// The remedy of a setting that is a text.
pub const TEXT: &str = "write a text in quotes that is not empty";

/// The mistakes in an exporter's settings, separated by `; `.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct ConfigError(Vec<String>);

impl ConfigError {
    /// Each mistake: the key in backquotes, the reason, the remedy in brackets.
    #[must_use]
    pub fn mistakes(&self) -> &[String] {
        &self.0
    }
}

/// Reads settings and collects every mistake.
///
/// Each method that reads takes the key of a setting and its value, owned or
/// borrowed. It returns `None` for an absent value, and for a wrong one after it
/// has added the mistake.
#[derive(Debug, Default)]
pub struct Mistakes(Vec<String>);

/// A text that is never shown: its debug form is `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Mistakes {
    /// Reads a value with `read`, which returns `None` for a wrong value. The
    /// mistake shows the value and `remedy`.
    pub fn read<T>(
        &mut self,
        key: &str,
        value: Option<impl Borrow<Value>>,
        read: impl FnOnce(&Value) -> Option<T>,
        remedy: &str,
    ) -> Option<T> {
        let value = value?;
        let value = value.borrow();
        let result = read(value);
        if result.is_none() {
            let value = without_credentials(value);
            self.add(format!("`{key}` cannot be `{value}` ({remedy})"));
        }
        result
    }

    /// Reads a value as [`read`](Self::read) does. The mistake does not show the
    /// value.
    pub fn read_secret<T>(
        &mut self,
        key: &str,
        value: Option<impl Borrow<Value>>,
        read: impl FnOnce(&Value) -> Option<T>,
        remedy: &str,
    ) -> Option<T> {
        let result = read(value?.borrow());
        if result.is_none() {
            self.add(format!("`{key}` has a wrong value ({remedy})"));
        }
        result
    }

    /// Reads true or false; an absent value is false.
    pub fn flag(&mut self, key: &str, value: Option<impl Borrow<Value>>) -> bool {
        self.flag_or(key, value, false)
    }

    /// Reads true or false.
    pub fn flag_or(&mut self, key: &str, value: Option<impl Borrow<Value>>, default: bool) -> bool {
        let flag = self.read(key, value, Value::as_bool, FLAG);
        flag.unwrap_or(default)
    }

    /// Reads a duration of more than 0, such as `1h30m`.
    pub fn duration(&mut self, key: &str, value: Option<impl Borrow<Value>>) -> Option<Duration> {
        let read = |value: &Value| {
            let duration = parse_duration(value.as_str()?)?;
            (!duration.is_zero()).then_some(duration)
        };
        self.read(key, value, read, DURATION)
    }

    /// Reads a port. Delfin's own options hold it as text, so text is right too.
    pub fn port(&mut self, key: &str, value: Option<impl Borrow<Value>>) -> Option<u16> {
        let read = |value: &Value| match value {
            Value::String(text) => text.trim().parse().ok(),
            other => u16::try_from(other.as_u64()?).ok(),
        };
        self.read(key, value, read, PORT)
    }

    /// Reads a text that is not empty.
    pub fn text(&mut self, key: &str, value: Option<impl Borrow<Value>>) -> Option<String> {
        self.read(key, value, non_empty_text, TEXT)
    }

    /// Reads a text that is secret and not empty.
    pub fn secret(&mut self, key: &str, value: Option<impl Borrow<Value>>) -> Option<Secret> {
        let text = self.read_secret(key, value, non_empty_text, TEXT);
        text.map(Secret)
    }

    /// Adds that a required setting is absent.
    pub fn missing(&mut self, key: &str, remedy: &str) {
        self.add(format!("`{key}` is missing ({remedy})"));
    }

    /// Adds a mistake: the key in backquotes, the reason, the remedy in brackets.
    pub fn add(&mut self, mistake: String) {
        self.0.push(mistake);
    }

    /// Returns `settings` if there was no mistake.
    ///
    /// # Errors
    ///
    /// All mistakes, in the order in which they were added.
    pub fn into_result<T>(self, settings: T) -> Result<T, ConfigError> {
        if self.0.is_empty() {
            return Ok(settings);
        }
        Err(ConfigError(self.0))
    }
}

/// For settings that cannot be made because a required one is absent or wrong.
impl From<Mistakes> for ConfigError {
    fn from(mistakes: Mistakes) -> Self {
        Self(mistakes.0)
    }
}

impl Secret {
    /// Wraps a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself. Do not log it or put it into an error.
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

/// The known word that the user probably meant.
///
/// The distance counts inserted, deleted, changed and swapped characters, without
/// regard to case. A third of the characters may differ, and one in a short word:
/// more would suggest words that have nothing to do with the written one.
pub fn did_you_mean<'k>(
    written: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<&'k str> {
    let written = written.to_lowercase();
    let max_distance = (written.chars().count() / 3).max(1);
    let distances = known.into_iter().map(|word| {
        let distance = strsim::damerau_levenshtein(&written, &word.to_lowercase());
        (distance, word)
    });
    distances
        .filter(|(distance, _)| *distance <= max_distance)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// Adds to each mistake about an unknown setting which one was probably meant. serde knows both
/// names, and passes on only a text.
pub(crate) fn with_suggestions(mistakes: &str) -> String {
    let mistakes = mistakes.split("; ").map(|mistake| {
        let meant = suggestion(mistake).map(|meant| format!(" (did you mean `{meant}`?)"));
        format!("{mistake}{}", meant.unwrap_or_default())
    });
    mistakes.collect::<Vec<_>>().join("; ")
}

fn suggestion(mistake: &str) -> Option<&str> {
    let (_, unknown) = mistake.split_once("unknown field `")?;
    let (written, expected) = unknown.split_once("`, expected ")?;
    // In a table of settings, its name comes first.
    let written = written.rsplit('.').next()?;
    let known = expected.split('`').skip(1).step_by(2);
    did_you_mean(written, known)
}

fn non_empty_text(value: &Value) -> Option<String> {
    Some(value.as_str()?.to_owned()).filter(|text| !text.is_empty())
}

/// The value as it may be shown: an address can hold a user name and a password.
fn without_credentials(value: &Value) -> Cow<'_, Value> {
    match value {
        Value::String(text) => match text.rsplit_once('@') {
            Some((before, host)) if before.contains(':') => {
                let scheme = before.split_once("://").map(|(scheme, _)| scheme);
                let scheme = scheme.map_or_else(String::new, |scheme| format!("{scheme}://"));
                Cow::Owned(Value::from(format!("{scheme}***@{host}")))
            }
            _ => Cow::Borrowed(value),
        },
        Value::Array(values) => {
            let shown = values
                .iter()
                .map(|value| without_credentials(value).into_owned());
            Cow::Owned(shown.collect())
        }
        _ => Cow::Borrowed(value),
    }
}

/// The failure of a setting whose file cannot be read.
#[must_use]
pub fn unreadable_file(key: &str, path: &Path, error: &io::Error) -> Failure {
    let reason = format!("{error} (name a file that the host's user can read)");
    unusable_file(key, path, &reason)
}

/// The failure of a setting whose file cannot be used. `reason` ends with the remedy.
#[must_use]
pub fn unusable_file(key: &str, path: &Path, reason: &dyn Display) -> Failure {
    let path = path.display();
    Failure::misconfigured(format!("cannot use `{key}` `{path}`: {reason}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_misspelt_word_is_found_and_a_different_word_is_not() {
        let check = |written, found| {
            assert_eq!(did_you_mean(written, ["listen", "level", "timeout"]), found);
        };
        check("listn", Some("listen"));
        check("lisetn", Some("listen"));
        check("Timeout", Some("timeout"));
        check("lvel", Some("level"));
        check("port", None);
        check("", None);
    }

    #[test]
    fn a_mistake_about_an_unknown_setting_ends_with_the_one_that_was_meant() {
        let check = |mistakes: &str, expected: &str| {
            assert_eq!(with_suggestions(mistakes), expected);
        };
        check(
            "unknown field `servrs`, expected one of `servers`, `subject`; `port` is missing",
            "unknown field `servrs`, expected one of `servers`, `subject` \
             (did you mean `servers`?); `port` is missing",
        );
        check(
            "`oauth2`: unknown field `scop`, expected `scope`",
            "`oauth2`: unknown field `scop`, expected `scope` (did you mean `scope`?)",
        );
        check(
            "unknown field `tls.cafile`, expected one of `ca_file`, `key`",
            "unknown field `tls.cafile`, expected one of `ca_file`, `key` (did you mean `ca_file`?)",
        );
        for other in [
            "unknown field `qos`, expected one of `address`, `topic`",
            "unknown field `a`, there are no fields",
            "`path` is missing (name a file)",
            "",
        ] {
            check(other, other);
        }
    }

    #[test]
    fn the_credentials_of_an_address_are_not_shown() {
        let shown = |value: Value| {
            let mut mistakes = Mistakes::default();
            mistakes.read("address", Some(value), |_| None::<()>, "write a host");
            mistakes.into_result(None::<()>).unwrap_err().to_string()
        };
        for (value, text) in [
            (json!("nats://u:p@ss@h:1"), r#""nats://***@h:1""#),
            (json!("u:pass@h/db"), r#""***@h/db""#),
            (json!(["a b", "u:pass@h"]), r#"["a b","***@h"]"#),
            (json!("someone@example"), r#""someone@example""#),
        ] {
            let expected = format!("`address` cannot be `{text}` (write a host)");
            assert_eq!(shown(value), expected);
        }
    }

    #[test]
    fn every_mistake_is_reported_and_no_secret_is_shown() {
        let mut mistakes = Mistakes::default();
        mistakes.missing("url", "write an address");
        assert_eq!(mistakes.text("name", Some(&json!(""))), None);
        assert_eq!(mistakes.port("port", Some(json!("70000"))), None);
        assert_eq!(mistakes.secret("password", Some(json!(["hunter2"]))), None);
        assert_eq!(
            mistakes.into_result(()).unwrap_err().to_string(),
            "`url` is missing (write an address); \
             `name` cannot be `\"\"` (write a text in quotes that is not empty); \
             `port` cannot be `\"70000\"` (write a number from 0 to 65535); \
             `password` has a wrong value (write a text in quotes that is not empty)"
        );
        let secret = Mistakes::default().secret("password", Some(json!("hunter2")));
        assert_eq!(format!("{secret:?}"), "Some(***)");
    }
}
