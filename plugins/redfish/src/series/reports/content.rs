//! Reads a report: which resource and which metric each value is about.
//!
//! Promises: a value that cannot be used is counted, and costs no other value.

use std::collections::{BTreeSet, HashMap};

use delfin_plugin_api::{log, time::now_ms};
use serde_json::Value;

use super::{
    super::metrics::MetricRow,
    names::{ReportedCounter, counter_named, gauge_named},
};
use crate::{
    decode::{
        duration_seconds, last_segment, link, list, normal_path, plain_number, text, time_ms,
    },
    resources::{PartKind, ResourceTree, TreePart},
};

/// How much later than now the time of a value can be.
const MAX_AHEAD_MS: i64 = 5 * 60 * 1000;

/// The metric ids that a remark shows.
const MAX_SHOWN: usize = 20;

/// What a value measures.
#[derive(Debug, Clone, Copy)]
pub(super) enum ReportedMetric {
    Counter(&'static ReportedCounter),
    /// In the unit of the metric's definition.
    Gauge(&'static MetricRow),
}

impl ReportedMetric {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Counter(counter) => counter.name,
            Self::Gauge(row) => row.name,
        }
    }
}

/// A value of a report.
#[derive(Debug)]
pub(super) struct ReportedValue<'a> {
    /// The place of its resource in the tree.
    pub(super) part: usize,
    pub(super) metric: ReportedMetric,
    pub(super) id: &'a str,
    /// The path of the definition, if the value has it.
    pub(super) definition: Option<String>,
    pub(super) at_ms: i64,
    pub(super) number: f64,
}

/// What a report has.
#[derive(Debug, Default)]
pub(super) struct ReportContent<'a> {
    pub(super) values: Vec<ReportedValue<'a>>,
    /// Metric ids that the driver does not use, or whose resource it does not know.
    unused: BTreeSet<&'a str>,
    /// The first value that is not a number, with its metric.
    no_number: Option<(&'a str, &'a Value)>,
    /// Whether the clock of the service is ahead.
    is_ahead: bool,
    /// Whether the service has not filled the report yet.
    is_empty: bool,
}

/// Finds the resource that a value is about.
pub(super) struct PartIndex<'a> {
    parts: &'a [TreePart],
    by_path: HashMap<String, usize>,
    by_segment: HashMap<&'a str, Vec<usize>>,
}

impl<'a> PartIndex<'a> {
    /// Subsystems are left out if there are several: their reports have different times, so that they cannot
    /// be added.
    pub(super) fn new(tree: &'a ResourceTree) -> Self {
        let is_subsystem = |part: &&TreePart| part.kind == PartKind::Subsystem;
        let subsystems = tree.parts.iter().filter(is_subsystem).count();
        let mut index = Self {
            parts: &tree.parts,
            by_path: HashMap::new(),
            by_segment: HashMap::new(),
        };
        for (at, part) in tree.parts.iter().enumerate() {
            if part.kind == PartKind::Subsystem && subsystems > 1 {
                continue;
            }
            index.by_path.insert(part.path.clone(), at);
            if let Some(metrics) = link(&part.document, "/Metrics") {
                index.by_path.insert(metrics, at);
            }
            let segment = last_segment(&part.path);
            index.by_segment.entry(segment).or_default().push(at);
        }
        index
    }

    fn kind(&self, at: usize) -> PartKind {
        self.parts[at].kind
    }

    /// The resource and the metric of a value.
    fn find(&self, value: &Value, id: &str) -> Option<(usize, ReportedMetric)> {
        let property = text(value, "/MetricProperty").unwrap_or_default();
        let (path, pointer) = property.split_once('#').unwrap_or((property, property));
        let name = last_segment(pointer);
        // A metric id that is a rate says that the value is not the counter of the property.
        let metric = |at: usize| {
            let kind = self.kind(at);
            let gauge = gauge_named(id, kind).map(ReportedMetric::Gauge);
            let counter = || counter_named(id).or_else(|| counter_named(name));
            gauge.or_else(|| {
                let counter = counter().filter(|counter| counter.is_of(kind))?;
                Some(ReportedMetric::Counter(counter))
            })
        };
        let with_metric = |at: &usize| Some((*at, metric(*at)?));
        // Some services write the property without `#`, as a further segment.
        let parent = path.rsplit_once('/').map(|(parent, _)| parent);
        let of_path = |path: &str| self.by_path.get(&normal_path(path)?);
        let by_path = of_path(path).or_else(|| of_path(parent?));
        // Values of iDRAC name the resource by the last segment of its path.
        let device = text(value, "/Oem/Dell/FQDD").and_then(|name| self.by_segment.get(name));
        by_path
            .into_iter()
            .chain(device.into_iter().flatten())
            .find_map(with_metric)
    }
}

impl<'a> ReportContent<'a> {
    pub(super) fn read(report: &'a Value, index: &PartIndex<'_>) -> Self {
        let now = now_ms();
        let report_ms = text(report, "/Timestamp").and_then(time_ms);
        let values = report.get("MetricValues").and_then(Value::as_array);
        let mut content = Self {
            is_empty: values.is_some_and(Vec::is_empty),
            ..Self::default()
        };
        for value in list(report, "/MetricValues") {
            let at_ms = text(value, "/Timestamp").and_then(time_ms).or(report_ms);
            content.add(value, at_ms.unwrap_or(now), index);
        }
        content.is_ahead = content
            .values
            .iter()
            .any(|value| value.at_ms > now + MAX_AHEAD_MS);
        content
            .values
            .retain(|value| value.at_ms <= now + MAX_AHEAD_MS);
        content
    }

    fn add(&mut self, value: &'a Value, at_ms: i64, index: &PartIndex<'_>) {
        let id = text(value, "/MetricId");
        let definition = link(value, "/MetricDefinition");
        let id = id
            .or_else(|| Some(last_segment(text(value, "/MetricDefinition/@odata.id")?)))
            .unwrap_or_default();
        let Some((part, metric)) = index.find(value, id) else {
            let shown = if id.is_empty() {
                text(value, "/MetricProperty").unwrap_or_default()
            } else {
                id
            };
            if self.unused.len() <= MAX_SHOWN {
                self.unused.insert(shown);
            }
            return;
        };
        let Some(measured) = value.get("MetricValue").filter(|value| !value.is_null()) else {
            return;
        };
        let Some(number) = number(measured) else {
            self.no_number.get_or_insert((id, measured));
            return;
        };
        self.values.push(ReportedValue {
            part,
            metric,
            id,
            definition,
            at_ms,
            number,
        });
    }

    /// Whether the driver finds something in the report, or may later.
    pub(super) fn is_of_use(&self) -> bool {
        self.is_empty || !self.values.is_empty() || self.fault().is_some()
    }

    /// Says what is not used: once for each report.
    pub(super) fn log_unused(&self, report: &str) {
        if self.unused.is_empty() {
            return;
        }
        let shown: Vec<&str> = self.unused.iter().copied().take(MAX_SHOWN).collect();
        log::debug!(
            report, metrics = shown.join(", ");
            "a metric report has metrics, or is about resources, that the driver does not use"
        );
    }

    /// What is wrong with values that would be used.
    pub(super) fn fault(&self) -> Option<String> {
        if self.is_ahead {
            return Some(
                "values are from the future (correct the clock of the storage)".to_owned(),
            );
        }
        let (id, value) = self.no_number?;
        let shown: String = value.to_string().chars().take(40).collect();
        Some(format!("`{id}` is `{shown}`, which is not a number"))
    }
}

/// A number of at least 0, or a duration in seconds.
fn number(value: &Value) -> Option<f64> {
    let duration = || duration_seconds(value.as_str()?);
    plain_number(value).or_else(duration)
}
