//! Reads the journal backwards for one storage, within bounds.

use std::{
    collections::{BTreeMap, HashSet},
    time::{Duration, Instant},
};

use delfin_plugin_api::{Batch, Labels, PerformanceBatch, Series};

use super::{ListSeriesResponse, RecentMetricView, SeriesView};
use crate::{
    batch::StoredBatch,
    batch_journal::BatchJournal,
    clock::{from_millis, now_ms},
    journal::ReadError,
};

/// Points in one answer.
const MAX_POINTS: usize = 50_000;

/// Time for which one call reads the journal.
const MAX_TIME: Duration = Duration::from_secs(2);

/// Batches that are read for a list of metrics: later ones have the same.
const MAX_METRIC_BATCHES: usize = 20;

/// Series that are counted.
const MAX_MATCHED: usize = 100_000;

/// Which series are wanted.
pub(super) struct SeriesFilter {
    pub(super) storage_id: String,
    pub(super) metric: Option<String>,
    pub(super) resource_type: Option<String>,
    /// In lower case; any if empty.
    pub(super) resource: String,
    pub(super) limit: usize,
}

/// The metrics of a storage.
pub(super) struct MetricScan;

/// The series of a storage with their points.
#[derive(Default)]
pub(super) struct PointScan {
    /// By resource, metric and all labels.
    series: BTreeMap<String, SeriesView>,
    matched: HashSet<String>,
    points: usize,
    from_ms: Option<i64>,
}

impl MetricScan {
    pub(super) fn read(
        journal: &BatchJournal,
        storage_id: &str,
        since_ms: i64,
    ) -> Result<Vec<RecentMetricView>, ReadError> {
        let mut metrics = BTreeMap::<_, RecentMetricView>::new();
        let mut batches = 0;
        newest_first(journal, storage_id, since_ms, |batch, rows| {
            let mut found = BTreeMap::<_, RecentMetricView>::new();
            for series in rows.series() {
                let labels = series.labels();
                if !is_of(batch, labels, storage_id) {
                    continue;
                }
                let resource_type = labels.get("resource_type").unwrap_or_default();
                let key = (resource_type.to_owned(), series.name().to_owned());
                let metric = found
                    .entry(key)
                    .or_insert_with_key(|(resource_type, name)| RecentMetricView {
                        resource_type: resource_type.clone(),
                        name: name.clone(),
                        unit: labels.get("unit").unwrap_or_default().to_owned(),
                        series: 0,
                    });
                metric.series += 1;
            }
            batches += 1;
            for (key, metric) in found {
                metrics.entry(key).or_insert(metric);
            }
            batches < MAX_METRIC_BATCHES
        })?;
        Ok(metrics.into_values().collect())
    }
}

impl PointScan {
    pub(super) fn read(
        journal: &BatchJournal,
        filter: &SeriesFilter,
        since_ms: i64,
    ) -> Result<ListSeriesResponse, ReadError> {
        let mut scan = Self::default();
        let storage_id = &filter.storage_id;
        let complete = newest_first(journal, storage_id, since_ms, |batch, rows| {
            let series = rows.series();
            for series in series.filter(|series| filter.selects(batch, series)) {
                scan.add(&series, filter.limit);
            }
            scan.from_ms = Some(batch.header.accepted_ms);
            scan.points < MAX_POINTS
        })?;
        let mut series: Vec<_> = scan.series.into_values().collect();
        for series in &mut series {
            series.points.sort_by_key(|(time, _)| *time);
            series.points.dedup_by_key(|(time, _)| *time);
        }
        Ok(ListSeriesResponse {
            series,
            matched: scan.matched.len() as u64,
            from_ms: scan.from_ms,
            complete,
        })
    }

    fn add(&mut self, series: &Series<'_>, limit: usize) {
        let labels = series.labels();
        let text = |key| labels.get(key).unwrap_or_default().to_owned();
        let mut rest: Vec<String> = labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        rest.sort_unstable();
        let key = [
            text("resource_id"),
            series.name().to_owned(),
            rest.join("\n"),
        ]
        .join("\n");
        if self.matched.len() < MAX_MATCHED {
            self.matched.insert(key.clone());
        }
        if !self.series.contains_key(&key) && self.series.len() >= limit {
            return;
        }
        let found = self.series.entry(key).or_insert_with(|| SeriesView {
            name: series.name().to_owned(),
            resource_type: text("resource_type"),
            resource_id: text("resource_id"),
            resource_name: labels
                .get("resource_name")
                .map_or_else(|| text("name"), str::to_owned),
            unit: text("unit"),
            points: Vec::new(),
        });
        found.points.extend(series.points());
        self.points += series.values().len();
    }
}

impl SeriesFilter {
    fn selects(&self, batch: &StoredBatch, series: &Series<'_>) -> bool {
        let labels = series.labels();
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == found)
        };
        is(&self.metric, series.name())
            && is_of(batch, labels, &self.storage_id)
            && is(
                &self.resource_type,
                labels.get("resource_type").unwrap_or_default(),
            )
            && (self.resource.is_empty()
                || ["resource_id", "name"]
                    .into_iter()
                    .filter_map(|key| labels.get(key))
                    .any(|text| text.to_lowercase().contains(&self.resource)))
    }
}

/// Whether a row is of a storage.
fn is_of(batch: &StoredBatch, labels: Labels<'_>, storage_id: &str) -> bool {
    match labels.get("storage_id") {
        Some(id) => id == storage_id,
        None => batch.header.storage_id.as_deref() == Some(storage_id),
    }
}

/// Visits the batches of a storage until `visit` has enough. False: it has enough, or the time
/// is over, and there may be more.
fn newest_first(
    journal: &BatchJournal,
    storage_id: &str,
    since_ms: i64,
    mut visit: impl FnMut(&StoredBatch, &PerformanceBatch) -> bool,
) -> Result<bool, ReadError> {
    let start = Instant::now();
    let age = from_millis(now_ms().saturating_sub(since_ms).max(0));
    let oldest = journal.backend().seq_within(age)?;
    for batch in journal.history(storage_id, oldest) {
        let batch = batch?;
        // A batch with other columns is one of a newer host.
        let Ok(rows) = PerformanceBatch::try_from_arrow(batch.arrow.clone()) else {
            continue;
        };
        if !visit(&batch, &rows) || start.elapsed() > MAX_TIME {
            return Ok(false);
        }
    }
    Ok(true)
}
