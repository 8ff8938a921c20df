//! Resending active alerts, for receivers that forget them.
//!
//! Active alerts are the present state and not part of the journal: a resend is
//! never committed, and what fails is sent at the next interval. In return, an
//! alert exporter with a resend interval does not get rows that waited for longer
//! than the interval and were superseded meanwhile: they count as filtered.
//!
//! An alert that ends the process of the exporter is found as in rows of the journal. It is left
//! out until it changes, so that the others arrive.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use arrow_array::{BooleanArray, RecordBatch};
use arrow_select::filter::filter_record_batch;
use delfin_plugin_api::{AlertBatch, Batch, Origin};
use uuid::Uuid;

use super::fatal_rows::{FatalAction, FatalRows};
use crate::{
    alert::ActiveAlerts,
    batch::{Header, Seq, StoredBatch},
    clock::{HostClock, now_ms},
    plugin::{ExportRequest, ProcessDeath, RequestPart},
};

/// Rows of one request, so that its call ends in time however many alerts are active.
const MAX_ROWS: usize = 4096;

/// The most alerts that are left out. The oldest ones may have changed or ended since.
const MAX_LEFT_OUT: usize = 64;

/// How soon to look again whether the table of active alerts has caught up.
const CATCH_UP: Duration = Duration::from_millis(20);

/// What is resent to an exporter, and how often.
#[derive(Clone, Debug)]
pub struct Resend {
    pub interval: Duration,
    pub alerts: ActiveAlerts,
}

/// When active alerts are resent to one exporter.
pub(super) struct ResendSchedule {
    resend: Option<Resend>,
    clock: HostClock,
    due: Instant,
    /// Requests of the current resend that are not sent yet.
    requests: Vec<ExportRequest>,
    fatal: FatalRows,
    /// Alerts that have ended the process, a row each.
    left_out: Vec<RecordBatch>,
}

impl ResendSchedule {
    /// The first resend is due at once: what the receiver has is unknown.
    pub(super) fn new(resend: Option<Resend>, clock: HostClock) -> Self {
        Self {
            resend,
            clock,
            due: Instant::now(),
            requests: Vec::new(),
            fatal: FatalRows::default(),
            left_out: Vec::new(),
        }
    }

    /// When the next resend is due, if that is in the future. A resend that is due
    /// and not sent waits for the exporter to catch up.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let is_in_future = self.resend.is_some() && self.due > Instant::now();
        is_in_future.then_some(self.due)
    }

    /// The next request, if a resend is due. `next` is the exporter's next record
    /// in a journal whose last record is `head`.
    pub(super) fn next(&mut self, next: Seq, head: Seq) -> Option<ExportRequest> {
        if self.requests.is_empty() && self.is_due(next, head) {
            self.requests = self.start();
        }
        self.requests.pop()
    }

    /// Discards the requests of the current resend.
    pub(super) fn cancel(&mut self) {
        self.requests.clear();
    }

    /// The process ended in a call with this request.
    pub(super) fn on_death(
        &mut self,
        request: &ExportRequest,
        death: &ProcessDeath,
    ) -> FatalAction {
        let parts = request.parts.iter();
        let rows = parts.map(|part| {
            let rows = part.first_row..part.first_row + part.rows;
            (part.header.batch_id, rows)
        });
        let action = self.fatal.on_death(rows.collect(), death);
        match action {
            FatalAction::Retry => self.requests.push(request.clone()),
            FatalAction::Split => {
                let rows = request.arrow.num_rows();
                // The last one is the next one.
                let halves = [rows / 2..rows, 0..rows / 2];
                self.requests
                    .extend(halves.map(|rows| part_of(request, rows)));
            }
            FatalAction::Reject { .. } => {
                if self.left_out.len() == MAX_LEFT_OUT {
                    self.left_out.remove(0);
                }
                self.left_out.push(request.arrow.clone());
            }
        }
        action
    }

    /// The receiver was away: a resend that was due meanwhile is due now.
    pub(super) fn on_receiver_back(&mut self) {
        self.postpone(Duration::ZERO);
    }

    /// The next resend is due no sooner than after this wait.
    pub(super) fn postpone(&mut self, wait: Duration) {
        self.due = self.due.max(Instant::now() + wait);
    }

    /// The rows of a batch that the receiver should still get; `None`: all rows.
    pub(super) fn wanted_rows(&self, batch: &StoredBatch) -> Option<Vec<u32>> {
        let resend = self.resend.as_ref()?;
        let age = self.clock.age(batch.header.accepted_ms);
        if age < resend.interval || batch.header.origin == Origin::Replay {
            return None;
        }
        // A batch that cannot be read here is refused by the plugin with a reason.
        let alerts = AlertBatch::try_from_arrow(batch.arrow.clone()).ok()?;
        let rows = resend.alerts.current_rows(batch.seq, &alerts);
        (rows.len() < batch.arrow.num_rows())
            .then(|| rows.into_iter().map(|row| row as u32).collect())
    }

    /// Whether to resend now. An exporter with pending records comes first to
    /// their end, so that the receiver sees changes in their order; one that never
    /// does gets its resend an interval late.
    fn is_due(&mut self, next: Seq, head: Seq) -> bool {
        let Some(resend) = &self.resend else {
            return false;
        };
        let Some(late) = Instant::now().checked_duration_since(self.due) else {
            return false;
        };
        if next <= head && late < resend.interval {
            return false;
        }
        // A table that is behind the exporter still has alerts whose end the
        // exporter has delivered.
        let is_current = resend.alerts.has_applied_before(next);
        if !is_current {
            self.postpone(CATCH_UP);
        }
        is_current
    }

    fn start(&mut self) -> Vec<ExportRequest> {
        let Some(resend) = &self.resend else {
            return Vec::new();
        };
        self.due = Instant::now() + resend.interval;
        let now = now_ms();
        let batches = resend.alerts.resend_batches(&self.clock, MAX_ROWS);
        let batches = batches
            .iter()
            .map(|batch| self.without_left_out(batch.as_arrow()));
        let requests = batches.filter(|batch| batch.num_rows() > 0);
        let requests = requests.map(|arrow| {
            let items = arrow.num_rows() as u64;
            ExportRequest {
                arrow,
                items,
                origin: Origin::Resend,
                parts: vec![RequestPart {
                    header: Header {
                        batch_id: Uuid::now_v7(),
                        origin: Origin::Resend,
                        storage_id: None,
                        complete: false,
                        accepted_ms: now,
                        items,
                    },
                    first_row: 0,
                    rows: items,
                }],
                stored: None,
            }
        });
        requests.collect()
    }

    fn without_left_out(&self, alerts: &RecordBatch) -> RecordBatch {
        if self.left_out.is_empty() {
            return alerts.clone();
        }
        let is_wanted = |row| !self.left_out.contains(&alerts.slice(row, 1));
        let wanted: Vec<bool> = (0..alerts.num_rows()).map(is_wanted).collect();
        // It fails only for masks of another length.
        filter_record_batch(alerts, &BooleanArray::from(wanted)).unwrap_or_else(|_| alerts.clone())
    }
}

/// Rows of a resend, which has one part.
fn part_of(request: &ExportRequest, rows: Range<usize>) -> ExportRequest {
    let items = rows.len() as u64;
    let parts = request.parts.iter().map(|part| RequestPart {
        header: Header {
            items,
            ..part.header.clone()
        },
        first_row: part.first_row + rows.start as u64,
        rows: items,
    });
    ExportRequest {
        arrow: request.arrow.slice(rows.start, rows.len()),
        items,
        parts: parts.collect(),
        ..request.clone()
    }
}

#[cfg(test)]
mod tests;
