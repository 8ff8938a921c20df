//! A mapping file as it is written.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Tables from a value to a text; `*` is for all other values.
pub(super) type TextTables = BTreeMap<String, BTreeMap<String, String>>;

/// A mapping file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MappingDocument {
    /// The label that names the array, on a page with several of them.
    pub(super) array: Option<String>,
    #[serde(default)]
    pub(super) tables: TextTables,
    pub(super) resource: Vec<ResourceEntry>,
    #[serde(default)]
    pub(super) alert: Vec<AlertEntry>,
}

/// A type of resources, and what is known of them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ResourceEntry {
    #[serde(rename = "type")]
    pub(super) resource_type: String,
    /// A template. The storage itself has none.
    pub(super) id: Option<String>,
    /// A template.
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) series: BTreeMap<String, ValueEntry>,
    #[serde(default)]
    pub(super) fields: BTreeMap<String, FieldEntry>,
}

/// A field: a template if it is a text.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a text, or a table with `metric`")]
pub(super) enum FieldEntry {
    Constant(String),
    Value(ValueEntry),
}

/// Where a value comes from.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ValueEntry {
    pub(super) metric: TextOrList,
    /// Values that labels must have; with `*` at its end, each value that begins so.
    #[serde(default)]
    pub(super) when: BTreeMap<String, TextOrList>,
    pub(super) factor: Option<f64>,
    /// The metric is a counter, and the value is its increase in a second.
    #[serde(default)]
    pub(super) rate: bool,
    /// A counter. The value is the increase of the metric divided by the increase of this one.
    pub(super) per: Option<DivisorEntry>,
    /// What becomes of several samples; without it, the first counts.
    pub(super) combine: Option<Combination>,
    /// Only of a series that is not in Delfin's model.
    pub(super) unit: Option<String>,
    /// The label whose value is the text.
    pub(super) label: Option<String>,
    /// The name of a table that turns the number or the label into a text.
    pub(super) table: Option<String>,
}

/// A counter to divide by.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a text, or a table with `metric` and `when`")]
pub(super) enum DivisorEntry {
    /// With the same values of labels as the metric.
    Metric(String),
    Filtered {
        metric: String,
        when: BTreeMap<String, TextOrList>,
    },
}

/// What becomes of several samples for one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Combination {
    Sum,
    Max,
    Min,
}

/// Alerts: samples whose value is not 0.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AlertEntry {
    pub(super) metric: TextOrList,
    #[serde(default)]
    pub(super) when: BTreeMap<String, TextOrList>,
    /// The label with the time in milliseconds since the Unix epoch. Without it, the time at which the
    /// alert was first seen.
    pub(super) occur_time: Option<String>,
    pub(super) alert_name: AlertColumn,
    pub(super) alert_id: Option<AlertColumn>,
    pub(super) severity: Option<AlertColumn>,
    pub(super) category: Option<AlertColumn>,
    #[serde(rename = "type")]
    pub(super) event_type: Option<AlertColumn>,
    pub(super) location: Option<AlertColumn>,
    pub(super) description: Option<AlertColumn>,
    pub(super) sequence_number: Option<AlertColumn>,
    pub(super) resource_type: Option<AlertColumn>,
}

/// A template, or a table that the value of a label is looked up in.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a text, or `{ of = LABEL, table = NAME }`")]
pub(super) enum AlertColumn {
    Template(String),
    Lookup { of: String, table: String },
}

/// One text or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "a text, or a list of texts")]
pub(super) enum TextOrList {
    One(String),
    Several(Vec<String>),
}

impl TextOrList {
    pub(super) fn as_slice(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Several(texts) => texts,
        }
    }
}

impl MappingDocument {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let before = text.get(..start).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            format!("line {line}: {}", error.message())
        })
    }
}
