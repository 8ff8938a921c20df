//! Sending active alerts again, for receivers that forget.
//!
//! What is sent again is the present state and no part of the journal: it is
//! settled nowhere, and what fails is sent in the next round. Whoever gets the
//! state in that way is spared what waited longer than a round and was
//! overtaken meanwhile: those rows count as filtered.

use std::time::{Duration, Instant};

use delfin_plugin_api::{AlertBatch, Batch, Origin};
use uuid::Uuid;

use crate::{
    alert::ActiveAlerts,
    batch::{Header, Seq, StoredBatch},
    clock::{millis, now_ms},
    plugin::{ExportRequest, RequestPart},
};

/// So that a call is over in time, however many alerts are active.
const MOST_ROWS: usize = 4096;

/// How soon to look again whether the table has caught up with the exporter.
const CATCH_UP: Duration = Duration::from_millis(20);

/// What an exporter is sent again, and how often.
#[derive(Clone, Debug)]
pub struct Resend {
    /// How often.
    pub every: Duration,
    /// The alerts.
    pub alerts: ActiveAlerts,
}

/// The rounds of one exporter.
pub(super) struct Rounds {
    resend: Option<Resend>,
    due: Instant,
}

impl Rounds {
    /// The first round is due at once: nobody knows what the receiver has.
    pub(super) fn new(resend: Option<Resend>) -> Self {
        Self {
            resend,
            due: Instant::now(),
        }
    }

    /// When the next round begins, but not after `latest`.
    pub(super) fn next(&self, latest: Instant) -> Instant {
        match &self.resend {
            Some(_) => self.due.min(latest),
            None => latest,
        }
    }

    /// Whether it is time for a round, for an exporter whose next record this is
    /// in a journal with that head. One that never is in step gets its round late.
    pub(super) fn is_due(&mut self, next: Seq, head: Seq) -> bool {
        let Some(resend) = &self.resend else {
            return false;
        };
        let Some(late) = Instant::now().checked_duration_since(self.due) else {
            return false;
        };
        if next <= head && late < resend.every {
            return false;
        }
        // A table that is behind the exporter would say that what has just
        // ended goes on.
        let known = resend.alerts.has_applied_before(next);
        if !known {
            self.put_off(CATCH_UP);
        }
        known
    }

    /// The receiver was away: what came due meanwhile is due from now on.
    pub(super) fn receiver_is_back(&mut self) {
        self.put_off(Duration::ZERO);
    }

    /// Begins a round: what is to be sent.
    pub(super) fn begin(&mut self) -> Vec<ExportRequest> {
        let Some(resend) = &self.resend else {
            return Vec::new();
        };
        self.due = Instant::now() + resend.every;
        let now = now_ms();
        let batches = resend.alerts.resend_batches(now, MOST_ROWS);
        let outgoing = batches.into_iter().map(|batch| ExportRequest {
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
        });
        outgoing.collect()
    }

    /// The next round begins no sooner than after that time.
    pub(super) fn put_off(&mut self, wait: Duration) {
        self.due = self.due.max(Instant::now() + wait);
    }

    /// Which rows of a batch the receiver should still get; none, if all.
    pub(super) fn news_of(&self, batch: &StoredBatch) -> Option<Vec<u32>> {
        let resend = self.resend.as_ref()?;
        let round_ms = millis(resend.every);
        let fresh = now_ms().saturating_sub(batch.header.accepted_ms) < round_ms;
        if fresh || batch.header.origin == Origin::Replay {
            return None;
        }
        // What cannot be read here is for the plugin to refuse.
        let alerts = AlertBatch::try_from_arrow(batch.arrow.clone()).ok()?;
        let rows = resend.alerts.current_rows(batch.seq, &alerts);
        (rows.len() < batch.arrow.num_rows())
            .then(|| rows.into_iter().map(|row| row as u32).collect())
    }
}

#[cfg(test)]
mod tests;
