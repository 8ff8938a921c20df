//! The table of active alerts.
//!
//! A follower reads the alert journal with a cursor of its own, so the table always
//! corresponds to the journal, also after a crash. An alert ends by a `Recovery` row, or
//! because a complete batch of its storage does not contain it, or by its age. In the last
//! two cases the follower appends a batch of recoveries to the journal, so that every exporter
//! receives the end as a row. An event is never active.
//!
//! Knows nothing of exporters, drivers or the network.

mod follower;
mod identity;
mod store;
mod table;
mod texts;
mod tracked;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use delfin_plugin_api::AlertBatch;

pub(crate) use follower::fits_journal;
pub use follower::{AlertTableError, Follower};
pub use identity::AlertIdentity;
pub(crate) use store::ACTIVE_ALERTS;
pub use tracked::{RECEIVED_BY, TRAP_OID, TrackedAlert};

use crate::{
    batch::Seq, batch_journal::BatchJournal, clock::HostClock, config::AlertsConfig,
    postgres::FencedDatabase,
};
use table::AlertTable;

/// The table for readers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ActiveAlerts(Arc<Mutex<AlertTable>>);

/// Alerts by severity. Each of [`SEVERITIES`] occurs, also without alerts.
pub type SeverityCounts = BTreeMap<&'static str, u64>;

/// Counters of the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertStats {
    pub active: SeverityCounts,
    /// Active alerts that were removed because the table was full.
    pub dropped: u64,
}

/// Opens the table in a folder, or in the database of a cluster if there is one, and the follower that updates it from the
/// journal. Blocks while the table is read.
///
/// # Errors
///
/// The table cannot be read, or the journal cannot open a cursor.
pub async fn open(
    state_dir: &Path,
    database: Option<Arc<FencedDatabase>>,
    limits: &AlertsConfig,
    journal: &Arc<BatchJournal>,
) -> Result<(ActiveAlerts, Follower), AlertTableError> {
    let (store, stored) = store::open(state_dir, database)?;
    Follower::open(store, stored, limits, journal).await
}

impl ActiveAlerts {
    /// All active alerts, by storage and identity.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<TrackedAlert>> {
        self.lock().active().cloned().collect()
    }

    /// Batches to resend, of at most `max_rows` rows: the active alerts, and those that
    /// ended recently as recoveries.
    #[must_use]
    pub fn resend_batches(&self, clock: &HostClock, max_rows: usize) -> Vec<AlertBatch> {
        let alerts = self.lock().to_resend(clock);
        let chunks = alerts.chunks(max_rows);
        chunks.map(tracked::batch_of).collect()
    }

    /// A batch of recoveries of these alerts, with this time.
    #[must_use]
    pub fn recoveries(alerts: &[Arc<TrackedAlert>], occur_time: i64) -> AlertBatch {
        tracked::recoveries_of(alerts, occur_time)
    }

    /// The rows of a batch whose alert is in no later batch.
    #[must_use]
    pub fn current_rows(&self, seq: Seq, batch: &AlertBatch) -> Vec<usize> {
        let table = self.lock();
        let rows = batch.alerts().enumerate();
        rows.filter(|(_, alert)| !table.has_newer(&AlertIdentity::of(alert), seq))
            .map(|(row, _)| row)
            .collect()
    }

    /// Whether the table has applied every record before `seq`.
    #[must_use]
    pub fn has_applied_before(&self, seq: Seq) -> bool {
        self.lock().next() >= seq
    }

    #[must_use]
    pub fn stats(&self) -> AlertStats {
        let table = self.lock();
        AlertStats {
            active: count(table.active()),
            dropped: table.dropped(),
        }
    }

    /// The number of active alerts of a storage, by severity.
    #[must_use]
    pub fn counts_of(&self, storage_id: &str) -> SeverityCounts {
        count(self.lock().active_of(storage_id))
    }

    fn lock(&self) -> MutexGuard<'_, AlertTable> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Delfin's severities, and `other` for any other text.
const SEVERITIES: [&str; 8] = [
    "Fatal",
    "Critical",
    "Major",
    "Minor",
    "Warning",
    "Informational",
    "NotSpecified",
    "other",
];

fn count<'a>(alerts: impl Iterator<Item = &'a Arc<TrackedAlert>>) -> SeverityCounts {
    let mut counts: SeverityCounts = SEVERITIES.into_iter().map(|name| (name, 0)).collect();
    for alert in alerts {
        *counts.entry(severity(alert)).or_default() += 1;
    }
    counts
}

/// A severity from the fixed list: texts of devices must not create new series of a metric.
fn severity(alert: &TrackedAlert) -> &'static str {
    let Some(text) = alert.text("severity") else {
        return "NotSpecified";
    };
    let known = SEVERITIES
        .into_iter()
        .find(|name| name.eq_ignore_ascii_case(text));
    known.unwrap_or("other")
}
