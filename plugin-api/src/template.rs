//! Names that depend on a row: subjects, topics, streams and indices, such as
//! `delfin.{storage_id}.{name}`.
//!
//! A placeholder names a column of an alert, or the name or a common label of a series.
//! Any other label is `{label.NAME}`, and any other text of an alert is `{extra.NAME}`. Of
//! several names, as in `{storage_name|storage_id}`, the first with a text counts.
//!
//! ```
//! use delfin_plugin_api::{
//!     PerformanceBatch,
//!     sample,
//!     setting::Mistakes,
//!     template::{NameTemplate, TemplateRules},
//! };
//! use serde_json::json;
//!
//! /// Without spaces and dots.
//! const RULES: TemplateRules = TemplateRules {
//!     character: |c| (!c.is_whitespace() && c != '.').then_some(c),
//!     empty: "_",
//!     max_value_bytes: 64,
//!     check: |name| if name.contains(' ') { Err("it has a space") } else { Ok(()) },
//! };
//!
//! let mut mistakes = Mistakes::default();
//! let value = Some(json!("delfin.{resource_id}.{name}.{label.site}"));
//! let template = NameTemplate::read::<PerformanceBatch>("topic", value, "delfin", &RULES, &mut mistakes);
//! let (batch, mut name) = (sample::performance(1, 1), String::new());
//! for series in batch.series() {
//!     template.write(series, &mut name);
//! }
//! assert_eq!(name, "delfin.volume_0.throughput._");
//! ```
//!
//! Promises: a placeholder that no row can have is a mistake of the settings; writing a name
//! allocates nothing but what the name needs.

use serde_json::Value;

use crate::{Alert, AlertBatch, Batch, PerformanceBatch, Series, TEXT_COLUMNS, setting::Mistakes};

/// The placeholders of a series that need no `label.`: its name, the name of its storage, and labels.
const SERIES_FIELDS: [&str; 10] = [
    "name",
    "storage_id",
    "storage_name",
    "resource_type",
    "resource_id",
    "resource_name",
    "vendor",
    "model",
    "serial_number",
    "unit",
];

/// What a receiver allows in a name.
#[derive(Debug, Clone, Copy)]
pub struct TemplateRules {
    /// The character that is written for a character of a value. `None`: `_` is written.
    pub character: fn(char) -> Option<char>,
    /// What is written for a value that is missing or empty.
    pub empty: &'static str,
    /// The most bytes of one value. A longer one ends early.
    pub max_value_bytes: usize,
    /// Checks the template, with `x` for each placeholder. The error is the reason, such as
    /// `it has a space`.
    pub check: fn(&str) -> Result<(), &'static str>,
}

/// A checked template.
#[derive(Debug, Clone)]
pub struct NameTemplate {
    parts: Vec<Part>,
    rules: TemplateRules,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// The first of these that has a text.
    Value(Vec<TemplateValue>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum TemplateValue {
    Field(String),
    /// A label without a field of its own, or an extra.
    Other(String),
}

/// A batch whose rows have fields for placeholders.
pub trait TemplateBatch: Batch {
    /// The placeholders of one word.
    const FIELDS: &'static [&'static str];

    /// The word before the dot of other placeholders.
    const OTHER: &'static str;
}

/// A row with fields for placeholders: a [`Series`] or an [`Alert`].
pub trait TemplateRow<'a>: Copy {
    /// The text of one of [`TemplateBatch::FIELDS`].
    fn field(self, name: &str) -> Option<&'a str>;

    /// The text of any other label or extra.
    fn other(self, name: &str) -> Option<&'a str>;
}

impl NameTemplate {
    /// Reads the setting `key`; `default` is a valid template.
    pub fn read<B: TemplateBatch>(
        key: &str,
        value: Option<Value>,
        default: &str,
        rules: &TemplateRules,
        mistakes: &mut Mistakes,
    ) -> Self {
        let text = mistakes.text(key, value);
        let text = text.as_deref().unwrap_or(default);
        let parsed = parse::<B>(text).and_then(|parts| {
            let template = Self {
                parts,
                rules: *rules,
            };
            match (rules.check)(&template.example()) {
                Ok(()) => Ok(template),
                Err(reason) => Err(reason.to_owned()),
            }
        });
        parsed.unwrap_or_else(|reason| {
            mistakes.add(format!("`{key}` cannot be `{text}`: {reason}"));
            Self {
                parts: Vec::new(),
                rules: *rules,
            }
        })
    }

    /// Appends the name for a row.
    pub fn write<'a>(&self, row: impl TemplateRow<'a>, out: &mut String) {
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Value(sources) => {
                    let mut texts = sources.iter().filter_map(|source| source.text(row));
                    self.write_value(texts.find(|text| !text.is_empty()), out);
                }
            }
        }
    }

    /// Whether the name is the same for all rows.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        let is_text = |part: &Part| matches!(part, Part::Text(_));
        self.parts.iter().all(is_text)
    }

    fn write_value(&self, value: Option<&str>, out: &mut String) {
        let TemplateRules {
            character,
            empty,
            max_value_bytes,
            ..
        } = self.rules;
        let Some(value) = value else {
            return out.push_str(empty);
        };
        let end = out.len() + max_value_bytes;
        for c in value.chars().map(|c| character(c).unwrap_or('_')) {
            if out.len() + c.len_utf8() > end {
                break;
            }
            out.push(c);
        }
    }

    /// The template with `x` for each placeholder.
    fn example(&self) -> String {
        let text = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Value(_) => "x".to_owned(),
        };
        self.parts.iter().map(text).collect()
    }
}

/// The parts of a template, or the reason why it is not a template.
fn parse<B: TemplateBatch>(text: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(['{', '}']) {
        let (before, placeholder) = rest.split_at(start);
        if !before.is_empty() {
            parts.push(Part::Text(before.to_owned()));
        }
        let inner = placeholder.strip_prefix('{');
        let (name, after) = inner
            .and_then(|inner| inner.split_once('}'))
            .ok_or("a brace has no partner (write a placeholder such as `{storage_id}`)")?;
        let sources = name.split('|').map(source::<B>);
        parts.push(Part::Value(sources.collect::<Result<_, _>>()?));
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest.to_owned()));
    }
    Ok(parts)
}

impl TemplateValue {
    fn text<'a>(&self, row: impl TemplateRow<'a>) -> Option<&'a str> {
        match self {
            Self::Field(name) => row.field(name),
            Self::Other(name) => row.other(name),
        }
    }
}

fn source<B: TemplateBatch>(name: &str) -> Result<TemplateValue, String> {
    if B::FIELDS.contains(&name) {
        return Ok(TemplateValue::Field(name.to_owned()));
    }
    let other = name
        .strip_prefix(B::OTHER)
        .and_then(|rest| rest.strip_prefix('.'));
    match other.filter(|other| !other.is_empty() && !other.contains('{')) {
        Some(other) => Ok(TemplateValue::Other(other.to_owned())),
        None => {
            let fields = B::FIELDS.join("`, `");
            let other = B::OTHER;
            Err(format!(
                "`{{{name}}}` is not a placeholder (use `{fields}` or `{other}.NAME`)"
            ))
        }
    }
}

impl TemplateBatch for PerformanceBatch {
    const FIELDS: &'static [&'static str] = &SERIES_FIELDS;
    const OTHER: &'static str = "label";
}

impl TemplateBatch for AlertBatch {
    const FIELDS: &'static [&'static str] = &TEXT_COLUMNS;
    const OTHER: &'static str = "extra";
}

impl<'a> TemplateRow<'a> for Series<'a> {
    fn field(self, name: &str) -> Option<&'a str> {
        match name {
            "name" => Some(self.name()),
            "storage_name" => self.storage_name(),
            _ => self.labels().get(name),
        }
    }

    fn other(self, name: &str) -> Option<&'a str> {
        self.labels().get(name)
    }
}

impl<'a> TemplateRow<'a> for Alert<'a> {
    fn field(self, name: &str) -> Option<&'a str> {
        self.texts()
            .find_map(|(column, text)| (column == name).then_some(text))
    }

    fn other(self, name: &str) -> Option<&'a str> {
        self.extra().get(name)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{AlertBatchBuilder, NewAlert, PerformanceBatchBuilder};

    const RULES: TemplateRules = TemplateRules {
        character: |c| match c {
            '.' | '\n' | '\0' => None,
            _ => c.to_lowercase().next(),
        },
        empty: "none",
        max_value_bytes: 10,
        check: |name| match name {
            "" => Err("it is empty"),
            _ => Ok(()),
        },
    };

    fn read<B: TemplateBatch>(value: Value) -> Result<NameTemplate, String> {
        let mut mistakes = Mistakes::default();
        let template = NameTemplate::read::<B>("topic", Some(value), "t", &RULES, &mut mistakes);
        let result = mistakes.into_result(template);
        result.map_err(|error| error.to_string())
    }

    fn name_of_series(template: &str, labels: &[(&str, &str)]) -> String {
        let mut batch = PerformanceBatchBuilder::new();
        batch
            .series("readIops", labels.iter().copied(), [(1, 1.0)])
            .unwrap();
        let template = read::<PerformanceBatch>(json!(template)).unwrap();
        let mut name = String::new();
        for series in batch.build().series() {
            template.write(series, &mut name);
        }
        name
    }

    #[test]
    fn placeholders_are_replaced_as_the_rules_say() {
        let labels = [
            ("storage_id", "A.b\n"),
            ("unit", ""),
            ("site", "grüße 数据 🦀"),
        ];
        let check = |template: &str, name: &str| {
            assert_eq!(name_of_series(template, &labels), name, "{template}");
        };
        check("a/{storage_id}/{name}", "a/a_b_/readiops");
        check("{unit}-{resource_id}-{label.unit}", "none-none-none");
        check("{label.site}", "grüße ");
        check("{unit|resource_id|storage_id}", "a_b_");
        check("{resource_id|label.unit}", "none");
        assert_eq!(
            name_of_series("{storage_name}", &[("name", "array")]),
            "array"
        );
        let long = "x".repeat(10_000);
        assert_eq!(name_of_series("{label.l}", &[("l", &long)]), long[..10]);
    }

    #[test]
    fn columns_and_extras_of_an_alert_are_placeholders() {
        let mut batch = AlertBatchBuilder::new();
        let texts = [
            ("severity", "Major"),
            ("rack", "7"),
            ("fan {1}", "\"quoted\""),
        ];
        batch.alert(NewAlert {
            occur_time: 0,
            texts: &texts,
        });
        let template = read::<AlertBatch>(json!("{severity}{extra.rack}{type}")).unwrap();
        let mut name = String::new();
        for alert in batch.build().alerts() {
            template.write(alert, &mut name);
        }
        assert_eq!(name, "major7none");
    }

    #[test]
    fn a_template_that_cannot_work_is_a_mistake() {
        let check = |template: Value, reason: &str| {
            let mistake = read::<PerformanceBatch>(template).unwrap_err();
            assert!(mistake.starts_with("`topic` cannot be "), "{mistake}");
            assert!(mistake.contains(reason), "{mistake}");
        };
        check(
            json!("{storageid}"),
            "`{storageid}` is not a placeholder (use `name`, `storage_id`",
        );
        check(json!("{severity}"), "or `label.NAME`)");
        for odd in ["{", "}", "a{b", "a}b{name}", "{name}}"] {
            check(json!(odd), "a brace has no partner");
        }
        for odd in [
            "{}",
            "{label.}",
            "{label}",
            "{{name}}",
            "{label.{name}",
            "{name|}",
            "{name|oops}",
        ] {
            check(json!(odd), "is not a placeholder");
        }
        check(json!(7), "write a text in quotes");
        assert!(!read::<AlertBatch>(json!("{name}")).unwrap_err().is_empty());
    }

    #[test]
    fn a_text_without_placeholders_is_constant() {
        assert!(read::<AlertBatch>(json!("delfin")).unwrap().is_constant());
        assert!(!read::<AlertBatch>(json!("{model}")).unwrap().is_constant());
    }
}
