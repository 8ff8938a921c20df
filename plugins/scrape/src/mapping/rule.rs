//! Rules: which samples count, and what becomes of them.

use std::collections::BTreeMap;

use delfin_plugin_api::driver::MetricInfo;

use super::{
    file::{
        AlertColumn, AlertEntry, Combination, DivisorEntry, TextOrList, TextTables, ValueEntry,
    },
    names::{FieldForm, MappedType},
    template::LabelTemplate,
};
use crate::decode::ScrapedSample;

/// Any value of a label or any end of it, or all other values of a table.
const ANY: &str = "*";

/// A value that resources of a type have.
#[derive(Clone, Debug)]
pub(crate) struct ValueTarget {
    pub resource_type: MappedType,
    pub what: TargetValue,
}

#[derive(Clone, Debug)]
pub(crate) enum TargetValue {
    Series(MetricInfo),
    Field { name: String, form: FieldForm },
}

/// Turns samples of a metric into a value.
#[derive(Clone, Debug)]
pub(crate) struct ValueRule {
    /// The index of the resource.
    pub resource: usize,
    /// The index of the value.
    pub target: usize,
    pub when: LabelFilter,
    pub source: ValueSource,
    pub factor: f64,
    pub combination: Option<Combination>,
}

/// What is taken of a sample.
#[derive(Clone, Debug)]
pub(crate) enum ValueSource {
    Number,
    /// The increase of a counter in a second.
    Rate,
    /// The increase of a counter, which is divided by that of another one.
    Dividend,
    Divisor,
    Text {
        label: Option<String>,
        table: Option<MappedTexts>,
    },
}

pub(crate) type MappedTexts = BTreeMap<String, String>;

/// The values that labels must have.
#[derive(Clone, Debug, Default)]
pub(crate) struct LabelFilter(Vec<(String, Vec<String>)>);

/// Turns samples of a metric into alerts.
#[derive(Clone, Debug)]
pub(crate) struct AlertRule {
    pub when: LabelFilter,
    pub occur_time: Option<String>,
    pub columns: Vec<(&'static str, ColumnSource)>,
}

/// Where the text of a column comes from.
#[derive(Clone, Debug)]
pub(crate) enum ColumnSource {
    Template(LabelTemplate),
    Lookup { label: String, table: MappedTexts },
}

impl LabelFilter {
    pub(super) fn new(entries: &BTreeMap<String, TextOrList>) -> Self {
        let entries = entries.iter();
        Self(
            entries
                .map(|(label, values)| (label.clone(), values.as_slice().to_vec()))
                .collect(),
        )
    }

    #[must_use]
    pub(crate) fn matches(&self, sample: &ScrapedSample<'_>) -> bool {
        self.0.iter().all(|(label, values)| {
            let found = sample.label(label);
            found.is_some_and(|found| values.iter().any(|value| is_meant(value, found)))
        })
    }
}

/// Whether a value of a label is the expected one, or begins as it says.
fn is_meant(expected: &str, found: &str) -> bool {
    match expected.strip_suffix(ANY) {
        Some(start) => found.starts_with(start),
        None => expected == found,
    }
}

impl ValueSource {
    /// The text that a rule takes of a sample. With a label, a sample with the value 0 does not
    /// count: that state of a set of states is not the present one.
    #[must_use]
    pub(crate) fn text(
        sample: &ScrapedSample<'_>,
        label: Option<&str>,
        table: Option<&MappedTexts>,
    ) -> Option<String> {
        let text = match label {
            Some(_) if sample.value == 0.0 => return None,
            Some(label) => sample.label(label)?.to_owned(),
            None => sample.value.to_string(),
        };
        match table {
            Some(table) => lookup(table, &text),
            None => Some(text),
        }
    }
}

/// The text in a table for a value.
fn lookup(table: &MappedTexts, value: &str) -> Option<String> {
    let found = table.get(value).or_else(|| table.get(ANY));
    found.filter(|text| !text.is_empty()).cloned()
}

impl ColumnSource {
    pub(super) fn new(column: &AlertColumn, tables: &TextTables) -> Result<Self, String> {
        Ok(match column {
            AlertColumn::Template(text) => Self::Template(LabelTemplate::parse(text)?),
            AlertColumn::Lookup { of, table } => Self::Lookup {
                label: of.clone(),
                table: table_named(tables, table)?,
            },
        })
    }

    /// The text for a sample; `None` if the sample does not have a label.
    #[must_use]
    pub(crate) fn text(&self, sample: &ScrapedSample<'_>) -> Option<String> {
        match self {
            Self::Template(template) => {
                let mut text = String::new();
                template.write(sample, &mut text).then_some(text)
            }
            Self::Lookup { label, table } => lookup(table, sample.label(label).unwrap_or_default()),
        }
    }
}

/// The table with this name.
pub(super) fn table_named(tables: &TextTables, name: &str) -> Result<MappedTexts, String> {
    let table = tables.get(name).cloned();
    table.ok_or_else(|| format!("`table`: the file has no `[tables.{name}]`"))
}

/// Samples that count, and what is taken of them.
pub(super) struct RuleSource {
    pub(super) metrics: Vec<String>,
    pub(super) when: LabelFilter,
    pub(super) source: ValueSource,
}

/// The sources of a value: one, or two for a quotient.
pub(super) fn sources(
    value: &ValueEntry,
    is_text: bool,
    tables: &TextTables,
) -> Result<Vec<RuleSource>, String> {
    let table = value.table.as_deref();
    let table = table.map(|name| table_named(tables, name)).transpose()?;
    let of_metric = |source| RuleSource {
        metrics: value.metric.as_slice().to_vec(),
        when: LabelFilter::new(&value.when),
        source,
    };
    if value.metric.as_slice().is_empty() {
        return Err("`metric` names no metric".to_owned());
    }
    if is_text {
        if value.rate || value.per.is_some() || value.factor.is_some() {
            return Err("a text has no `rate`, `per` or `factor` (remove it)".to_owned());
        }
        let label = value.label.clone();
        return Ok(vec![of_metric(ValueSource::Text { label, table })]);
    }
    if value.label.is_some() || table.is_some() {
        return Err("a number has no `label` and no `table` (remove it)".to_owned());
    }
    let divisor = |metric: &String, when| RuleSource {
        metrics: vec![metric.clone()],
        when: LabelFilter::new(when),
        source: ValueSource::Divisor,
    };
    let divisor = match &value.per {
        None if value.rate => return Ok(vec![of_metric(ValueSource::Rate)]),
        None => return Ok(vec![of_metric(ValueSource::Number)]),
        Some(_) if value.rate => return Err("`rate` and `per` are both set (keep one)".to_owned()),
        Some(DivisorEntry::Metric(metric)) => divisor(metric, &value.when),
        Some(DivisorEntry::Filtered { metric, when }) => divisor(metric, when),
    };
    Ok(vec![of_metric(ValueSource::Dividend), divisor])
}

impl AlertRule {
    pub(super) fn new(entry: &AlertEntry, tables: &TextTables) -> Result<Self, String> {
        let columns = [
            ("alert_name", Some(&entry.alert_name)),
            ("alert_id", entry.alert_id.as_ref()),
            ("severity", entry.severity.as_ref()),
            ("category", entry.category.as_ref()),
            ("type", entry.event_type.as_ref()),
            ("location", entry.location.as_ref()),
            ("description", entry.description.as_ref()),
            ("sequence_number", entry.sequence_number.as_ref()),
            ("resource_type", entry.resource_type.as_ref()),
        ];
        let columns = columns.into_iter();
        let columns = columns.filter_map(|(name, column)| Some((name, column?)));
        let columns = columns.map(|(name, column)| Ok((name, ColumnSource::new(column, tables)?)));
        Ok(Self {
            when: LabelFilter::new(&entry.when),
            occur_time: entry.occur_time.clone(),
            columns: columns.collect::<Result<_, String>>()?,
        })
    }
}
