//! Mappings: which metrics of a page become which series, fields and alerts.
//!
//! A mapping is a file. Those for well-known exporters are part of the plugin, so that the plugin is one
//! file and its mappings are those that it was tested with; another file can be named by its path.

mod file;
mod names;
mod reading;
mod rule;
mod template;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::Read,
    path::Path,
};

use delfin_plugin_api::driver::MetricInfo;

pub(crate) use self::{
    file::Combination,
    names::{FieldForm, MappedType},
    reading::{PageReader, PageReading, ReadAlert, ReadResource, ReadValue},
    rule::{AlertRule, TargetValue, ValueRule, ValueSource, ValueTarget},
    template::LabelTemplate,
};
use self::{
    file::{FieldEntry, MappingDocument, ResourceEntry, TextOrList, TextTables, ValueEntry},
    names::{field_of_series, standard_series},
    rule::sources,
};

/// The most bytes of a mapping file.
const MAX_BYTES: u64 = 1 << 20;

/// The name and the text of a file in `mappings`.
macro_rules! shipped {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("../../mappings/", $name, ".toml")),
        )
    };
}

/// The mappings that are part of the plugin.
const SHIPPED: [(&str, &str); 10] = [
    shipped!("ceph"),
    shipped!("dell_powerflex"),
    shipped!("dell_powermax"),
    shipped!("dell_powerscale"),
    shipped!("dell_powerstore"),
    shipped!("hpe_array"),
    shipped!("netapp_harvest"),
    shipped!("node_exporter"),
    shipped!("pure_flasharray"),
    shipped!("pure_flashblade"),
];

/// What becomes of the metrics of a page.
#[derive(Debug, Default)]
pub(crate) struct ScrapeMapping {
    pub resources: Vec<MappedResource>,
    pub targets: Vec<ValueTarget>,
    /// The label that names the array, on a page with several of them.
    pub(crate) array: Option<String>,
    rules: HashMap<String, MetricRules>,
}

/// The rules for one metric.
#[derive(Debug, Default)]
pub(crate) struct MetricRules {
    pub values: Vec<ValueRule>,
    pub alerts: Vec<AlertRule>,
}

/// Resources of one type whose id comes from one template.
#[derive(Debug)]
pub(crate) struct MappedResource {
    pub resource_type: MappedType,
    /// `None` for the storage itself.
    pub id: Option<LabelTemplate>,
    pub name: Option<LabelTemplate>,
    /// Fields whose text comes from labels of any sample of the resource, or from none.
    pub texts: Vec<(String, LabelTemplate)>,
}

/// Why there is no mapping.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScrapeMappingError {
    #[error(
        "`mapping` cannot be `{name}` (write one of {}, or the absolute path of a file that ends in `.toml`)",
        shipped()
    )]
    Unknown { name: String },
    #[error("cannot read the mapping file `{path}`: {reason}")]
    Unreadable { path: String, reason: String },
    #[error("the mapping `{name}` is not valid: {reason}")]
    Invalid { name: String, reason: String },
}

/// The names of the mappings in the plugin, for a message.
fn shipped() -> String {
    let names: Vec<_> = SHIPPED
        .iter()
        .map(|(name, _)| format!("`{name}`"))
        .collect();
    names.join(", ")
}

impl ScrapeMapping {
    /// The mapping with this name, or of the file with this path.
    ///
    /// # Errors
    ///
    /// It does not exist, or is not valid.
    pub(crate) fn load(name: &str) -> Result<Self, ScrapeMappingError> {
        let invalid = |reason| ScrapeMappingError::Invalid {
            name: name.to_owned(),
            reason,
        };
        if let Some((_, text)) = SHIPPED.iter().find(|(known, _)| *known == name) {
            return Self::parse(text).map_err(invalid);
        }
        if !name.starts_with('/') || !name.ends_with(".toml") {
            let name = name.to_owned();
            return Err(ScrapeMappingError::Unknown { name });
        }
        let text = read_file(Path::new(name)).map_err(|reason| ScrapeMappingError::Unreadable {
            path: name.to_owned(),
            reason,
        })?;
        Self::parse(&text).map_err(invalid)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let document = MappingDocument::parse(text)?;
        let mut mapping = Self {
            array: document.array.clone(),
            ..Self::default()
        };
        for (index, entry) in document.resource.iter().enumerate() {
            let place = |reason| {
                let (number, name) = (index + 1, &entry.resource_type);
                format!("`[[resource]]` {number} (`{name}`): {reason}")
            };
            mapping
                .add_resource(entry, &document.tables)
                .map_err(place)?;
        }
        for (index, entry) in document.alert.iter().enumerate() {
            let rule = AlertRule::new(entry, &document.tables)
                .map_err(|reason| format!("`[[alert]]` {}: {reason}", index + 1))?;
            for metric in entry.metric.as_slice() {
                mapping.rules_mut(metric).alerts.push(rule.clone());
            }
        }
        Ok(mapping)
    }

    fn add_resource(&mut self, entry: &ResourceEntry, tables: &TextTables) -> Result<(), String> {
        let resource_type = MappedType::named(&entry.resource_type).ok_or_else(|| {
            let names = MappedType::ALL.map(|one| format!("`{}`", one.as_str()));
            format!("`type` is not known (write one of {})", names.join(", "))
        })?;
        let is_storage = resource_type == MappedType::Storage;
        match &entry.id {
            None if !is_storage => {
                return Err("`id` is missing (write a text with labels, such as `${name}`)".into());
            }
            Some(_) if is_storage => {
                return Err("the storage has no `id` (remove it)".into());
            }
            Some(_) | None => {}
        }
        let template =
            |text: &Option<String>| text.as_deref().map(LabelTemplate::parse).transpose();
        let resource = self.resources.len();
        let mut mapped = MappedResource {
            resource_type,
            id: template(&entry.id)?,
            name: template(&entry.name)?,
            texts: Vec::new(),
        };
        for (name, value) in &entry.series {
            let place = |reason| format!("series `{name}`: {reason}");
            let metric = series_metric(name, value).map_err(place)?;
            let target = self.target(resource_type, TargetValue::Series(metric));
            self.add_value([resource, target], value, false, tables)
                .map_err(place)?;
        }
        for (name, field) in &entry.fields {
            let place = |reason| format!("field `{name}`: {reason}");
            let form = resource_type.field(name).ok_or_else(|| {
                place(format!(
                    "is not known (fields are {})",
                    resource_type.fields()
                ))
            })?;
            match field {
                FieldEntry::Constant(text) if form == FieldForm::Text => {
                    let template = LabelTemplate::parse(text).map_err(place)?;
                    mapped.texts.push((name.clone(), template));
                }
                FieldEntry::Constant(_) => {
                    return Err(place("is a number (write a table with `metric`)".into()));
                }
                FieldEntry::Value(value) => {
                    let name = name.clone();
                    let target = self.target(resource_type, TargetValue::Field { name, form });
                    self.add_value([resource, target], value, form == FieldForm::Text, tables)
                        .map_err(place)?;
                }
            }
        }
        self.resources.push(mapped);
        Ok(())
    }

    /// The index of a value. Two entries for the same value have the same.
    fn target(&mut self, resource_type: MappedType, what: TargetValue) -> usize {
        let name = what.name();
        let known = self.targets.iter().position(|target| {
            let is_field = matches!(target.what, TargetValue::Field { .. });
            target.resource_type == resource_type
                && target.what.name() == name
                && is_field == matches!(what, TargetValue::Field { .. })
        });
        known.unwrap_or_else(|| {
            self.targets.push(ValueTarget {
                resource_type,
                what,
            });
            self.targets.len() - 1
        })
    }

    fn add_value(
        &mut self,
        [resource, target]: [usize; 2],
        value: &ValueEntry,
        is_text: bool,
        tables: &TextTables,
    ) -> Result<(), String> {
        for found in sources(value, is_text, tables)? {
            let is_divisor = matches!(found.source, ValueSource::Divisor);
            let rule = ValueRule {
                resource,
                target,
                when: found.when,
                source: found.source,
                // The factor of a quotient counts once.
                factor: value.factor.filter(|_| !is_divisor).unwrap_or(1.0),
                combination: value.combine,
            };
            for metric in &found.metrics {
                self.rules_mut(metric).values.push(rule.clone());
            }
        }
        Ok(())
    }

    fn rules_mut(&mut self, metric: &str) -> &mut MetricRules {
        self.rules.entry(metric.to_owned()).or_default()
    }

    /// The rules for a metric. In OpenMetrics, a counter has the suffix `_total` even if it does not have
    /// it in the text format.
    #[must_use]
    pub(crate) fn rules(&self, metric: &str) -> Option<&MetricRules> {
        let rules = self.rules.get(metric);
        rules.or_else(|| self.rules.get(metric.strip_suffix("_total")?))
    }

    /// Whether the mapping has alerts.
    #[must_use]
    pub(crate) fn has_alerts(&self) -> bool {
        self.rules.values().any(|rules| !rules.alerts.is_empty())
    }

    /// The series of each type of resources.
    #[must_use]
    pub(crate) fn series(&self) -> BTreeMap<String, Vec<MetricInfo>> {
        let mut series: BTreeMap<String, Vec<MetricInfo>> = BTreeMap::new();
        for target in &self.targets {
            if let TargetValue::Series(metric) = &target.what {
                let of_type = series.entry(target.resource_type.as_str().to_owned());
                of_type.or_default().push(metric.clone());
            }
        }
        for of_type in series.values_mut() {
            for total in TOTALS {
                let has = |name: &str| of_type.iter().any(|metric| metric.name == name);
                if total.parts().all(has) && !has(total.name) {
                    of_type.extend(standard_series(total.name));
                }
            }
        }
        series
    }
}

impl TargetValue {
    fn name(&self) -> &str {
        match self {
            Self::Series(metric) => &metric.name,
            Self::Field { name, .. } => name,
        }
    }
}

/// A series that follows from two others: the sum, or the average that `weights` weigh.
#[derive(Debug)]
pub(crate) struct TotalSeries {
    pub name: &'static str,
    pub of: [&'static str; 2],
    pub weights: Option<[&'static str; 2]>,
}

/// The series that follow from those of reads and writes, where a mapping does not have them.
pub(crate) const TOTALS: [TotalSeries; 3] = [
    TotalSeries {
        name: "iops",
        of: ["readIops", "writeIops"],
        weights: None,
    },
    TotalSeries {
        name: "throughput",
        of: ["readThroughput", "writeThroughput"],
        weights: None,
    },
    TotalSeries {
        name: "responseTime",
        of: ["readResponseTime", "writeResponseTime"],
        weights: Some(["readIops", "writeIops"]),
    },
];

impl TotalSeries {
    /// The series that it follows from.
    fn parts(&self) -> impl Iterator<Item = &'static str> {
        self.of
            .into_iter()
            .chain(self.weights.into_iter().flatten())
    }
}

fn series_metric(name: &str, value: &ValueEntry) -> Result<MetricInfo, String> {
    if let Some(field) = field_of_series(name) {
        return Err(format!(
            "the host makes it of the fields (set `{field}` in `[resource.fields]`)"
        ));
    }
    match (standard_series(name), &value.unit) {
        (Some(metric), None) => Ok(metric),
        (Some(metric), Some(_)) => Err(format!(
            "has the unit `{}` (remove `unit`, and convert with `factor`)",
            metric.unit
        )),
        (None, Some(unit)) => Ok(MetricInfo {
            name: name.to_owned(),
            unit: unit.clone(),
            description: format!("From {}", list(&value.metric)),
        }),
        (None, None) => Err("is not in Delfin's model (set its `unit`)".to_owned()),
    }
}

fn list(metrics: &TextOrList) -> String {
    metrics.as_slice().join(", ")
}

fn read_file(path: &Path) -> Result<String, String> {
    // A named pipe would block.
    if !path
        .metadata()
        .map_err(|error| error.to_string())?
        .is_file()
    {
        return Err("it is not a regular file".to_owned());
    }
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut text = String::new();
    let read = file.take(MAX_BYTES + 1).read_to_string(&mut text);
    match read {
        Err(error) => Err(error.to_string()),
        Ok(bytes) if bytes as u64 > MAX_BYTES => Err(format!("it has more than {MAX_BYTES} bytes")),
        Ok(_) => Ok(text),
    }
}
