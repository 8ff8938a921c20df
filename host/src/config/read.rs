//! Reads a parsed TOML document key by key.
//!
//! A [`Section`] returns the values of keys and remembers which keys it was asked
//! for. At the end, every other key in the table is a mistake. After a bad value,
//! reading continues with the default in order to find more mistakes. A document
//! with mistakes gives no configuration.
//!
//! Knows nothing of what the keys mean.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;

use delfin_plugin_api::redact::Redactor;
use delfin_plugin_api::setting::ConfigError;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::mistake::{Mistake, remedy};
use super::placeholder::{self, PlaceholderError};
use super::secrets::SecretSettings;
use super::setting::{Setting, SettingText};

/// Keys of earlier versions, and what replaced them.
const REPLACED: [(&str, &str); 2] = [
    ("api.max_ingest_bytes", "memory.max"),
    ("journal.cache_bytes", "memory.max"),
];

/// The text of a document, and the findings so far.
pub(super) struct TomlDocument<'d> {
    text: &'d str,
    line_starts: Vec<usize>,
    mistakes: RefCell<Vec<Mistake>>,
    warnings: RefCell<Vec<Mistake>>,
    redactor: RefCell<Redactor>,
}

/// The mistakes, warnings and secrets of a document.
pub(super) struct Findings {
    pub(super) mistakes: Vec<Mistake>,
    pub(super) warnings: Vec<Mistake>,
    pub(super) redactor: Redactor,
}

impl<'d> TomlDocument<'d> {
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

    /// The section of the top-level keys.
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

/// A table of the document. An absent table reads like an empty one.
pub(super) struct Section<'d> {
    document: &'d TomlDocument<'d>,
    table: Option<&'d DeTable<'d>>,
    path: String,
    line: Option<usize>,
    /// The keys that were asked for.
    known: Vec<&'static str>,
}

impl<'d> Section<'d> {
    pub(super) fn new(
        document: &'d TomlDocument<'d>,
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

    /// The value of a key; `None` if the table does not have the key.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Setting<'d>> {
        self.known.push(key);
        let (written, value) = self.table?.get_key_value(key)?;
        Some(self.setting(written, value))
    }

    pub(super) fn take_section(&mut self, key: &'static str) -> Section<'d> {
        match self.take(key).and_then(|setting| setting.section()) {
            Some(section) => section,
            None => Section::new(self.document, None, self.path_of(key), self.line),
        }
    }

    pub(super) fn take_text(&mut self, key: &'static str) -> Option<SettingText> {
        self.take(key)?.filled_text()
    }

    /// A text that has no default: a missing key is a mistake.
    pub(super) fn require_text(&mut self, key: &'static str) -> Option<SettingText> {
        let setting = self.take(key);
        if setting.is_none() {
            self.document.fail(
                self.line,
                &self.path_of(key),
                "is missing (add it: the key has no default)".to_owned(),
            );
        }
        setting?.filled_text()
    }

    pub(super) fn take_duration(
        &mut self,
        key: &'static str,
        least: Duration,
        default: Duration,
    ) -> Duration {
        self.take(key)
            .and_then(|setting| setting.duration(least))
            .unwrap_or(default)
    }

    pub(super) fn take_size(&mut self, key: &'static str, least: u64, default: u64) -> u64 {
        self.take(key)
            .and_then(|setting| setting.size(least))
            .unwrap_or(default)
    }

    pub(super) fn take_count(&mut self, key: &'static str, least: u64, default: u64) -> u64 {
        self.take(key)
            .and_then(|setting| setting.count(least))
            .unwrap_or(default)
    }

    pub(super) fn take_number(&mut self, key: &'static str, default: f64) -> f64 {
        self.take(key)
            .and_then(|setting| setting.number())
            .unwrap_or(default)
    }

    pub(super) fn take_flag(&mut self, key: &'static str, default: bool) -> bool {
        self.take(key)
            .and_then(|setting| setting.flag())
            .unwrap_or(default)
    }

    pub(super) fn take_address(&mut self, key: &'static str, default: SocketAddr) -> SocketAddr {
        self.take(key)
            .and_then(|setting| setting.address())
            .unwrap_or(default)
    }

    pub(super) fn take_choice<T: Copy>(
        &mut self,
        key: &'static str,
        choices: &[(&str, T)],
        default: T,
    ) -> T {
        self.take(key)
            .and_then(|setting| setting.choice(choices))
            .unwrap_or(default)
    }

    /// A table whose keys a plugin or a driver checks.
    pub(super) fn take_json(
        &mut self,
        key: &'static str,
    ) -> serde_json::Map<String, serde_json::Value> {
        self.take(key)
            .and_then(|setting| setting.json_table())
            .unwrap_or_default()
    }

    /// A table as JSON, and which of its values have placeholders.
    pub(super) fn take_plugin_settings(
        &mut self,
        key: &'static str,
    ) -> (serde_json::Map<String, serde_json::Value>, SecretSettings) {
        let Some(setting) = self.take(key) else {
            return Default::default();
        };
        let settings = setting.json_table().unwrap_or_default();
        (settings, setting.secrets())
    }

    /// Every key with its value, for a table whose keys are names.
    pub(super) fn take_all(&mut self) -> Vec<(String, Setting<'d>)> {
        let items = self.table.into_iter().flatten();
        items
            .map(|(key, value)| (key.get_ref().to_string(), self.setting(key, value)))
            .collect()
    }

    /// Records a mistake in the value of a key. The message begins with the value.
    pub(super) fn fail(&self, key: &str, message: &str) {
        match self.table.and_then(|table| table.get_key_value(key)) {
            Some((key, value)) => self.setting(key, value).fail_showing(message),
            None => self
                .document
                .fail(self.line, &self.path_of(key), message.to_owned()),
        }
    }

    /// Reads the values of these keys as the settings of a plugin are read, and records each mistake at its key.
    pub(super) fn read_values<T>(
        &mut self,
        keys: impl IntoIterator<Item = &'static str>,
        read: impl FnOnce(serde_json::Map<String, serde_json::Value>) -> Result<T, ConfigError>,
    ) -> Option<T> {
        let values = keys
            .into_iter()
            .filter_map(|key| Some((key.to_owned(), self.take(key)?.json()?)));
        let result = read(values.collect());
        result.map_err(|error| self.fail_each(&error)).ok()
    }

    fn fail_each(&self, error: &ConfigError) {
        for mistake in error.mistakes() {
            let named = mistake
                .strip_prefix('`')
                .and_then(|text| text.split_once('`'));
            let (key, message) = named.unwrap_or_default();
            match self.table.and_then(|table| table.get_key_value(key)) {
                Some((key, value)) => {
                    let message = message.trim_start_matches([':', ' ']);
                    self.setting(key, value).fail(message.to_owned());
                }
                None => self.document.fail(self.line, &self.path, mistake.clone()),
            }
        }
    }

    /// Records each key that was not asked for as a mistake.
    pub(super) fn finish(self) {
        for key in self.table.into_iter().flat_map(|table| table.keys()) {
            let name = key.get_ref().as_ref();
            if !self.known.contains(&name) {
                let line = self.document.position(key.span().start).0;
                let path = self.path_of(name);
                let message = match REPLACED.iter().find(|(replaced, _)| *replaced == path) {
                    Some((_, by)) => format!("was replaced by `{by}` (remove it, and set `{by}`)"),
                    None => format!("unknown key ({})", remedy(name, &self.known, "valid keys:")),
                };
                self.document.fail(Some(line), &path, message);
            }
        }
    }

    /// A section without keys, for a table that does not exist.
    pub(super) fn absent(&self) -> Section<'d> {
        Section::new(self.document, None, self.path.clone(), self.line)
    }

    fn setting(
        &self,
        key: &'d Spanned<std::borrow::Cow<'d, str>>,
        value: &'d Spanned<DeValue<'d>>,
    ) -> Setting<'d> {
        let line = self.document.position(key.span().start).0;
        Setting::new(self.document, self.path_of(key.get_ref()), line, value)
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
