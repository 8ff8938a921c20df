//! Metric reports: what the telemetry service has measured itself.
//!
//! Promises: a value counts once, at its own time; a metric that a resource has in its own document is not
//! taken from reports; a report without a value that the driver uses is read again only when the resources
//! are; reports that cannot be read cost no other measurement.

mod content;
mod found;
mod names;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use delfin_plugin_api::{Failure, driver::DriverWindow, log};

use self::{
    content::{PartIndex, ReportContent},
    found::{FoundReports, PartValues},
};
use super::{
    counters::CounterReading,
    metrics::{MetricRow, metrics_of},
    rates::Rates,
    unless_broken,
};
use crate::{
    client::{CallBudget, RedfishClient},
    resources::{PartKind, ResourceTree},
};

/// Who asks for reports, and with what.
#[derive(Clone, Copy)]
pub(super) struct ReportRequest<'a> {
    pub(super) tree: &'a Arc<ResourceTree>,
    pub(super) client: &'a RedfishClient,
    pub(super) budget: &'a CallBudget<'a>,
    pub(super) window: DriverWindow,
}

/// What a round of reports reads and writes.
pub(super) struct ReportRound<'a> {
    pub(super) request: ReportRequest<'a>,
    /// What the documents of resources have, by their paths.
    pub(super) documents: &'a HashMap<String, CounterReading>,
    /// The points of each metric of a resource, by its place in the tree.
    pub(super) series: BTreeMap<(usize, &'static str), ReportedSeries>,
}

pub(super) struct ReportedSeries {
    pub(super) row: &'static MetricRow,
    pub(super) points: Vec<(i64, f64)>,
}

/// What the driver remembers of the reports.
#[derive(Default)]
pub(super) struct ReportMemory {
    /// The start of the first window: what reports kept of the time before was measured already.
    since_ms: Option<i64>,
    found: Option<FoundReports>,
    /// The last values of a resource in a report, by the paths of both.
    last: HashMap<(String, String), LastValues>,
    /// The reports whose faults were logged.
    faulty: HashSet<String>,
}

/// What was last read of a resource in a report.
#[derive(Default)]
struct LastValues {
    counters: Option<CounterReading>,
    gauges_ms: Option<i64>,
}

impl ReportMemory {
    /// Adds the points of values that are new.
    pub(super) fn collect(&mut self, round: &mut ReportRound<'_>) -> Result<(), Failure> {
        let request = round.request;
        let since_ms = *self.since_ms.get_or_insert(request.window.start_ms);
        let found = match self.found.take().filter(|found| found.is_of(request.tree)) {
            Some(found) => found,
            None => self.find(request)?,
        };
        let found = self.found.insert(found);
        let index = PartIndex::new(request.tree);
        for _ in 0..found.count() {
            let Some(path) = found.path_to_read() else {
                found.skip();
                continue;
            };
            let report = unless_broken(request.client.get(&path, request.budget))?;
            let report = report.unwrap_or_default();
            let content = ReportContent::read(&report, &index);
            let fault = content.fault();
            if let Some(reason) = &fault
                && self.faulty.insert(path.clone())
            {
                log::warn!(report = path, reason; "a metric report has values that are ignored");
            } else if fault.is_none() {
                self.faulty.remove(&path);
            }
            for (part, values) in found.take(content, request)? {
                let key = (request.tree.parts[part].path.clone(), path.clone());
                self.last
                    .entry(key)
                    .or_default()
                    .advance(part, values, since_ms, round);
            }
        }
        Ok(())
    }

    /// Finds the reports of a new reading of the resources.
    fn find(&mut self, request: ReportRequest<'_>) -> Result<FoundReports, Failure> {
        let found = FoundReports::find(request)?;
        let reports: HashSet<&str> = found.paths().collect();
        let parts: HashSet<&str> = request.tree.parts.iter().map(|part| &*part.path).collect();
        self.last
            .retain(|(part, report), _| reports.contains(&**report) && parts.contains(&**part));
        self.faulty.retain(|report| reports.contains(&**report));
        Ok(found)
    }
}

impl LastValues {
    fn advance(
        &mut self,
        part: usize,
        values: PartValues,
        since_ms: i64,
        round: &mut ReportRound<'_>,
    ) {
        for reading in values.readings() {
            let last = self.counters.as_ref();
            if last.is_some_and(|last| reading.at_ms <= last.at_ms) {
                continue;
            }
            let rates = last.and_then(|last| Rates::between(last, &reading));
            if let Some(rates) = rates.filter(|_| reading.at_ms >= since_ms) {
                round.add_rates(part, &rates, reading.at_ms);
            }
            self.counters = Some(reading);
        }
        let after_ms = self.gauges_ms.unwrap_or(since_ms - 1);
        for (at_ms, row, value) in values.gauges {
            let is_counted = self
                .counters
                .as_ref()
                .is_some_and(|one| has_metric(one, row));
            if at_ms > after_ms && !is_counted {
                round.add_point(part, row, (at_ms, value));
                self.gauges_ms = self.gauges_ms.max(Some(at_ms));
            }
        }
    }
}

impl ReportRound<'_> {
    fn add_rates(&mut self, part: usize, rates: &Rates, at_ms: i64) {
        for row in metrics_of(self.kind(part)) {
            if let Some(value) = (row.value)(rates) {
                self.add_point(part, row, (at_ms, value));
            }
        }
    }

    /// Adds a point, unless the document of the resource has the metric.
    fn add_point(&mut self, part: usize, row: &'static MetricRow, point: (i64, f64)) {
        let document = self.documents.get(&self.request.tree.parts[part].path);
        if !document.is_some_and(|reading| has_metric(reading, row)) {
            let series = self.series.entry((part, row.name));
            let points = Vec::new();
            let series = series.or_insert(ReportedSeries { row, points });
            series.points.push(point);
        }
    }

    fn kind(&self, part: usize) -> PartKind {
        self.request.tree.parts[part].kind
    }
}

/// Whether a metric follows from the counters of a reading.
fn has_metric(reading: &CounterReading, row: &MetricRow) -> bool {
    (row.value)(&Rates::of_existing(&reading.counters)).is_some()
}
