//! One value of the document, read as what is wanted of it.
//!
//! Whatever does not fit is recorded with its place, its value as it was
//! written and what would be right. Placeholders are shown unresolved.
//!
//! Knows nothing of which keys there are.

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
use super::read::{Document, Section};

const SHOWN_CHARS: usize = 80;

/// Longer than any duration makes sense, and short enough to be added to any
/// clock's reading.
const LONGEST: Duration = Duration::from_hours(100 * 365 * 24);

/// A string of the document.
pub(super) struct Text {
    /// As it was written, with its placeholders: fit for messages.
    pub(super) shown: String,
    /// With its placeholders resolved.
    pub(super) value: String,
}

/// A value and its place.
pub(super) struct Item<'d> {
    document: &'d Document<'d>,
    path: String,
    line: usize,
    value: &'d DeValue<'d>,
}

impl<'d> Item<'d> {
    pub(super) fn new(
        document: &'d Document<'d>,
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

    /// Records that the value does not fit.
    pub(super) fn fail(&self, message: String) {
        self.document.fail(Some(self.line), &self.path, message);
    }

    /// Records that the value does not fit, showing it as it was written.
    pub(super) fn fail_showing(&self, message: &str) {
        self.fail(match self.scalar() {
            Some(shown) => format!("`{shown}` {message}"),
            None => message.to_owned(),
        });
    }

    /// Records something that may be meant, but probably is not.
    pub(super) fn warn(&self, message: String) {
        self.document.warn(Some(self.line), &self.path, message);
    }

    pub(super) fn text(&self) -> Option<Text> {
        let DeValue::String(written) = self.value else {
            return self.refuse("a string is wanted");
        };
        match self.document.resolve(written) {
            Ok(value) => Some(Text {
                shown: excerpt(written, SHOWN_CHARS),
                value,
            }),
            Err(error) => {
                self.fail(error.to_string());
                None
            }
        }
    }

    /// Whether it is that word.
    pub(super) fn is_word(&self, word: &str) -> bool {
        self.value.as_str() == Some(word)
    }

    /// A string with something in it.
    pub(super) fn filled_text(&self) -> Option<Text> {
        let text = self.text()?;
        if text.value.trim().is_empty() {
            return self.refuse_text(&text, "is empty (fill it in)");
        }
        Some(text)
    }

    /// A list of strings: an array, or one string with commas.
    pub(super) fn texts(&self) -> Option<Vec<Text>> {
        match self.value {
            DeValue::String(_) => Some(split_at_commas(self.text()?)),
            DeValue::Array(array) => {
                let items = array
                    .iter()
                    .enumerate()
                    .map(|(index, value)| self.element(index, value));
                Some(items.filter_map(|item| item.text()).collect())
            }
            _ => self.refuse("an array of strings is wanted, or one string with commas"),
        }
    }

    pub(super) fn duration(&self, least: Duration) -> Option<Duration> {
        const RIGHT: &str = "write `10s`, `250ms` or `1h30m`";
        if !self.value.is_str() {
            return self.refuse(RIGHT);
        }
        let text = self.text()?;
        let Some(duration) = parse_duration(&text.value) else {
            return self.refuse_text(&text, &format!("is not a duration ({RIGHT})"));
        };
        if duration < least {
            let least = humantime::format_duration(least);
            return self.refuse_text(&text, &format!("is too short (at least `{least}`)"));
        }
        if duration > LONGEST {
            return self.refuse_text(&text, "is too long (at most 100 years)");
        }
        Some(duration)
    }

    pub(super) fn size(&self, least: u64) -> Option<u64> {
        const RIGHT: &str = "write `8GiB`, `10MB` or a number of bytes";
        let (bytes, shown) = match self.value {
            DeValue::Integer(integer) => (parse_size(&integer_text(integer)), integer.to_string()),
            DeValue::String(_) => {
                let text = self.text()?;
                (parse_size(&text.value), text.shown)
            }
            _ => return self.refuse(RIGHT),
        };
        match bytes {
            Some(bytes) if bytes >= least => return Some(bytes),
            Some(_) => self.fail(format!(
                "`{shown}` is too small (at least `{}`)",
                format_size(least)
            )),
            None => self.fail(format!("`{shown}` is not a size ({RIGHT})")),
        }
        None
    }

    pub(super) fn count(&self, least: u64) -> Option<u64> {
        let DeValue::Integer(integer) = self.value else {
            return self.refuse("a whole number is wanted");
        };
        match integer_text(integer).parse::<u64>() {
            Ok(count) if count >= least => Some(count),
            _ => {
                self.fail(format!(
                    "`{integer}` does not fit (a whole number from {least} on is wanted)"
                ));
                None
            }
        }
    }

    pub(super) fn number(&self) -> Option<f64> {
        let written = match self.value {
            DeValue::Integer(integer) => integer_text(integer),
            DeValue::Float(float) => float.as_str().to_owned(),
            _ => return self.refuse("a number is wanted"),
        };
        match written.parse::<f64>() {
            Ok(number) if number.is_finite() => Some(number),
            _ => {
                self.fail(format!(
                    "`{written}` does not fit (a finite number is wanted)"
                ));
                None
            }
        }
    }

    pub(super) fn flag(&self) -> Option<bool> {
        match self.value.as_bool() {
            Some(flag) => Some(flag),
            None => self.refuse("write `true` or `false`, without quotes"),
        }
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        const RIGHT: &str = "write an IP address and a port: `127.0.0.1:8190` or `[::1]:8190`";
        if !self.value.is_str() {
            return self.refuse(RIGHT);
        }
        let text = self.text()?;
        match text.value.parse() {
            Ok(address) => Some(address),
            Err(_) => self.refuse_text(&text, &format!("is not an address ({RIGHT})")),
        }
    }

    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        if let Some((_, choice)) = choices.iter().find(|(word, _)| *word == text.value) {
            return Some(*choice);
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        // A guess about a resolved value would tell what it nearly is.
        self.refuse_text(
            &text,
            &format!("is not known ({})", remedy(&text.shown, &words)),
        )
    }

    pub(super) fn section(&self) -> Option<Section<'d>> {
        match self.value {
            DeValue::Table(table) => Some(self.section_of(table)),
            _ => self.refuse("a table is wanted"),
        }
    }

    /// The sections of an array of tables.
    pub(super) fn sections(&self) -> Vec<Section<'d>> {
        let DeValue::Array(array) = self.value else {
            let right = format!("an array of tables is wanted: write `[[{}]]`", self.path);
            self.refuse::<()>(&right);
            return Vec::new();
        };
        let items = array
            .iter()
            .enumerate()
            .map(|(index, value)| self.element(index, value));
        items.filter_map(|item| item.section()).collect()
    }

    pub(super) fn json_table(&self) -> Option<Map<String, Value>> {
        match self.json()? {
            Value::Object(map) => Some(map),
            _ => self.refuse("a table is wanted"),
        }
    }

    fn json(&self) -> Option<Value> {
        match self.value {
            DeValue::String(_) => Some(Value::String(self.text()?.value)),
            DeValue::Boolean(flag) => Some(Value::Bool(*flag)),
            DeValue::Datetime(datetime) => Some(Value::String(datetime.to_string())),
            DeValue::Integer(integer) => {
                let written = integer_text(integer);
                let number = written.parse::<i64>().map(Value::from);
                match number.or_else(|_| written.parse::<u64>().map(Value::from)) {
                    Ok(number) => Some(number),
                    Err(_) => self.refuse("a whole number has at most 64 bits"),
                }
            }
            DeValue::Float(_) => Some(Value::from(self.number()?)),
            DeValue::Array(array) => {
                let items = array
                    .iter()
                    .enumerate()
                    .map(|(index, value)| self.element(index, value));
                Some(Value::Array(items.filter_map(|item| item.json()).collect()))
            }
            DeValue::Table(table) => {
                let items = self.section_of(table).into_items().into_iter();
                Some(Value::Object(
                    items
                        .filter_map(|(key, item)| Some((key, item.json()?)))
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

    fn element(&self, index: usize, value: &'d Spanned<DeValue<'d>>) -> Item<'d> {
        let line = self.document.position(value.span().start).0;
        Item::new(
            self.document,
            format!("{}[{index}]", self.path),
            line,
            value,
        )
    }

    fn refuse<T>(&self, right: &str) -> Option<T> {
        let article = |noun: &str| {
            if noun.starts_with(['a', 'i']) {
                "an"
            } else {
                "a"
            }
        };
        let noun = self.value.type_str();
        self.fail_showing(&format!("is {} {noun} ({right})", article(noun)));
        None
    }

    fn refuse_text<T>(&self, text: &Text, message: &str) -> Option<T> {
        self.fail(format!("`{}` {message}", text.shown));
        None
    }

    /// The value as it was written, where that is one short word.
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

/// The integer in decimal digits; as it was written where it has too many.
fn integer_text(integer: &DeInteger<'_>) -> String {
    match i128::from_str_radix(integer.as_str(), integer.radix()) {
        Ok(number) => number.to_string(),
        Err(_) => integer.to_string(),
    }
}

/// Each piece of a resolved string is shown as the whole placeholder.
fn split_at_commas(text: Text) -> Vec<Text> {
    if text.value.trim().is_empty() {
        return Vec::new();
    }
    let plain = text.shown == text.value;
    let pieces = text.value.split(',').map(str::trim);
    pieces
        .map(|piece| Text {
            shown: if plain {
                piece.to_owned()
            } else {
                text.shown.clone()
            },
            value: piece.to_owned(),
        })
        .collect()
}
