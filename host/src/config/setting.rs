//! One value of the document, read as the type that a setting needs.
//!
//! A value of the wrong type or out of range is recorded as a mistake with its
//! position, the value as it was written, and the remedy. Messages show the
//! placeholder, never its value.
//!
//! Does not know which keys exist.

use std::net::SocketAddr;
use std::time::Duration;

use delfin_plugin_api::{
    quantity::{format_size, parse_duration, parse_size},
    text::excerpt,
};
use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::mistake::remedy;
use super::read::{Section, TomlDocument};
use super::secrets::SecretSettings;

const SHOWN_CHARS: usize = 80;

/// The minimum of a duration that must not be zero. The host counts in
/// milliseconds, so a shorter one would be zero.
pub(super) const SHORTEST: Duration = Duration::from_millis(1);

/// The maximum of every duration: longer than any that makes sense, and short
/// enough that adding it to a time cannot overflow.
const LONGEST: Duration = Duration::from_hours(100 * 365 * 24);

/// A string of the document.
pub(super) struct SettingText {
    /// As written, with placeholders: for messages.
    pub(super) shown: String,
    /// With placeholders replaced by their values.
    pub(super) value: String,
}

/// A value and its position.
pub(super) struct Setting<'d> {
    document: &'d TomlDocument<'d>,
    path: String,
    line: usize,
    value: &'d DeValue<'d>,
}

impl<'d> Setting<'d> {
    pub(super) fn new(
        document: &'d TomlDocument<'d>,
        path: String,
        line: usize,
        value: &'d Spanned<DeValue<'d>>,
    ) -> Self {
        Self {
            document,
            path,
            line,
            value: value.get_ref(),
        }
    }

    /// Records a mistake.
    pub(super) fn fail(&self, message: String) {
        self.document.fail(Some(self.line), &self.path, message);
    }

    /// Records a mistake whose message begins with the value as it was written.
    pub(super) fn fail_showing(&self, message: &str) {
        self.fail(match self.scalar() {
            Some(shown) => format!("`{shown}` {message}"),
            None => message.to_owned(),
        });
    }

    /// Records a warning: the value is valid, but probably not intended.
    pub(super) fn warn(&self, message: String) {
        self.document.warn(Some(self.line), &self.path, message);
    }

    pub(super) fn text(&self) -> Option<SettingText> {
        let DeValue::String(written) = self.value else {
            return self.refuse_type("write a string");
        };
        match self.document.resolve(written) {
            Ok(value) => Some(SettingText {
                shown: excerpt(written, SHOWN_CHARS),
                value,
            }),
            Err(error) => {
                self.fail(error.to_string());
                None
            }
        }
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        self.value.as_str() == Some(word)
    }

    /// A string that is not empty.
    pub(super) fn filled_text(&self) -> Option<SettingText> {
        let text = self.text()?;
        if text.value.trim().is_empty() {
            return self.refuse_text(&text, "is empty (write a value)");
        }
        Some(text)
    }

    /// A list of strings: an array, or one string with commas.
    pub(super) fn texts(&self) -> Option<Vec<SettingText>> {
        match self.value {
            DeValue::String(_) => Some(split_at_commas(self.text()?)),
            DeValue::Array(array) => {
                let items = array
                    .iter()
                    .enumerate()
                    .map(|(index, value)| self.element(index, value));
                Some(items.filter_map(|setting| setting.text()).collect())
            }
            _ => self.refuse_type("write an array of strings, or one string with commas"),
        }
    }

    pub(super) fn duration(&self, least: Duration) -> Option<Duration> {
        const REMEDY: &str = "write `10s`, `250ms` or `1h30m`";
        if !self.value.is_str() {
            return self.refuse_type(REMEDY);
        }
        let text = self.text()?;
        let Some(duration) = parse_duration(&text.value) else {
            return self.refuse_text(&text, &format!("is not a duration ({REMEDY})"));
        };
        if duration < least {
            let least = humantime::format_duration(least);
            return self.refuse_text(&text, &format!("is too short (write at least `{least}`)"));
        }
        if duration > LONGEST {
            return self.refuse_text(&text, "is too long (write at most 100 years)");
        }
        Some(duration)
    }

    pub(super) fn size(&self, least: u64) -> Option<u64> {
        const REMEDY: &str = "write `8GiB`, `10MB` or a number of bytes";
        let (bytes, shown) = match self.value {
            DeValue::Integer(integer) => (parse_size(&integer_text(integer)), integer.to_string()),
            DeValue::String(_) => {
                let text = self.text()?;
                (parse_size(&text.value), text.shown)
            }
            _ => return self.refuse_type(REMEDY),
        };
        match bytes {
            Some(bytes) if bytes >= least => return Some(bytes),
            Some(_) => self.fail(format!(
                "`{shown}` is too small (write at least `{}`)",
                format_size(least)
            )),
            None => self.fail(format!("`{shown}` is not a size ({REMEDY})")),
        }
        None
    }

    pub(super) fn count(&self, least: u64) -> Option<u64> {
        let DeValue::Integer(integer) = self.value else {
            return self.refuse_type("write a whole number");
        };
        match integer_text(integer).parse::<u64>() {
            Ok(count) if count >= least => Some(count),
            _ => {
                self.fail(format!(
                    "`{integer}` is out of range (write a whole number of at least {least})"
                ));
                None
            }
        }
    }

    pub(super) fn number(&self) -> Option<f64> {
        let written = match self.value {
            DeValue::Integer(integer) => integer_text(integer),
            DeValue::Float(float) => float.as_str().to_owned(),
            _ => return self.refuse_type("write a number"),
        };
        match written.parse::<f64>() {
            Ok(number) if number.is_finite() => Some(number),
            _ => {
                self.fail(format!(
                    "`{written}` is not a finite number (write a number such as `1.5`)"
                ));
                None
            }
        }
    }

    pub(super) fn flag(&self) -> Option<bool> {
        match self.value.as_bool() {
            Some(flag) => Some(flag),
            None => self.refuse_type("write `true` or `false`, without quotes"),
        }
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        const REMEDY: &str = "write an IP address and a port: `127.0.0.1:8190` or `[::1]:8190`";
        if !self.value.is_str() {
            return self.refuse_type(REMEDY);
        }
        let text = self.text()?;
        match text.value.parse() {
            Ok(address) => Some(address),
            Err(_) => self.refuse_text(&text, &format!("is not an address ({REMEDY})")),
        }
    }

    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        if let Some((_, choice)) = choices.iter().find(|(word, _)| *word == text.value) {
            return Some(*choice);
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        // The suggestion compares the text as written: one for the value of a
        // placeholder would reveal what the secret is similar to.
        self.refuse_text(
            &text,
            &format!(
                "is not a valid value ({})",
                remedy(&text.shown, &words, "use one of")
            ),
        )
    }

    pub(super) fn section(&self) -> Option<Section<'d>> {
        match self.value {
            DeValue::Table(table) => Some(self.section_of(table)),
            _ => self.refuse_type("write a table"),
        }
    }

    /// The sections of an array of tables.
    pub(super) fn sections(&self) -> Vec<Section<'d>> {
        let DeValue::Array(array) = self.value else {
            let remedy = format!("write an array of tables, `[[{}]]`", self.path);
            self.refuse_type::<()>(&remedy);
            return Vec::new();
        };
        let items = array
            .iter()
            .enumerate()
            .map(|(index, value)| self.element(index, value));
        items.filter_map(|setting| setting.section()).collect()
    }

    pub(super) fn json_table(&self) -> Option<Map<String, Value>> {
        match self.json()? {
            Value::Object(map) => Some(map),
            _ => self.refuse_type("write a table"),
        }
    }

    pub(super) fn secrets(&self) -> SecretSettings {
        SecretSettings::find(self.value)
    }

    pub(super) fn json(&self) -> Option<Value> {
        match self.value {
            DeValue::String(_) => Some(Value::String(self.text()?.value)),
            DeValue::Boolean(flag) => Some(Value::Bool(*flag)),
            DeValue::Datetime(datetime) => Some(Value::String(datetime.to_string())),
            DeValue::Integer(integer) => {
                let written = integer_text(integer);
                let number = written.parse::<i64>().map(Value::from);
                match number.or_else(|_| written.parse::<u64>().map(Value::from)) {
                    Ok(number) => Some(number),
                    Err(_) => {
                        self.fail(format!(
                            "`{written}` is too large (an integer has at most 64 bits)"
                        ));
                        None
                    }
                }
            }
            DeValue::Float(_) => Some(Value::from(self.number()?)),
            DeValue::Array(array) => {
                let items = array
                    .iter()
                    .enumerate()
                    .map(|(index, value)| self.element(index, value));
                Some(Value::Array(
                    items.filter_map(|setting| setting.json()).collect(),
                ))
            }
            DeValue::Table(table) => {
                let items = self.section_of(table).take_all().into_iter();
                Some(Value::Object(
                    items
                        .filter_map(|(key, setting)| Some((key, setting.json()?)))
                        .collect(),
                ))
            }
        }
    }

    fn section_of(&self, table: &'d DeTable<'d>) -> Section<'d> {
        Section::new(
            self.document,
            Some(table),
            self.path.clone(),
            Some(self.line),
        )
    }

    fn element(&self, index: usize, value: &'d Spanned<DeValue<'d>>) -> Setting<'d> {
        let line = self.document.position(value.span().start).0;
        Setting::new(
            self.document,
            format!("{}[{index}]", self.path),
            line,
            value,
        )
    }

    /// Records that the value has the wrong type.
    fn refuse_type<T>(&self, remedy: &str) -> Option<T> {
        let article = |noun: &str| {
            if noun.starts_with(['a', 'i']) {
                "an"
            } else {
                "a"
            }
        };
        let noun = self.value.type_str();
        self.fail_showing(&format!("is {} {noun} ({remedy})", article(noun)));
        None
    }

    fn refuse_text<T>(&self, text: &SettingText, message: &str) -> Option<T> {
        self.fail(format!("`{}` {message}", text.shown));
        None
    }

    /// The value as it was written; `None` for arrays and tables.
    fn scalar(&self) -> Option<String> {
        match self.value {
            DeValue::String(written) => Some(excerpt(written, SHOWN_CHARS)),
            DeValue::Integer(integer) => Some(integer.to_string()),
            DeValue::Float(float) => Some(float.to_string()),
            DeValue::Boolean(flag) => Some(flag.to_string()),
            DeValue::Datetime(datetime) => Some(datetime.to_string()),
            DeValue::Array(_) | DeValue::Table(_) => None,
        }
    }
}

/// The integer in decimal digits; as it was written if it has more than 128 bits.
fn integer_text(integer: &DeInteger<'_>) -> String {
    match i128::from_str_radix(integer.as_str(), integer.radix()) {
        Ok(number) => number.to_string(),
        Err(_) => integer.to_string(),
    }
}

/// In messages, each piece of a string with placeholders is shown as the whole
/// string: the pieces of the written text are not those of the value.
fn split_at_commas(text: SettingText) -> Vec<SettingText> {
    if text.value.trim().is_empty() {
        return Vec::new();
    }
    let plain = text.shown == text.value;
    let pieces = text.value.split(',').map(str::trim);
    pieces
        .map(|piece| SettingText {
            shown: if plain {
                piece.to_owned()
            } else {
                text.shown.clone()
            },
            value: piece.to_owned(),
        })
        .collect()
}
