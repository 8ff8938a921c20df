//! Ends the alerts of storages that were removed while the host was stopped.

use std::{
    collections::BTreeSet,
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::time::sleep;

use super::Storages;
use crate::{
    alert::ActiveAlerts, batch::NewBatch, batch_journal::BatchJournal, journal::AppendError,
};

/// How soon to look again whether the table of active alerts has caught up.
const CATCH_UP: Duration = Duration::from_millis(50);
/// Wait before a failed append is retried.
const RETRY_INTERVAL: Duration = Duration::from_secs(10);

/// Appends an empty complete list for each storage that the host collected alerts from and does
/// not know any more. Returns early if the host stops.
pub async fn end_alerts_of_removed(
    storages: Weak<Storages>,
    alerts: ActiveAlerts,
    journal: Arc<BatchJournal>,
) {
    // Records that the table has not applied yet may have further alerts.
    let head = *journal.backend().head().borrow();
    while !alerts.has_applied_before(head.next()) {
        sleep(CATCH_UP).await;
    }
    // Without an inventory it is unknown which storages were removed.
    let Some(inventory) = storages
        .upgrade()
        .map(|storages| storages.inventory.clone())
    else {
        return;
    };
    inventory.opened().await;
    let Some(Ok(known)) = storages.upgrade().map(|storages| storages.list()) else {
        return;
    };
    let known: BTreeSet<String> = known.iter().map(|one| one.id.to_string()).collect();
    for storage_id in removed_storages(&alerts, &known) {
        log::info!(storage = storage_id; "storage was removed, its alerts have ended");
        while let Err(error) = journal
            .accept(NewBatch::all_alerts_ended(&storage_id), None)
            .await
        {
            if error == AppendError::Closed {
                return;
            }
            log::warn!(storage = storage_id, error:%; "cannot end the alerts of a removed storage, retrying");
            sleep(RETRY_INTERVAL).await;
        }
    }
}

/// The storages of active alerts that the host collected, except the known ones.
fn removed_storages(alerts: &ActiveAlerts, known: &BTreeSet<String>) -> BTreeSet<String> {
    let collected = alerts.list().into_iter().filter(|alert| !alert.is_ingested);
    collected
        .map(|alert| alert.identity.storage_id().to_owned())
        .filter(|id| !id.is_empty() && !known.contains(id))
        .collect()
}
