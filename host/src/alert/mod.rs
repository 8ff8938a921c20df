//! The active alerts: those that were sighted and have not ended.
//!
//! A follower goes through the journal of alert batches behind a place of its own,
//! so that the table is what the journal says, after a crash too. An alert ends
//! by a `Recovery`, or because a complete batch of its storage is without it;
//! in that case a batch of recoveries is appended, so that every exporter hears
//! of the end in the same way.
//!
//! Knows nothing of exporters, drivers or the network.

mod follower;
mod identity;
mod sighting;
mod store;
mod table;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use delfin_plugin_api::AlertBatch;

pub use follower::{Follower, StartError};
pub use identity::Identity;
pub use sighting::TrackedAlert;

use crate::{batch::Seq, batch_journal::BatchJournal};
use table::Table;

/// The table, for whoever asks. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ActiveAlerts(Arc<Mutex<Table>>);

/// What the table holds, in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertStats {
    /// How many alerts are active, by severity.
    pub active: BTreeMap<&'static str, u64>,
    /// How many were taken off the table because it was full.
    pub dropped: u64,
}

/// Opens the table in a folder, and whoever keeps it in step with the journal.
///
/// # Errors
///
/// The table's file cannot be used, or the journal gives no place.
pub async fn open(
    state_dir: &Path,
    max_active: usize,
    journal: &Arc<BatchJournal>,
) -> Result<(ActiveAlerts, Follower), StartError> {
    Follower::open(state_dir, max_active, journal).await
}

impl ActiveAlerts {
    /// Each active alert, by storage and identity.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<TrackedAlert>> {
        self.lock().active().cloned().collect()
    }

    /// The active alerts and those that ended lately, the latter as recoveries,
    /// in batches of at most that many.
    #[must_use]
    pub fn to_send_again(&self, now_ms: i64, most_rows: usize) -> Vec<AlertBatch> {
        let alerts = self.lock().to_send_again(now_ms);
        let chunks = alerts.chunks(most_rows);
        chunks.map(sighting::batch_of).collect()
    }

    /// The rows of a batch that nothing newer is known of: what a later batch
    /// says of the same alert makes a row old news.
    #[must_use]
    pub fn still_news(&self, seq: Seq, batch: &AlertBatch) -> Vec<usize> {
        let table = self.lock();
        let rows = batch.alerts().enumerate();
        rows.filter(|(_, alert)| !table.knows_newer(&Identity::of(alert), seq))
            .map(|(row, _)| row)
            .collect()
    }

    /// Whether every record before that one is taken in.
    #[must_use]
    pub fn know_all_before(&self, seq: Seq) -> bool {
        self.lock().next() >= seq
    }

    /// What the table holds, in numbers.
    #[must_use]
    pub fn stats(&self) -> AlertStats {
        let table = self.lock();
        let mut active: BTreeMap<_, _> = SEVERITIES.into_iter().map(|name| (name, 0)).collect();
        for alert in table.active() {
            *active.entry(severity(alert)).or_default() += 1;
        }
        AlertStats {
            active,
            dropped: table.dropped(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Delfin's severities, and what else devices say.
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

/// A name out of a fixed list, for a metric must not grow with what devices say.
fn severity(alert: &TrackedAlert) -> &'static str {
    let Some(said) = alert.text("severity") else {
        return "NotSpecified";
    };
    let known = SEVERITIES
        .into_iter()
        .find(|name| name.eq_ignore_ascii_case(said));
    known.unwrap_or("other")
}
