//! Waits until every exporter is done with a batch.
//!
//! The batch is durable already: however the wait ends, the client is never told
//! to send it again. The wait ends at once when the host stops.

use std::sync::Arc;

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use uuid::Uuid;

use crate::{
    api::blocking,
    batch_journal::BatchJournal,
    journal::{BatchInfo, BatchState, Receipt},
    lifecycle::Phase,
};

/// How far a batch was delivered when the wait ended.
#[derive(Debug)]
pub(super) struct DeliveryState {
    /// Whether every exporter is done with the batch.
    pub(super) done: bool,
    /// The batch at each exporter; `None` if the journal does not know it any more.
    pub(super) exporters: Option<Vec<BatchState>>,
}

pub(super) async fn wait(
    journal: &Arc<BatchJournal>,
    receipt: &Receipt,
    deadline: Instant,
    mut phase: watch::Receiver<Phase>,
) -> DeliveryState {
    let mut commits = journal.backend().commits();
    let mut exporters = None;
    loop {
        // Marked before the read, so that a change during the read wakes the wait below.
        commits.mark_unchanged();
        let Some(info) = find(journal, receipt.batch_id).await else {
            // A batch is deleted after every exporter is done with it, and its key lives
            // longer: a repeated request finds no batch because it was delivered. But a
            // journal that was found damaged forgets batches and keys alike, so a batch
            // that was seen in this loop, or was accepted just now, may be lost.
            let done = receipt.repeated && exporters.is_none();
            return DeliveryState { done, exporters };
        };
        let done = info.exporters.iter().all(|state| state.committed);
        exporters = Some(info.exporters);
        let goes_on = !done
            && tokio::select! {
                changed = commits.changed() => changed.is_ok(),
                () = sleep_until(deadline) => false,
                _ = phase.wait_for(|phase| *phase == Phase::Aborting) => false,
            };
        if !goes_on {
            return DeliveryState { done, exporters };
        }
    }
}

async fn find(journal: &Arc<BatchJournal>, batch_id: Uuid) -> Option<BatchInfo> {
    let journal = Arc::clone(journal.backend());
    let found = blocking(move || journal.batch(batch_id)).await.ok()?;
    found
        .inspect_err(
            |error| log::debug!(batch:% = batch_id; "cannot wait for the delivery of a batch: {error}"),
        )
        .ok()?
}
