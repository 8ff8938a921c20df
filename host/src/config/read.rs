//! Reading a parsed TOML document key by key.
//!
//! A [`Section`] hands out its keys' values and remembers which it was asked
//! for; when it is finished, every other key is a mistake. A bad value is
//! recorded in the [`Document`], and reading goes on with the default, only to
//! find the other mistakes too: a document with mistakes gives no configuration.
//!
//! Knows nothing of what the keys mean.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;

use delfin_plugin_api::redact::Redactor;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::item::{Item, Text};
use super::mistake::{Mistake, remedy};
use super::placeholder::{self, PlaceholderError};

/// A document's text, and what was found while reading it.
pub(super) struct Document<'d> {
    text: &'d str,
    line_starts: Vec<usize>,
    mistakes: RefCell<Vec<Mistake>>,
    warnings: RefCell<Vec<Mistake>>,
    redactor: RefCell<Redactor>,
}

/// What was found while reading a document.
pub(super) struct Findings {
    pub(super) mistakes: Vec<Mistake>,
    pub(super) warnings: Vec<Mistake>,
    pub(super) redactor: Redactor,
}

impl<'d> Document<'d> {
    pub(super) fn new(text: &'d str) -> Self {
        let after_newlines = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            text,
            line_starts: std::iter::once(0).chain(after_newlines).collect(),
            mistakes: RefCell::default(),
            warnings: RefCell::default(),
            redactor: RefCell::default(),
        }
    }

    /// The document's outermost section.
    pub(super) fn root(&'d self, table: &'d DeTable<'d>) -> Section<'d> {
        Section::new(self, Some(table), String::new(), None)
    }

    /// Line and column of a byte, both counted from 1.
    pub(super) fn position(&self, byte: usize) -> (usize, usize) {
        let line = self.line_starts.partition_point(|start| *start <= byte);
        let before = self
            .text
            .get(self.line_starts[line - 1]..byte)
            .unwrap_or_default();
        (line, before.chars().count() + 1)
    }

    pub(super) fn fail(&self, line: Option<usize>, key: &str, message: String) {
        self.mistakes.borrow_mut().push(Mistake {
            line,
            key: key.to_owned(),
            message,
        });
    }

    pub(super) fn warn(&self, line: Option<usize>, key: &str, message: String) {
        self.warnings.borrow_mut().push(Mistake {
            line,
            key: key.to_owned(),
            message,
        });
    }

    pub(super) fn resolve(&self, text: &str) -> Result<String, PlaceholderError> {
        placeholder::resolve(text, &mut self.redactor.borrow_mut())
    }

    pub(super) fn into_findings(self) -> Findings {
        let mut warnings = self.warnings.into_inner();
        warnings.sort_by_key(|warning| warning.line);
        Findings {
            mistakes: self.mistakes.into_inner(),
            warnings,
            redactor: self.redactor.into_inner(),
        }
    }
}

/// A table of the document; one that is absent reads as an empty one.
pub(super) struct Section<'d> {
    document: &'d Document<'d>,
    table: Option<&'d DeTable<'d>>,
    path: String,
    line: Option<usize>,
    known: Vec<&'static str>,
}

impl<'d> Section<'d> {
    pub(super) fn new(
        document: &'d Document<'d>,
        table: Option<&'d DeTable<'d>>,
        path: String,
        line: Option<usize>,
    ) -> Self {
        Self {
            document,
            table,
            path,
            line,
            known: Vec::new(),
        }
    }

    /// The value of a key, if it is there.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Item<'d>> {
        self.known.push(key);
        let (written, value) = self.table?.get_key_value(key)?;
        Some(self.item(written, value))
    }

    /// A section of this one.
    pub(super) fn take_section(&mut self, key: &'static str) -> Section<'d> {
        match self.take(key).and_then(|item| item.section()) {
            Some(section) => section,
            None => Section::new(self.document, None, self.path_of(key), self.line),
        }
    }

    pub(super) fn take_text(&mut self, key: &'static str) -> Option<Text> {
        self.take(key)?.filled_text()
    }

    /// A text that must be there.
    pub(super) fn require_text(&mut self, key: &'static str) -> Option<Text> {
        let item = self.take(key);
        if item.is_none() {
            self.document.fail(
                self.line,
                &self.path_of(key),
                "is missing (it has no default)".to_owned(),
            );
        }
        item?.filled_text()
    }

    pub(super) fn take_duration(
        &mut self,
        key: &'static str,
        least: Duration,
        default: Duration,
    ) -> Duration {
        self.take(key)
            .and_then(|item| item.duration(least))
            .unwrap_or(default)
    }

    pub(super) fn take_size(&mut self, key: &'static str, least: u64, default: u64) -> u64 {
        self.take(key)
            .and_then(|item| item.size(least))
            .unwrap_or(default)
    }

    pub(super) fn take_count(&mut self, key: &'static str, least: u64, default: u64) -> u64 {
        self.take(key)
            .and_then(|item| item.count(least))
            .unwrap_or(default)
    }

    pub(super) fn take_number(&mut self, key: &'static str, default: f64) -> f64 {
        self.take(key)
            .and_then(|item| item.number())
            .unwrap_or(default)
    }

    pub(super) fn take_flag(&mut self, key: &'static str, default: bool) -> bool {
        self.take(key)
            .and_then(|item| item.flag())
            .unwrap_or(default)
    }

    pub(super) fn take_address(&mut self, key: &'static str, default: SocketAddr) -> SocketAddr {
        self.take(key)
            .and_then(|item| item.address())
            .unwrap_or(default)
    }

    pub(super) fn take_choice<T: Copy>(
        &mut self,
        key: &'static str,
        choices: &[(&str, T)],
        default: T,
    ) -> T {
        self.take(key)
            .and_then(|item| item.choice(choices))
            .unwrap_or(default)
    }

    /// A table that is somebody else's: its keys are not looked at.
    pub(super) fn take_free(
        &mut self,
        key: &'static str,
    ) -> serde_json::Map<String, serde_json::Value> {
        self.take(key)
            .and_then(|item| item.json_table())
            .unwrap_or_default()
    }

    /// Every key with its value, for a table whose keys are names.
    pub(super) fn into_items(self) -> Vec<(String, Item<'d>)> {
        let items = self.table.into_iter().flatten();
        items
            .map(|(key, value)| (key.get_ref().to_string(), self.item(key, value)))
            .collect()
    }

    /// Records that this key's value, shown first, does not fit.
    pub(super) fn fail(&self, key: &str, message: &str) {
        match self.table.and_then(|table| table.get_key_value(key)) {
            Some((key, value)) => self.item(key, value).fail_showing(message),
            None => self
                .document
                .fail(self.line, &self.path_of(key), message.to_owned()),
        }
    }

    /// Ends the reading: a key that nothing asked for is a mistake.
    pub(super) fn finish(self) {
        for key in self.table.into_iter().flat_map(|table| table.keys()) {
            let name = key.get_ref().as_ref();
            if !self.known.contains(&name) {
                let line = self.document.position(key.span().start).0;
                let message = format!("unknown key ({})", remedy(name, &self.known));
                self.document.fail(Some(line), &self.path_of(name), message);
            }
        }
    }

    fn item(
        &self,
        key: &'d Spanned<std::borrow::Cow<'d, str>>,
        value: &'d Spanned<DeValue<'d>>,
    ) -> Item<'d> {
        let line = self.document.position(key.span().start).0;
        Item::new(self.document, self.path_of(key.get_ref()), line, value)
    }

    fn path_of(&self, key: &str) -> String {
        let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let key = if !key.is_empty() && key.chars().all(bare) {
            key.to_owned()
        } else {
            format!("\"{}\"", key.escape_debug())
        };
        if self.path.is_empty() {
            key
        } else {
            format!("{}.{key}", self.path)
        }
    }
}
