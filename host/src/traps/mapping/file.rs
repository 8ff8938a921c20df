//! A mapping file as it is written.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A mapping file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MappingFile {
    /// Object identifiers by name, for templates and for texts.
    #[serde(default)]
    pub(super) names: BTreeMap<String, String>,
    /// Tables from a value to a text; `*` is for all other values.
    #[serde(default)]
    pub(super) tables: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(default, rename = "trap")]
    pub(super) traps: Vec<TrapEntry>,
}

/// What becomes of a trap.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TrapEntry {
    /// Object identifier or name of the trap; with `.*` at its end, all below it.
    pub(super) oid: String,
    /// Values that variables must have; `*` is any value.
    #[serde(default)]
    pub(super) when: BTreeMap<String, VariableValues>,
    /// Values of variables with which the trap ends the alert.
    #[serde(default)]
    pub(super) recovery: BTreeMap<String, VariableValues>,
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
pub(super) enum MappedField {
    Template(String),
    Lookup(LookupField),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LookupField {
    /// Name or object identifier of the variable, or `trap`.
    pub(super) of: String,
    pub(super) table: String,
}

/// One value or several.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a text, or a list of texts")]
pub(super) enum VariableValues {
    One(String),
    Several(Vec<String>),
}

impl VariableValues {
    pub(super) fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(value) => vec![value],
            Self::Several(values) => values,
        }
    }
}
