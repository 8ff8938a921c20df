//! Resending active alerts, for receivers that forget them.
//!
//! Active alerts are the present state and not part of the journal: a resend is
//! never committed, and what fails is sent at the next interval. In return, an
//! alert exporter with a resend interval does not get rows that waited for longer
//! than the interval and were superseded meanwhile: they count as filtered.

use std::time::{Duration, Instant};

use delfin_plugin_api::{AlertBatch, Batch, Origin};
use uuid::Uuid;

use crate::{
    alert::ActiveAlerts,
    batch::{Header, Seq, StoredBatch},
    clock::{HostClock, now_ms},
    plugin::{ExportRequest, RequestPart},
};

/// Rows of one request, so that its call ends in time however many alerts are active.
const MAX_ROWS: usize = 4096;

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
}

impl ResendSchedule {
    /// The first resend is due at once: what the receiver has is unknown.
    pub(super) fn new(resend: Option<Resend>, clock: HostClock) -> Self {
        Self {
            resend,
            clock,
            due: Instant::now(),
            requests: Vec::new(),
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
        let requests = batches.into_iter().map(|batch| ExportRequest {
            arrow: batch.as_arrow().clone(),
            items: batch.items(),
            origin: Origin::Resend,
            parts: vec![RequestPart {
                header: Header {
                    batch_id: Uuid::now_v7(),
                    origin: Origin::Resend,
                    storage_id: None,
                    complete: false,
                    accepted_ms: now,
                    items: batch.items(),
                },
                first_row: 0,
                rows: batch.rows() as u64,
            }],
            stored: None,
        });
        requests.collect()
    }
}

#[cfg(test)]
mod tests;
