//! A rule: the conditions of one entry of a mapping file, and the alert that it makes.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    MappedInput,
    file::{FieldValues, MappedField, MappingEntry},
    template::Template,
};
use crate::collect::ResourceType;

const SEVERITIES: [&str; 7] = [
    "Fatal",
    "Critical",
    "Major",
    "Minor",
    "Warning",
    "Informational",
    "NotSpecified",
];
const VALUE_TYPES: [&str; 3] = ["gauge", "counter", "delta"];
const CATEGORIES: [&str; 4] = ["Fault", "Event", "Recovery", "NotSpecified"];
/// Any value, or all other values.
const ANY: &str = "*";

/// What becomes of a notification, for fields of the kind `F`.
#[derive(Clone, Debug)]
pub struct MappingRule<F> {
    /// The file, and the number of the entry in it.
    pub origin: String,
    when: Vec<FieldCondition<F>>,
    recovery: Vec<FieldCondition<F>>,
    occur_time: Option<F>,
    /// The texts of the alert, by their column.
    fields: Vec<(&'static str, FieldRule<F>)>,
}

/// A field that must have one of some values. `*` at the end of a value is any rest.
#[derive(Clone, Debug)]
pub struct FieldCondition<F> {
    name: String,
    field: F,
    values: Vec<String>,
}

/// How the text of a column is made.
#[derive(Clone, Debug)]
pub struct FieldRule<F>(FieldSource<F>);

#[derive(Clone, Debug)]
enum FieldSource<F> {
    Template(Template<F>),
    Lookup {
        of: F,
        table: Arc<BTreeMap<String, String>>,
    },
}

/// The tables of a file, by name.
#[derive(Debug, Default)]
pub struct Tables(BTreeMap<String, Arc<BTreeMap<String, String>>>);

/// Reads the entries of a file.
pub struct RuleReader<'a, F> {
    /// The kind of the entries.
    pub kind: &'static str,
    pub file: &'a str,
    pub tables: &'a Tables,
    /// What a name means, or why it means nothing, with the remedy.
    pub field: &'a dyn Fn(&str) -> Result<F, String>,
}

/// A key of an entry, and its mistake.
pub type KeyError = (String, String);

impl<F> MappingRule<F> {
    /// Why the rule is not for an input; `None` if it is.
    #[must_use]
    pub fn mismatch(&self, input: &impl MappedInput<Field = F>) -> Option<String> {
        let failed = self.when.iter().find(|one| !one.holds(input))?;
        Some(match input.text(&failed.field) {
            Some(found) => format!("`{}` is `{found}`", failed.name),
            None => format!("`{}` is missing", failed.name),
        })
    }

    /// The texts of the alert by their column. None is empty.
    #[must_use]
    pub fn texts(&self, input: &impl MappedInput<Field = F>) -> Vec<(&'static str, String)> {
        let fields = self.fields.iter();
        let filled = fields.map(|(column, field)| (*column, field.fill(input)));
        let mut texts: Vec<_> = filled.filter(|(_, text)| !text.is_empty()).collect();
        if !self.recovery.is_empty() && self.recovery.iter().all(|one| one.holds(input)) {
            texts.retain(|(column, _)| *column != "category");
            texts.push(("category", "Recovery".to_owned()));
        }
        texts
    }

    /// When the alert occurred, if the input says so.
    #[must_use]
    pub fn occur_time_ms(&self, input: &impl MappedInput<Field = F>) -> Option<i64> {
        input.time_ms(self.occur_time.as_ref()?)
    }
}

impl<F> FieldCondition<F> {
    #[must_use]
    pub fn holds(&self, input: &impl MappedInput<Field = F>) -> bool {
        let found = input.text(&self.field);
        found.is_some_and(|found| self.values.iter().any(|one| matches(one, &found)))
    }
}

fn matches(value: &str, found: &str) -> bool {
    match value.strip_suffix(ANY) {
        Some(start) => found.starts_with(start),
        None => value == found,
    }
}

impl<F> FieldRule<F> {
    /// The text; empty if the input does not have the fields.
    #[must_use]
    pub fn fill(&self, input: &impl MappedInput<Field = F>) -> String {
        match &self.0 {
            FieldSource::Template(template) => template.fill(input),
            FieldSource::Lookup { of, table } => {
                let found = input.text(of).unwrap_or_default();
                let text = table.get(&found).or_else(|| table.get(ANY));
                text.cloned().unwrap_or_default()
            }
        }
    }
}

impl Tables {
    #[must_use]
    pub fn new(tables: BTreeMap<String, BTreeMap<String, String>>) -> Self {
        let shared = tables.into_iter();
        Self(
            shared
                .map(|(name, table)| (name, Arc::new(table)))
                .collect(),
        )
    }
}

impl<F> RuleReader<'_, F> {
    /// The rule of an entry. Entries are counted from 1.
    ///
    /// # Errors
    ///
    /// A key and its mistake, with the remedy.
    pub fn read(&self, number: usize, entry: MappingEntry) -> Result<MappingRule<F>, String> {
        self.rule(number, entry)
            .map_err(|(key, reason)| self.mistake(number, &key, &reason))
    }

    /// The text of a mistake.
    #[must_use]
    pub fn mistake(&self, number: usize, key: &str, reason: &str) -> String {
        format!("`{}[{number}].{key}`: {reason}", self.kind)
    }

    /// The file, and the number of an entry in it.
    #[must_use]
    pub fn origin(&self, number: usize) -> String {
        format!("{}, {} {number}", self.file, self.kind)
    }

    fn rule(&self, number: usize, entry: MappingEntry) -> Result<MappingRule<F>, KeyError> {
        let at = |key: &str| {
            let key = key.to_owned();
            move |reason: String| (key, reason)
        };
        if let Some((key, kind)) = entry.foreign_key(self.kind) {
            let reason = format!("is a key of the kind `{kind}` only (remove it)");
            return Err(at(key)(reason));
        }
        let occur_time = entry.occur_time.map(|name| (self.field)(&name));
        let mut fields = Vec::new();
        let optional = [
            ("alert_name", Some(entry.alert_name)),
            ("alert_id", entry.alert_id),
            ("severity", entry.severity),
            ("category", entry.category),
            ("type", entry.event_type),
            ("location", entry.location),
            ("description", entry.description),
            ("recovery_advice", entry.recovery_advice),
            ("sequence_number", entry.sequence_number),
            ("resource_type", entry.resource_type),
            ("match_key", entry.match_key),
            ("storage_id", entry.storage_id),
            ("storage_name", entry.storage_name),
        ];
        for (column, field) in optional {
            if let Some(field) = field {
                fields.push((column, self.field_rule(column, field).map_err(at(column))?));
            }
        }
        Ok(MappingRule {
            origin: self.origin(number),
            when: self.conditions("when", entry.when)?,
            recovery: self.conditions("recovery", entry.recovery)?,
            occur_time: occur_time.transpose().map_err(at("occur_time"))?,
            fields,
        })
    }

    /// The conditions of a key of an entry.
    ///
    /// # Errors
    ///
    /// The key, and its mistake.
    pub fn conditions(
        &self,
        key: &str,
        conditions: BTreeMap<String, FieldValues>,
    ) -> Result<Vec<FieldCondition<F>>, KeyError> {
        let conditions = conditions.into_iter();
        conditions
            .map(|(name, values)| {
                let field = (self.field)(&name);
                Ok(FieldCondition {
                    field: field.map_err(|reason| (format!("{key}.{name}"), reason))?,
                    name,
                    values: values.into_vec(),
                })
            })
            .collect()
    }

    /// How the text of a column is made.
    ///
    /// # Errors
    ///
    /// The mistake, with the remedy.
    pub fn field_rule(&self, column: &str, field: MappedField) -> Result<FieldRule<F>, String> {
        let source = match field {
            MappedField::Template(text) => {
                if !text.contains("${") {
                    self.check_value(column, &text)?;
                }
                FieldSource::Template(Template::parse(&text, self.field)?)
            }
            MappedField::Lookup(lookup) => {
                let table = self.tables.0.get(&lookup.table).ok_or_else(|| {
                    format!("`{0}` is not a table (add `[tables.{0}]`)", lookup.table)
                })?;
                for text in table.values() {
                    self.check_value(column, text)?;
                }
                FieldSource::Lookup {
                    of: (self.field)(&lookup.of)?,
                    table: Arc::clone(table),
                }
            }
        };
        Ok(FieldRule(source))
    }

    /// Some columns have fixed values. The type of a resource has in series: alerts name parts of an array as
    /// its vendor does.
    fn check_value(&self, column: &str, text: &str) -> Result<(), String> {
        let valid: &[&str] = match (self.kind, column) {
            (_, "severity") => &SEVERITIES,
            (_, "category") => &CATEGORIES,
            ("series", "resource_type") => &ResourceType::ALL.map(ResourceType::as_str),
            ("series", "value_type") => &VALUE_TYPES,
            _ => return Ok(()),
        };
        if valid.contains(&text) {
            return Ok(());
        }
        let valid: Vec<String> = valid.iter().map(|one| format!("`{one}`")).collect();
        Err(format!(
            "`{text}` is not a {column} (write {})",
            valid.join(", ")
        ))
    }
}
