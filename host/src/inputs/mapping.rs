//! The mapping files of an input: from labels to a storage and a resource.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;

use super::{SeriesInput, SourceSeries};
use crate::notification::{
    FieldCondition, FieldRule, FieldValues, KeyError, MappedField, MappingError, MappingFolder,
    RuleReader, Tables, parse_mapping_file,
};

/// The kind of the entries in a mapping file.
const KIND: &str = "series";

/// The rules of all mapping files of an input, in the order in which they are tried.
#[derive(Debug, Default)]
pub struct SeriesMappings {
    rules: Vec<SeriesRule>,
}

/// What becomes of a series.
#[derive(Debug)]
pub(super) struct SeriesRule {
    /// The file, and the number of the entry in it.
    pub(super) origin: String,
    when: Vec<FieldCondition<String>>,
    /// `None`: the series is left out.
    pub(super) fields: Option<SeriesFields>,
}

/// The name, the labels and the values of a series in Delfin's model.
#[derive(Debug)]
pub(super) struct SeriesFields {
    /// `None`: the name that the series has.
    pub(super) name: Option<FieldRule<String>>,
    /// What is removed from the beginning of the name.
    pub(super) name_prefix: Option<FieldRule<String>>,
    pub(super) labels: Vec<(&'static str, FieldRule<String>)>,
    /// Labels of the client that the series does not get.
    pub(super) drop_labels: Vec<String>,
    /// Every value is multiplied by it.
    pub(super) scale: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeriesMappingFile {
    /// Tables from a value to a text; `*` is for all other values.
    #[serde(default)]
    tables: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(default)]
    series: Vec<SeriesEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeriesEntry {
    #[serde(default)]
    when: BTreeMap<String, FieldValues>,
    #[serde(default)]
    ignore: bool,
    name: Option<MappedField>,
    name_prefix: Option<MappedField>,
    storage_id: Option<MappedField>,
    storage_name: Option<MappedField>,
    serial_number: Option<MappedField>,
    resource_type: Option<MappedField>,
    resource_id: Option<MappedField>,
    resource_name: Option<MappedField>,
    #[serde(rename = "type")]
    series_type: Option<MappedField>,
    unit: Option<MappedField>,
    value_type: Option<MappedField>,
    #[serde(default)]
    drop_labels: Vec<String>,
    scale: Option<f64>,
}

impl SeriesMappings {
    /// Reads the built-in mappings of an input and those of a folder, which need not exist.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or has a mistake.
    pub fn load(input: SeriesInput, path: &Path) -> Result<Self, MappingError> {
        let folder = MappingFolder {
            kind: input.as_str(),
            built_in: built_in(input),
            path,
        };
        let mut mappings = Self::default();
        folder.read_texts(|file, text| mappings.add(file, text))?;
        Ok(mappings)
    }

    /// The rule for a series.
    pub(super) fn find(&self, series: &SourceSeries<'_>) -> Option<&SeriesRule> {
        let mut rules = self.rules.iter();
        rules.find(|rule| rule.when.iter().all(|one| one.holds(series)))
    }

    fn add(&mut self, file: &str, text: &str) -> Result<(), String> {
        let content: SeriesMappingFile = parse_mapping_file(text)?;
        let reader = RuleReader {
            kind: KIND,
            file,
            tables: &Tables::new(content.tables),
            field: &|name| match name {
                "" => Err("a name is empty (write the name of a label)".to_owned()),
                name => Ok(name.to_owned()),
            },
        };
        for (number, entry) in (1..).zip(content.series) {
            let rule = entry.read(&reader, reader.origin(number));
            let rule = rule.map_err(|(key, reason)| reader.mistake(number, &key, &reason))?;
            self.rules.push(rule);
        }
        Ok(())
    }
}

fn built_in(input: SeriesInput) -> &'static [(&'static str, &'static str)] {
    match input {
        SeriesInput::RemoteWrite => &[(
            "prometheus.toml",
            include_str!("../../../etc/delfin/remote_write.d/prometheus.toml"),
        )],
        SeriesInput::Otlp => &[(
            "opentelemetry.toml",
            include_str!("../../../etc/delfin/otlp.d/opentelemetry.toml"),
        )],
        SeriesInput::Influxdb => &[(
            "telegraf.toml",
            include_str!("../../../etc/delfin/influxdb.d/telegraf.toml"),
        )],
    }
}

impl SeriesEntry {
    fn read(self, reader: &RuleReader<'_, String>, origin: String) -> Result<SeriesRule, KeyError> {
        let at = |key: &'static str| move |reason: String| (key.to_owned(), reason);
        let when = reader.conditions("when", self.when)?;
        let labels = [
            ("storage_id", self.storage_id),
            ("name", self.storage_name),
            ("serial_number", self.serial_number),
            ("resource_type", self.resource_type),
            ("resource_id", self.resource_id),
            ("resource_name", self.resource_name),
            ("type", self.series_type),
            ("unit", self.unit),
            ("value_type", self.value_type),
        ];
        let has_storage = labels[0].1.is_some();
        let text = |key: &'static str, field: Option<MappedField>| {
            let rule = field.map(|field| reader.field_rule(key, field));
            rule.transpose().map_err(at(key))
        };
        let name = text("name", self.name)?;
        let name_prefix = text("name_prefix", self.name_prefix)?;
        let mut rules = Vec::new();
        for (label, field) in labels {
            rules.extend(text(label, field)?.map(|rule| (label, rule)));
        }
        if self.ignore {
            let has_more = name.is_some() || name_prefix.is_some() || !rules.is_empty();
            if has_more || !self.drop_labels.is_empty() || self.scale.is_some() {
                let reason =
                    "leaves the series out, so that `when` is the only other key (remove the rest)";
                return Err(at("ignore")(reason.to_owned()));
            }
            return Ok(SeriesRule {
                origin,
                when,
                fields: None,
            });
        }
        if !has_storage {
            let reason = "is missing (add it, as in \"${instance}\", or `ignore = true`)";
            return Err(at("storage_id")(reason.to_owned()));
        }
        let scale = self.scale.unwrap_or(1.0);
        if !scale.is_finite() || scale == 0.0 {
            let reason = format!("`{scale}` is not a factor (write a number such as `0.001`)");
            return Err(at("scale")(reason));
        }
        let labels = rules;
        let fields = Some(SeriesFields {
            name,
            name_prefix,
            labels,
            drop_labels: self.drop_labels,
            scale,
        });
        Ok(SeriesRule {
            origin,
            when,
            fields,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn load(text: &str) -> Result<SeriesMappings, String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.toml"), text).unwrap();
        let loaded = SeriesMappings::load(SeriesInput::RemoteWrite, folder.path());
        loaded.map_err(|error| error.reason)
    }

    #[test]
    fn a_mistake_is_named_with_its_key_and_its_remedy() {
        for (text, wanted) in [
            (
                "[[series]]\nname = \"x\"",
                "`series[1].storage_id`: is missing (add it, as in \"${instance}\", or `ignore = true`)",
            ),
            (
                "[[series]]\nstorage_id = \"${\"",
                "`series[1].storage_id`: `${` has `${` without `}` (add it)",
            ),
            (
                "[[series]]\nstorage_id = \"${}\"",
                "`series[1].storage_id`: a name is empty (write the name of a label)",
            ),
            (
                "[[series]]\nstorage_id = \"a\"\nscale = 0",
                "`series[1].scale`: `0` is not a factor (write a number such as `0.001`)",
            ),
            (
                "[[series]]\nignore = true\nscale = 2",
                "`series[1].ignore`: leaves the series out, so that `when` is the only other key (remove the rest)",
            ),
            (
                "[[series]]\nstorage_id = \"a\"\nresource_type = \"disc\"",
                "`series[1].resource_type`: `disc` is not a resource_type (write `storage`, `storagePool`, `volume`, \
                 `controller`, `port`, `disk`, `filesystem`)",
            ),
            (
                "[tables.t]\na = \"rate\"\n[[series]]\nstorage_id = \"a\"\nvalue_type = { of = \"u\", table = \"t\" }",
                "`series[1].value_type`: `rate` is not a value_type (write `gauge`, `counter`, `delta`)",
            ),
            (
                "[[series]]\nstorage_id = \"a\"\nunit = { of = \"u\", table = \"t\" }",
                "`series[1].unit`: `t` is not a table (add `[tables.t]`)",
            ),
        ] {
            assert_eq!(load(text).unwrap_err(), wanted, "{text}");
        }
        let error = load("[[series]]\nstorage = \"a\"").unwrap_err();
        assert!(
            error.starts_with("line 2: unknown field `storage`"),
            "{error}"
        );
    }

    #[test]
    fn the_files_of_the_folder_come_before_the_built_in_ones() {
        let mappings = load("[[series]]\nwhen = { instance = \"a*\" }\nignore = true").unwrap();
        let ignores = |instance: &'static str| {
            let mut series = SourceSeries::default();
            series.push("instance", instance);
            mappings.find(&series).unwrap().fields.is_none()
        };
        assert!(ignores("a1"));
        assert!(!ignores("b1"));
    }
}
