//! A mapping file as it is written.

use std::collections::BTreeMap;

use serde::{Deserialize, de::DeserializeOwned};

const TRAP: &str = "trap";

/// A mapping file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MappingFile {
    /// Traps only: object identifiers by name, for templates and for texts.
    #[serde(default)]
    pub names: BTreeMap<String, String>,
    /// Tables from a value to a text; `*` is for all other values.
    #[serde(default)]
    pub tables: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(default)]
    trap: Vec<MappingEntry>,
    #[serde(default)]
    syslog: Vec<MappingEntry>,
    #[serde(default)]
    webhook: Vec<MappingEntry>,
}

/// What becomes of a notification.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MappingEntry {
    /// Traps only: object identifier or name of the trap; with `.*` at its end, all below it.
    pub oid: Option<String>,
    /// Syslog only: a regular expression that the message must match.
    pub pattern: Option<String>,
    /// Webhooks only: the list in the body whose items are alerts.
    pub list: Option<String>,
    /// Webhooks only: the storage, for calls that name none.
    pub(super) storage_id: Option<MappedField>,
    pub(super) storage_name: Option<MappedField>,
    /// Values that fields must have; `*` at the end is any rest.
    #[serde(default)]
    pub(super) when: BTreeMap<String, FieldValues>,
    /// Values of fields with which the notification ends the alert.
    #[serde(default)]
    pub(super) recovery: BTreeMap<String, FieldValues>,
    #[serde(default)]
    pub(super) occur_time: Option<String>,
    pub(super) alert_name: MappedField,
    pub(super) alert_id: Option<MappedField>,
    pub(super) severity: Option<MappedField>,
    pub(super) category: Option<MappedField>,
    #[serde(rename = "type")]
    pub(super) event_type: Option<MappedField>,
    pub(super) location: Option<MappedField>,
    pub(super) description: Option<MappedField>,
    pub(super) recovery_advice: Option<MappedField>,
    pub(super) sequence_number: Option<MappedField>,
    pub(super) resource_type: Option<MappedField>,
    pub(super) match_key: Option<MappedField>,
}

/// A template, or a table that a value is looked up in.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a text, or `{ of = NAME, table = NAME }`")]
pub enum MappedField {
    Template(String),
    Lookup(LookupField),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookupField {
    /// The name of a field.
    pub(super) of: String,
    pub(super) table: String,
}

/// One value or several.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a text, or a list of texts")]
pub enum FieldValues {
    One(String),
    Several(Vec<String>),
}

impl FieldValues {
    pub(super) fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(value) => vec![value],
            Self::Several(values) => values,
        }
    }
}

impl MappingFile {
    /// Parses a file whose entries are of one kind.
    pub(super) fn parse(text: &str, kind: &str) -> Result<Self, String> {
        let file: Self = parse_mapping_file(text)?;
        let lists = [
            (TRAP, &file.trap),
            ("syslog", &file.syslog),
            ("webhook", &file.webhook),
        ];
        for (other, entries) in lists {
            if other != kind && !entries.is_empty() {
                return Err(format!(
                    "`{other}`: files of this folder have entries of the kind `{kind}` (move it to \
                     the folder for the kind `{other}`)"
                ));
            }
        }
        if kind != TRAP && !file.names.is_empty() {
            return Err("`names`: is for traps (remove it)".to_owned());
        }
        Ok(file)
    }

    /// The entries, which are of one kind.
    pub fn take_entries(&mut self) -> Vec<MappingEntry> {
        let mut entries = std::mem::take(&mut self.trap);
        entries.append(&mut self.syslog);
        entries.append(&mut self.webhook);
        entries
    }
}

impl MappingEntry {
    /// The keys of one kind only that an entry of this kind has, although it must not.
    pub(super) fn foreign_key(&self, kind: &str) -> Option<(&'static str, &'static str)> {
        let own = [
            ("oid", TRAP, self.oid.is_some()),
            ("pattern", "syslog", self.pattern.is_some()),
            ("list", "webhook", self.list.is_some()),
            ("storage_id", "webhook", self.storage_id.is_some()),
            ("storage_name", "webhook", self.storage_name.is_some()),
        ];
        let foreign = own
            .into_iter()
            .find(|(_, of, is_set)| *is_set && *of != kind);
        foreign.map(|(key, of, _)| (key, of))
    }
}

/// Parses a mapping file of any form.
///
/// # Errors
///
/// The line, and what is wrong there.
pub fn parse_mapping_file<F: DeserializeOwned>(text: &str) -> Result<F, String> {
    toml::from_str(text).map_err(|error| syntax(text, &error))
}

fn syntax(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map_or(1, |span| {
        let before = text.get(..span.start).unwrap_or_default();
        before.matches('\n').count() + 1
    });
    format!(
        "line {line}: {} (see \"Mapping files\" in the operator guide)",
        error.message()
    )
}
