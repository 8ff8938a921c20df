//! The reports of a service, and the definitions of their metrics.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use delfin_plugin_api::{Failure, log};

use super::{
    super::{
        counters::{CounterReading, ResourceCounters},
        metrics::MetricRow,
        unless_broken,
    },
    ReportRequest,
    content::{ReportContent, ReportedMetric, ReportedValue},
    names::{ReportedCounter, factor},
};
use crate::{
    decode::{flag, last_segment, link, text},
    resources::ResourceTree,
};

/// The most reports of a service that are read.
const MAX_REPORTS: usize = 200;

/// Counters with less time between them are one reading.
const SAME_MS: i64 = 1_000;

/// The reports of a service.
pub(super) struct FoundReports {
    /// The reading of the resources that they belong to.
    tree: Arc<ResourceTree>,
    reports: Vec<FoundReport>,
    /// The report that is read next: each has its turn if a call cannot reach all of them.
    next: usize,
    definitions: MetricDefinitions,
    /// The report that each metric of a resource is taken from, if several have it.
    owners: HashMap<(usize, String), usize>,
}

struct FoundReport {
    path: String,
    /// `None` before it was read.
    is_used: Option<bool>,
}

/// The definitions of metrics, read as they are needed.
#[derive(Default)]
struct MetricDefinitions {
    collection: Option<String>,
    /// The path of each definition, by the metric id.
    paths: Option<HashMap<String, String>>,
    units: HashMap<String, Option<String>>,
}

/// The values of a resource in a report.
#[derive(Default)]
pub(super) struct PartValues {
    counters: Vec<(i64, &'static ReportedCounter, f64)>,
    /// In the units of the metrics.
    pub(super) gauges: Vec<(i64, &'static MetricRow, f64)>,
}

impl FoundReports {
    pub(super) fn find(request: ReportRequest<'_>) -> Result<Self, Failure> {
        let mut found = Self {
            tree: Arc::clone(request.tree),
            reports: Vec::new(),
            next: 0,
            definitions: MetricDefinitions::default(),
            owners: HashMap::new(),
        };
        let (client, budget) = (request.client, request.budget);
        let Some(path) = link(&request.tree.root, "/TelemetryService") else {
            return Ok(found);
        };
        let service = unless_broken(client.get(&path, budget))?;
        let Some(service) = service.filter(|one| flag(one, "/ServiceEnabled") != Some(false))
        else {
            return Ok(found);
        };
        found.definitions.collection = link(&service, "/MetricDefinitions");
        if let Some(reports) = link(&service, "/MetricReports") {
            let mut paths =
                unless_broken(client.member_paths(&reports, budget))?.unwrap_or_default();
            if paths.len() > MAX_REPORTS {
                log::warn!(reports = paths.len(), read = MAX_REPORTS; "the storage has more metric reports than are read");
                paths.truncate(MAX_REPORTS);
            }
            let reports = paths.into_iter().map(|path| FoundReport {
                path,
                is_used: None,
            });
            found.reports = reports.collect();
        }
        Ok(found)
    }

    pub(super) fn is_of(&self, tree: &Arc<ResourceTree>) -> bool {
        Arc::ptr_eq(&self.tree, tree)
    }

    pub(super) fn count(&self) -> usize {
        self.reports.len()
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.reports.iter().map(|report| &*report.path)
    }

    /// The path of the next report; `None` if it has nothing of use.
    pub(super) fn path_to_read(&self) -> Option<String> {
        let report = &self.reports[self.next];
        (report.is_used != Some(false)).then(|| report.path.clone())
    }

    /// Goes on to the next report.
    pub(super) fn skip(&mut self) {
        self.next = (self.next + 1) % self.reports.len();
    }

    /// The values of the next report, by resources.
    pub(super) fn take(
        &mut self,
        content: ReportContent<'_>,
        request: ReportRequest<'_>,
    ) -> Result<BTreeMap<usize, PartValues>, Failure> {
        let report = &self.reports[self.next];
        if report.is_used.is_none() {
            content.log_unused(&report.path);
        }
        let mut values: BTreeMap<usize, PartValues> = BTreeMap::new();
        let is_used = content.is_of_use();
        for value in content.values {
            let key = (value.part, value.metric.name().to_owned());
            if *self.owners.entry(key).or_insert(self.next) != self.next {
                continue;
            }
            match value.metric {
                ReportedMetric::Counter(counter) => {
                    let values = values.entry(value.part).or_default();
                    values.counters.push((value.at_ms, counter, value.number));
                }
                ReportedMetric::Gauge(row) => {
                    let units = self.definitions.units(&value, request)?;
                    if let Some(factor) = factor(units.as_deref(), row.unit) {
                        let values = values.entry(value.part).or_default();
                        values
                            .gauges
                            .push((value.at_ms, row, value.number * factor));
                    }
                }
            }
        }
        self.reports[self.next].is_used = Some(is_used);
        self.skip();
        Ok(values)
    }
}

impl MetricDefinitions {
    /// The unit of a value, if its definition has one.
    fn units(
        &mut self,
        value: &ReportedValue<'_>,
        request: ReportRequest<'_>,
    ) -> Result<Option<String>, Failure> {
        if let Some(units) = self.units.get(value.id) {
            return Ok(units.clone());
        }
        let path = match &value.definition {
            Some(path) => Some(path.clone()),
            None => self.path_of(value.id, request)?,
        };
        let definition = match path {
            Some(path) => unless_broken(request.client.get(&path, request.budget))?,
            None => None,
        };
        let units = definition.and_then(|one| text(&one, "/Units").map(str::to_owned));
        if let ReportedMetric::Gauge(row) = value.metric
            && factor(units.as_deref(), row.unit).is_none()
        {
            let (id, units) = (value.id, units.as_deref().unwrap_or_default());
            log::debug!(id, units; "a metric of reports has no unit that the driver can convert, and is not used");
        }
        self.units.insert(value.id.to_owned(), units.clone());
        Ok(units)
    }

    fn path_of(&mut self, id: &str, request: ReportRequest<'_>) -> Result<Option<String>, Failure> {
        if let (None, Some(collection)) = (&self.paths, &self.collection) {
            let paths = request.client.member_paths(collection, request.budget);
            let paths = unless_broken(paths)?.unwrap_or_default().into_iter();
            let by_id = paths.map(|path| (last_segment(&path).to_owned(), path));
            self.paths = Some(by_id.collect());
        }
        Ok(self.paths.as_ref().and_then(|paths| paths.get(id).cloned()))
    }
}

impl PartValues {
    /// The readings of the counters, the oldest first.
    pub(super) fn readings(&self) -> Vec<CounterReading> {
        let mut counters = self.counters.clone();
        counters.sort_by_key(|(at_ms, ..)| *at_ms);
        let mut readings: Vec<CounterReading> = Vec::new();
        for (at_ms, counter, number) in counters {
            let value = Some(number * counter.factor);
            if let Some(last) = readings.last_mut()
                && at_ms - last.at_ms < SAME_MS
                && (counter.field)(&mut last.counters).is_none()
            {
                *(counter.field)(&mut last.counters) = value;
                continue;
            }
            let mut counters = ResourceCounters::default();
            *(counter.field)(&mut counters) = value;
            readings.push(CounterReading { at_ms, counters });
        }
        readings
    }
}
