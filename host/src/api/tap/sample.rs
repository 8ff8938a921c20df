//! Which rows a tap shows, and how.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use delfin_plugin_api::{Alert, AlertBatch, Batch, PerformanceBatch, Series, json::alert_object};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{clock::now_ms, config::matches_pattern, tap::PassedRows};

const SECOND: Duration = Duration::from_secs(1);

/// A line of a tap.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(in crate::api) enum TapLine {
    Series(TappedSeries),
    Alert(TappedAlert),
    /// Rows that passed since the last such line and were not shown, because there were too many.
    /// Of rows that were not looked at, it is not known whether `name` selects them: they count. 0 is a sign of life.
    LeftOut {
        left_out: u64,
    },
}

/// A series.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct TappedSeries {
    /// When the host showed it, in milliseconds since the Unix epoch.
    time_ms: i64,
    /// Class of the outcome of the call that sent it: `delivered`, `partial`, `retry`, …; absent if the rows are those of a storage.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "delivered")]
    outcome: Option<&'static str>,
    /// Storage; null if the rows are of none.
    storage_id: Option<String>,
    name: String,
    labels: BTreeMap<String, String>,
    /// Number of points.
    points: usize,
    /// Time of the last point, in milliseconds since the Unix epoch; null without points.
    timestamp: Option<i64>,
    /// Value of the last point; null without points, or if it is not finite.
    value: Option<f64>,
}

/// An alert.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct TappedAlert {
    /// When the host showed it, in milliseconds since the Unix epoch.
    time_ms: i64,
    /// As that of a series.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "delivered")]
    outcome: Option<&'static str>,
    /// Storage; null if the alert is of none.
    storage_id: Option<String>,
    /// The alert in Delfin's JSON.
    #[schema(value_type = Object)]
    alert: serde_json::Map<String, serde_json::Value>,
}

/// Which rows a client wants.
#[derive(Debug)]
pub(super) struct RowFilter {
    storage_id: Option<String>,
    name: Option<String>,
}

/// The lines of some rows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RowSample {
    pub(super) text: String,
    pub(super) shown: usize,
    pub(super) left_out: u64,
}

/// How many rows may be shown in the current second, and how many were left out.
#[derive(Debug)]
pub(super) struct Sampler {
    per_second: usize,
    second: Instant,
    shown: usize,
    left_out: u64,
}

impl TapLine {
    pub(super) fn to_text(&self) -> String {
        // Texts and numbers only: serialization does not fail.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }
}

impl RowFilter {
    pub(super) fn new(storage_id: Option<String>, name: Option<String>) -> Self {
        Self { storage_id, name }
    }

    /// Whether all rows are of another storage.
    pub(super) fn excludes_all(&self, rows: &PassedRows) -> bool {
        match (&self.storage_id, &rows.storage_id) {
            (Some(wanted), Some(of)) => wanted != of,
            (None, _) | (_, None) => false,
        }
    }

    /// At most `room` of the rows that the client wants, evenly from all of them.
    pub(super) fn sample(&self, rows: &PassedRows, room: usize) -> RowSample {
        let arrow = &rows.arrow;
        if let Ok(batch) = PerformanceBatch::try_from_arrow(arrow.clone()) {
            let wanted = batch.series().filter(|series| {
                let storage_id = series_storage(rows, series);
                self.selects(storage_id, series.name())
            });
            return pick(wanted, room, |series| series_line(rows, series));
        }
        match AlertBatch::try_from_arrow(arrow.clone()) {
            Ok(batch) => {
                let wanted = batch.alerts().filter(|alert| {
                    let storage_id = alert_storage(rows, alert);
                    self.selects(storage_id, alert.alert_name().unwrap_or_default())
                });
                pick(wanted, room, |alert| alert_line(rows, alert))
            }
            // A batch with other columns is one of a newer host.
            Err(_) => RowSample {
                text: String::new(),
                shown: 0,
                left_out: arrow.num_rows() as u64,
            },
        }
    }

    fn selects(&self, storage_id: Option<&str>, name: &str) -> bool {
        (self.storage_id.is_none() || self.storage_id.as_deref() == storage_id)
            && (self.name.as_deref()).is_none_or(|pattern| matches_pattern(pattern, name))
    }
}

impl Sampler {
    pub(super) fn new(per_second: usize, now: Instant) -> Self {
        Self {
            per_second,
            second: now,
            shown: 0,
            left_out: 0,
        }
    }

    /// How many more rows may be shown now.
    pub(super) fn room(&mut self, now: Instant) -> usize {
        if now >= self.second + SECOND {
            self.second = now;
            self.shown = 0;
        }
        self.per_second.saturating_sub(self.shown)
    }

    pub(super) fn count(&mut self, shown: usize, left_out: u64) {
        self.shown += shown;
        self.leave_out(left_out);
    }

    pub(super) fn leave_out(&mut self, rows: u64) {
        self.left_out += rows;
    }

    /// When there is something to report, if there is.
    pub(super) fn report_at(&self) -> Option<Instant> {
        (self.left_out > 0).then(|| self.second + SECOND)
    }

    /// What was left out until the end of the second, if it has ended and something was.
    pub(super) fn report(&mut self, now: Instant) -> Option<u64> {
        if self.left_out == 0 || now < self.second + SECOND {
            return None;
        }
        Some(std::mem::take(&mut self.left_out))
    }
}

/// The lines of at most `room` rows, evenly from all of them.
fn pick<R>(
    wanted: impl Iterator<Item = R>,
    room: usize,
    line: impl Fn(&R) -> TapLine,
) -> RowSample {
    let wanted: Vec<R> = wanted.collect();
    let shown = wanted.len().min(room);
    let picked = (0..shown).map(|index| &wanted[index * wanted.len() / shown]);
    RowSample {
        text: picked.map(|row| line(row).to_text()).collect(),
        shown,
        left_out: (wanted.len() - shown) as u64,
    }
}

fn series_line(rows: &PassedRows, series: &Series<'_>) -> TapLine {
    let last = series.points().last();
    let labels = series.labels();
    TapLine::Series(TappedSeries {
        time_ms: now_ms(),
        outcome: rows.outcome,
        storage_id: series_storage(rows, series).map(str::to_owned),
        name: series.name().to_owned(),
        labels: labels
            .iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
        points: series.values().len(),
        timestamp: last.map(|(time, _)| time),
        value: last.map(|(_, value)| value),
    })
}

fn alert_line(rows: &PassedRows, alert: &Alert<'_>) -> TapLine {
    TapLine::Alert(TappedAlert {
        time_ms: now_ms(),
        outcome: rows.outcome,
        storage_id: alert_storage(rows, alert).map(str::to_owned),
        alert: alert_object(*alert),
    })
}

fn series_storage<'a>(rows: &'a PassedRows, series: &Series<'a>) -> Option<&'a str> {
    let labelled = series.labels().get("storage_id");
    labelled.or(rows.storage_id.as_deref())
}

fn alert_storage<'a>(rows: &'a PassedRows, alert: &Alert<'a>) -> Option<&'a str> {
    alert.storage_id().or(rows.storage_id.as_deref())
}

#[cfg(test)]
mod tests {
    use delfin_plugin_api::sample;
    use serde_json::Value;

    use super::*;

    fn passed(rows: usize) -> PassedRows {
        PassedRows {
            arrow: sample::performance(rows, 3).as_arrow().clone(),
            storage_id: None,
            outcome: Some("delivered"),
        }
    }

    #[test]
    fn rows_are_picked_evenly_and_the_rest_is_counted() {
        let filter = RowFilter::new(None, None);
        let sample = filter.sample(&passed(10), 3);
        assert_eq!((sample.shown, sample.left_out), (3, 7));
        let all = filter.sample(&passed(10), 20);
        assert_eq!((all.shown, all.left_out), (10, 0));
        let lines: Vec<&str> = all.text.lines().collect();
        let names = |text: &str| -> Vec<Value> {
            let lines = text
                .lines()
                .map(|line| serde_json::from_str::<Value>(line).unwrap());
            lines.map(|line| line["labels"].clone()).collect()
        };
        let picked = names(&sample.text);
        let wanted = names(&[lines[0], lines[3], lines[6]].join("\n"));
        assert_eq!(picked, wanted);
        let line: Value = serde_json::from_str(lines[0]).unwrap();
        assert_eq!(line["outcome"], "delivered");
        assert_eq!(line["points"], 3);
    }

    #[test]
    fn only_wanted_names_and_storages_are_shown() {
        let nothing = RowFilter::new(None, Some("no*such".to_owned()));
        let sample = nothing.sample(&passed(10), 3);
        assert_eq!((sample.shown, sample.left_out), (0, 0));
        let of_other = RowFilter::new(Some("b".to_owned()), None);
        let mut rows = passed(1);
        assert!(!of_other.excludes_all(&rows));
        rows.storage_id = Some("a".to_owned());
        assert!(of_other.excludes_all(&rows));
    }

    #[test]
    fn a_second_has_room_for_so_many_rows_and_then_reports() {
        let start = Instant::now();
        let mut sampler = Sampler::new(20, start);
        assert_eq!(sampler.room(start), 20);
        sampler.count(20, 7);
        assert_eq!(sampler.room(start), 0);
        sampler.leave_out(100);
        assert_eq!(sampler.report(start), None);
        assert_eq!(sampler.report_at(), Some(start + SECOND));
        let later = start + SECOND;
        assert_eq!(sampler.report(later), Some(107));
        assert_eq!(sampler.report(later), None);
        assert_eq!(sampler.room(later), 20);
    }
}
