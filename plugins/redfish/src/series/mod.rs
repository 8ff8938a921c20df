//! Answers to measurements.
//!
//! Promises: a point is the rate between two readings of a counter; a counter that has become
//! smaller starts again; a resource whose measurements cannot be read costs no other its points, and
//! has the rate of the whole time as soon as they can be read again.

mod counters;
mod metrics;
mod rates;
mod reports;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use delfin_plugin_api::{
    Failure, PerformanceBatch, PerformanceBatchBuilder,
    driver::{Capabilities, DriverWindow, MetricInfo},
    log,
    time::now_ms,
};
use serde_json::Value;

use self::{
    counters::{CounterReading, ResourceCounters},
    metrics::{MetricRow, metrics_of},
    rates::Rates,
    reports::{ReportMemory, ReportRequest, ReportRound},
};
use crate::{
    client::{AskError, CallBudget, RedfishClient},
    decode::link,
    resources::{PartKind, ResourceTree, TreePart},
};

/// What the driver remembers of the measurements.
#[derive(Default)]
pub(crate) struct MeasurementState {
    /// The last reading of each resource, by its path.
    readings: HashMap<String, CounterReading>,
    /// How many measured resources are before the first one of the next call: each has its turn if
    /// a call cannot reach all of them.
    start: usize,
    reports: ReportMemory,
    /// Whether it was logged that the reports cannot be read.
    is_without_reports: bool,
}

/// Who asks for measurements, and with what.
pub(crate) struct MeasurementRequest<'a> {
    pub(crate) tree: &'a Arc<ResourceTree>,
    pub(crate) storage_id: &'a str,
    pub(crate) client: &'a RedfishClient,
    pub(crate) budget: &'a CallBudget<'a>,
    pub(crate) window: DriverWindow,
}

/// What the driver can measure.
pub(crate) fn capabilities() -> Capabilities {
    let info = |row: &MetricRow| MetricInfo {
        name: row.name.to_owned(),
        unit: row.unit.to_owned(),
        description: row.description.to_owned(),
    };
    let metrics = PartKind::ALL.into_iter().map(|kind| {
        let rows = metrics_of(kind).map(info).collect();
        (kind.resource_type().to_owned(), rows)
    });
    Capabilities {
        metrics: metrics.collect(),
        ..Capabilities::default()
    }
}

impl MeasurementState {
    /// Reads the counters of every resource that has some, and then the reports.
    pub(crate) fn collect(
        &mut self,
        request: &MeasurementRequest<'_>,
    ) -> Result<PerformanceBatch, Failure> {
        let mut round = MeasuringRound {
            series: PerformanceBatchBuilder::new(),
            storage_id: request.storage_id,
            readings: std::mem::take(&mut self.readings),
            whole: Rates::default(),
            seen: HashMap::new(),
            unread: HashSet::new(),
        };
        let sources = sources(request.tree);
        let count = sources.len();
        for step in 0..count {
            let at = (self.start + step) % count;
            if let Err(failure) = round.measure(&sources[at], request) {
                self.readings = round.readings;
                self.readings.extend(round.seen);
                self.start = at;
                if step == 0 || !request.budget.is_exhausted() {
                    return Err(failure);
                }
                log::warn!(
                    measured = step, resources = count;
                    "not every resource is measured: the call has no time or no requests left"
                );
                return Ok(round.series.build());
            }
        }
        self.start = 0;
        round.storage()?;
        // Readings of resources that are gone are dropped, but not those of resources that cannot
        // be read: the next rate begins there.
        let mut readings = std::mem::take(&mut round.seen);
        let earlier = std::mem::take(&mut round.readings).into_iter();
        let is_complete = request.tree.is_complete();
        for (path, reading) in
            earlier.filter(|(path, _)| !is_complete || round.unread.contains(path))
        {
            readings.entry(path).or_insert(reading);
        }
        self.readings = readings;
        match self.add_reports(&mut round, request) {
            Ok(()) => self.is_without_reports = false,
            Err(failure) if count == 0 => return Err(failure),
            Err(failure) => {
                let is_known = std::mem::replace(&mut self.is_without_reports, true);
                let level = if is_known {
                    log::Level::Debug
                } else {
                    log::Level::Warn
                };
                log::log!(level, error:% = failure; "not every metric report is read");
            }
        }
        Ok(round.series.build())
    }

    fn add_reports(
        &mut self,
        round: &mut MeasuringRound<'_>,
        request: &MeasurementRequest<'_>,
    ) -> Result<(), Failure> {
        let mut reports = ReportRound {
            request: ReportRequest {
                tree: request.tree,
                client: request.client,
                budget: request.budget,
                window: request.window,
            },
            documents: &self.readings,
            series: BTreeMap::new(),
        };
        let read = self.reports.collect(&mut reports);
        for ((part, _), series) in reports.series {
            let part = &request.tree.parts[part];
            round.add(Some(part), series.row, &series.points)?;
        }
        read
    }
}

/// A document with counters of resources.
enum CounterSource<'a> {
    /// The resource has a document for its measurements.
    Document { part: &'a TreePart, path: String },
    /// The documents of a collection have counters themselves.
    Collection {
        path: &'a str,
        parts: Vec<&'a TreePart>,
    },
}

fn sources(tree: &ResourceTree) -> Vec<CounterSource<'_>> {
    let mut sources = Vec::new();
    let mut collections: BTreeMap<&str, Vec<&TreePart>> = BTreeMap::new();
    for part in &tree.parts {
        if let Some(path) = link(&part.document, "/Metrics") {
            sources.push(CounterSource::Document { part, path });
        } else if part
            .document
            .get("IOStatistics")
            .is_some_and(Value::is_object)
        {
            match &part.collection {
                Some(collection) => collections.entry(collection).or_default().push(part),
                None => sources.push(CounterSource::Document {
                    part,
                    path: part.path.clone(),
                }),
            }
        }
    }
    let collections = collections.into_iter();
    sources.extend(collections.map(|(path, parts)| CounterSource::Collection { path, parts }));
    sources
}

struct MeasuringRound<'a> {
    series: PerformanceBatchBuilder,
    storage_id: &'a str,
    /// Those of the last call.
    readings: HashMap<String, CounterReading>,
    seen: HashMap<String, CounterReading>,
    /// The paths of the resources whose measurements cannot be read now.
    unread: HashSet<String>,
    /// The sum of the subsystems.
    whole: Rates,
}

impl MeasuringRound<'_> {
    fn measure(
        &mut self,
        source: &CounterSource<'_>,
        request: &MeasurementRequest<'_>,
    ) -> Result<(), Failure> {
        let (client, budget) = (request.client, request.budget);
        match source {
            CounterSource::Document { part, path } => {
                match unless_broken(client.get(path, budget))? {
                    Some(document) => self.reading(part, &document)?,
                    None => drop(self.unread.insert(part.path.clone())),
                }
            }
            CounterSource::Collection { path, parts } => {
                let members = unless_broken(client.members(path, &HashSet::new(), budget))?
                    .unwrap_or_default();
                let documents: HashMap<&str, &Value> = members
                    .iter()
                    .filter(|member| member.fault.is_none())
                    .map(|member| (member.path.as_str(), &*member.document))
                    .collect();
                for part in parts {
                    match documents.get(part.path.as_str()) {
                        Some(document) => self.reading(part, document)?,
                        None => drop(self.unread.insert(part.path.clone())),
                    }
                }
            }
        }
        Ok(())
    }

    fn reading(&mut self, part: &TreePart, document: &Value) -> Result<(), Failure> {
        let reading = CounterReading {
            at_ms: now_ms(),
            counters: ResourceCounters::read(part.kind, document),
        };
        let earlier = self.readings.get(&part.path);
        let rates = earlier.and_then(|earlier| Rates::between(earlier, &reading));
        if let Some(rates) = rates {
            if part.kind == PartKind::Subsystem {
                self.whole.add(&rates);
            } else {
                self.add_rates(Some(part), &rates, reading.at_ms)?;
            }
        }
        self.seen.insert(part.path.clone(), reading);
        Ok(())
    }

    /// The measurements of the storage as a whole.
    fn storage(&mut self) -> Result<(), Failure> {
        let rates = std::mem::take(&mut self.whole);
        self.add_rates(None, &rates, now_ms())
    }

    fn add_rates(
        &mut self,
        part: Option<&TreePart>,
        rates: &Rates,
        at_ms: i64,
    ) -> Result<(), Failure> {
        for row in metrics_of(part.map_or(PartKind::Subsystem, |part| part.kind)) {
            if let Some(value) = (row.value)(rates) {
                self.add(part, row, &[(at_ms, value)])?;
            }
        }
        Ok(())
    }

    /// Adds a series of a resource; of the storage without one, and for its subsystem.
    fn add(
        &mut self,
        part: Option<&TreePart>,
        row: &MetricRow,
        points: &[(i64, f64)],
    ) -> Result<(), Failure> {
        let part = part.filter(|part| part.kind != PartKind::Subsystem);
        let kind = part.map_or(PartKind::Subsystem, |part| part.kind);
        let labels = [
            ("resource_type", kind.resource_type()),
            ("resource_id", part.map_or(self.storage_id, TreePart::id)),
            ("resource_name", part.map_or("", TreePart::name)),
            ("unit", row.unit),
        ];
        let labels = labels.into_iter().filter(|(_, value)| !value.is_empty());
        let added = self.series.series(row.name, labels, points.iter().copied());
        added.map_err(Failure::rejected)
    }
}

/// `None` if only this document cannot be read.
fn unless_broken<T>(read: Result<T, AskError>) -> Result<Option<T>, Failure> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(AskError::Absent(reason) | AskError::Broken(reason)) => {
            log::debug!(reason; "the measurements of a resource cannot be read");
            Ok(None)
        }
        Err(AskError::Call(failure)) => Err(failure),
    }
}
