//! A rule: which notifications it is for, and the alert that becomes of them.

use std::{collections::BTreeMap, sync::Arc};

use async_snmp::{Oid, Value};

use super::{
    file::{MappedField, MappingFile, TrapEntry, VariableValues},
    names::{OidNames, parse_oid},
    template::{TRAP, Template, value},
};
use crate::traps::notification::Notification;

const SEVERITIES: [&str; 7] = [
    "Fatal",
    "Critical",
    "Major",
    "Minor",
    "Warning",
    "Informational",
    "NotSpecified",
];
const CATEGORIES: [&str; 4] = ["Fault", "Event", "Recovery", "NotSpecified"];
/// Any value, or all other values.
const ANY: &str = "*";

/// What becomes of a trap.
#[derive(Clone, Debug)]
pub struct TrapRule {
    /// The file, and the number of the entry in it.
    pub origin: String,
    pub(super) oid: Oid,
    /// Whether it is for all object identifiers below.
    pub(super) subtree: bool,
    when: Vec<VariableCondition>,
    recovery: Vec<VariableCondition>,
    occur_time: Option<Oid>,
    /// The texts of the alert, by their column.
    fields: Vec<(&'static str, FieldRule)>,
}

/// A variable that must have one of some values.
#[derive(Clone, Debug)]
struct VariableCondition {
    name: String,
    oid: Oid,
    values: Vec<String>,
}

#[derive(Clone, Debug)]
enum FieldRule {
    Template(Template),
    Lookup {
        /// None: the object identifier of the notification.
        of: Option<Oid>,
        table: Arc<BTreeMap<String, String>>,
    },
}

/// The texts of an alert, and when it occurred, if the notification says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappedAlert {
    pub texts: Vec<(&'static str, String)>,
    pub occur_time_ms: Option<i64>,
}

impl TrapRule {
    /// The rules of a file, and the names that it gives.
    ///
    /// # Errors
    ///
    /// A key and its mistake, with the remedy.
    pub(super) fn read(file: &str, content: MappingFile) -> Result<(Vec<Self>, OidNames), String> {
        let mut names = OidNames::default();
        for (name, oid) in &content.names {
            let parsed = parse_oid(oid).ok_or_else(|| {
                format!(
                    "`names.{name}`: `{oid}` is not an object identifier (write it as `1.3.6.1`)"
                )
            })?;
            names.add(name, parsed);
        }
        let tables: BTreeMap<String, Arc<BTreeMap<String, String>>> = content
            .tables
            .into_iter()
            .map(|(name, table)| (name, Arc::new(table)))
            .collect();
        let entries = content.traps.into_iter().enumerate();
        let rules = entries.map(|(index, entry)| {
            let number = index + 1;
            let reader = EntryReader {
                names: &names,
                tables: &tables,
            };
            let mut rule = reader
                .read(entry)
                .map_err(|(key, reason)| format!("`trap[{number}].{key}`: {reason}"))?;
            rule.origin = format!("{file}, trap {number}");
            Ok(rule)
        });
        let rules: Result<_, String> = rules.collect();
        Ok((rules?, names))
    }

    /// Why it is not for a notification with its object identifier; none if it is.
    #[must_use]
    pub fn mismatch(&self, notification: &Notification) -> Option<String> {
        let failed = self.when.iter().find(|one| !one.holds(notification))?;
        let found = value(notification, &failed.oid);
        Some(match found {
            Some(found) => format!("`{}` is `{found}`", failed.name),
            None => format!("`{}` is missing", failed.name),
        })
    }

    #[must_use]
    pub fn apply(&self, notification: &Notification) -> MappedAlert {
        let fields = self.fields.iter();
        let filled = fields.map(|(column, field)| (*column, field.fill(notification)));
        let mut texts: Vec<_> = filled.filter(|(_, text)| !text.is_empty()).collect();
        let recovers = |one: &VariableCondition| one.holds(notification);
        if !self.recovery.is_empty() && self.recovery.iter().all(recovers) {
            texts.retain(|(column, _)| *column != "category");
            texts.push(("category", "Recovery".to_owned()));
        }
        let occur_time = self.occur_time.as_ref();
        MappedAlert {
            texts,
            occur_time_ms: occur_time.and_then(|oid| time_of(notification, oid)),
        }
    }
}

impl VariableCondition {
    fn holds(&self, notification: &Notification) -> bool {
        let found = value(notification, &self.oid);
        found.is_some_and(|found| self.values.iter().any(|one| one == ANY || *one == found))
    }
}

impl FieldRule {
    fn fill(&self, notification: &Notification) -> String {
        match self {
            Self::Template(template) => template.fill(notification),
            Self::Lookup { of, table } => {
                let found = match of {
                    Some(of) => value(notification, of).unwrap_or_default(),
                    None => notification.trap.to_string(),
                };
                let text = table.get(&found).or_else(|| table.get(ANY));
                text.cloned().unwrap_or_default()
            }
        }
    }
}

/// Reads one entry of a file.
struct EntryReader<'a> {
    names: &'a OidNames,
    tables: &'a BTreeMap<String, Arc<BTreeMap<String, String>>>,
}

type KeyError = (String, String);

impl EntryReader<'_> {
    fn read(&self, entry: TrapEntry) -> Result<TrapRule, KeyError> {
        let at = |key: &str| {
            let key = key.to_owned();
            move |reason: String| (key, reason)
        };
        let (text, subtree) = match entry.oid.strip_suffix(".*") {
            Some(root) => (root, true),
            None => (entry.oid.as_str(), false),
        };
        let oid = self.names.oid(text).map_err(at("oid"))?;
        let occur_time = entry.occur_time.map(|name| self.names.oid(&name));
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
        ];
        for (column, field) in optional {
            if let Some(field) = field {
                fields.push((column, self.field(column, field).map_err(at(column))?));
            }
        }
        Ok(TrapRule {
            origin: String::new(),
            oid,
            subtree,
            when: self.conditions("when", entry.when)?,
            recovery: self.conditions("recovery", entry.recovery)?,
            occur_time: occur_time.transpose().map_err(at("occur_time"))?,
            fields,
        })
    }

    fn conditions(
        &self,
        key: &str,
        conditions: BTreeMap<String, VariableValues>,
    ) -> Result<Vec<VariableCondition>, KeyError> {
        let conditions = conditions.into_iter();
        conditions
            .map(|(name, values)| {
                let oid = self.names.oid(&name);
                Ok(VariableCondition {
                    oid: oid.map_err(|reason| (format!("{key}.{name}"), reason))?,
                    name,
                    values: values.into_vec(),
                })
            })
            .collect()
    }

    fn field(&self, column: &str, field: MappedField) -> Result<FieldRule, String> {
        match field {
            MappedField::Template(text) => {
                if !text.contains("${") {
                    check_value(column, &text)?;
                }
                Template::parse(&text, self.names).map(FieldRule::Template)
            }
            MappedField::Lookup(lookup) => {
                let table = self.tables.get(&lookup.table).ok_or_else(|| {
                    format!("`{0}` is not a table (add `[tables.{0}]`)", lookup.table)
                })?;
                for text in table.values() {
                    check_value(column, text)?;
                }
                let of = match lookup.of.as_str() {
                    TRAP => None,
                    name => Some(self.names.oid(name)?),
                };
                Ok(FieldRule::Lookup {
                    of,
                    table: Arc::clone(table),
                })
            }
        }
    }
}

/// Severities and categories have fixed values.
fn check_value(column: &str, text: &str) -> Result<(), String> {
    let valid: &[&str] = match column {
        "severity" => &SEVERITIES,
        "category" => &CATEGORIES,
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

/// A time in a variable: seconds or milliseconds since the Unix epoch, or the octets of
/// `DateAndTime`.
fn time_of(notification: &Notification, oid: &Oid) -> Option<i64> {
    let mut variables = notification.variables.iter();
    let value = &variables
        .find(|variable| variable.oid.starts_with(oid))?
        .value;
    if let Value::OctetString(octets) = value
        && let Some(time) = date_and_time(octets)
    {
        return Some(time);
    }
    let number: i64 = crate::traps::notification::text_of(value)
        .trim()
        .parse()
        .ok()?;
    match number {
        // From 2001 on, in seconds and in milliseconds.
        1_000_000_000..=99_999_999_999 => number.checked_mul(1_000),
        1_000_000_000_000.. => Some(number),
        _ => None,
    }
}

/// RFC 2579: year, month, day, hour, minute, second, decisecond, and perhaps the offset to UTC.
fn date_and_time(octets: &[u8]) -> Option<i64> {
    let (&[y1, y2, month, day, hour, minute, second, tenth], zone) = octets.split_first_chunk()?;
    let offset_minutes = match *zone {
        [] => 0,
        [sign @ (b'+' | b'-'), hours, minutes] => {
            let offset = i64::from(hours) * 60 + i64::from(minutes);
            if sign == b'-' { -offset } else { offset }
        }
        _ => return None,
    };
    let year = i64::from(y1) << 8 | i64::from(y2);
    let is_valid = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60
        && tenth < 10;
    if !is_valid {
        return None;
    }
    // Days since the Unix epoch in the proleptic Gregorian calendar, with years from March on.
    let (year, month) = match i64::from(month) {
        month @ ..=2 => (year - 1, month + 9),
        month => (year, month - 3),
    };
    let days =
        365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + i64::from(day)
            - 719_469;
    let minutes = (days * 24 + i64::from(hour)) * 60 + i64::from(minute) - offset_minutes;
    Some((minutes * 60 + i64::from(second)) * 1_000 + i64::from(tenth) * 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_and_time_becomes_milliseconds() {
        let of = |octets: &[u8]| date_and_time(octets);
        assert_eq!(of(&[7, 178, 1, 1, 0, 0, 0, 0]), Some(0));
        assert_eq!(of(&[7, 234, 3, 1, 12, 30, 15, 5]), Some(1_772_368_215_500));
        assert_eq!(
            of(&[7, 234, 3, 1, 12, 30, 15, 5, b'+', 2, 0]),
            Some(1_772_368_215_500 - 7_200_000)
        );
        assert_eq!(of(&[7, 234, 13, 1, 12, 30, 15, 5]), None);
        assert_eq!(of(b"2026-03-01"), None);
    }
}
