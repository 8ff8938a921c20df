//! Waiting until every exporter is done with a batch.
//!
//! The batch is durable already: whatever ends the wait, its sender is never told
//! to send it again. It ends at once when the host stops.

use std::sync::Arc;

use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::super::{ApiState, blocking};
use crate::{
    batch_journal::BatchJournal,
    journal::{BatchInfo, BatchState, Receipt},
    lifecycle::Phase,
};

/// What is known of a batch when the wait is over.
#[derive(Debug)]
pub(super) struct Waited {
    /// Whether every exporter is done with it.
    pub(super) settled: bool,
    /// What each exporter did with it; nothing if that cannot be told.
    pub(super) exporters: Option<Vec<BatchState>>,
}

/// Waits until every exporter is done with a batch, or the time is over.
pub(super) async fn until_settled(
    api: &ApiState,
    journal: &Arc<BatchJournal>,
    receipt: &Receipt,
    deadline: Instant,
) -> Waited {
    let mut settled = journal.backend().commits();
    let mut phase = api.parts().phase.clone();
    let mut exporters = None;
    loop {
        settled.mark_unchanged();
        let info = match find(journal, receipt.batch_id).await {
            Some(info) => info,
            None => {
                // A batch goes once all are done with it. But a journal that was found
                // damaged forgets its batches too, and its keys with them.
                let settled = receipt.repeated && exporters.is_none();
                return Waited { settled, exporters };
            }
        };
        let all = info.exporters.iter().all(|state| state.committed);
        exporters = Some(info.exporters);
        let goes_on = !all
            && tokio::select! {
                changed = settled.changed() => changed.is_ok(),
                () = sleep_until(deadline) => false,
                _ = phase.wait_for(|phase| *phase == Phase::Aborting) => false,
            };
        if !goes_on {
            return Waited {
                settled: all,
                exporters,
            };
        }
    }
}

async fn find(journal: &Arc<BatchJournal>, batch_id: Uuid) -> Option<BatchInfo> {
    let journal = Arc::clone(journal.backend());
    let found = blocking(move || journal.batch(batch_id)).await.ok()?;
    found
        .inspect_err(|error| log::debug!(batch:% = batch_id; "cannot wait for a batch: {error}"))
        .ok()?
}
