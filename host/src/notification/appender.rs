//! Makes the alerts of notifications durable.

use std::{collections::HashMap, sync::Arc, time::Duration};

use delfin_plugin_api::{AlertBatch, Origin};
use tokio::time::sleep;
use uuid::Uuid;

use crate::{
    batch::NewBatch,
    batch_journal::BatchJournal,
    journal::AppendError,
    storages::{StorageView, Storages},
};

/// Wait before a failed append is retried.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Appends alerts to the journal until it takes them.
#[derive(Clone, Debug)]
pub struct AlertAppender {
    pub journal: Arc<BatchJournal>,
    /// Where the notifications come from, for the log.
    pub input: &'static str,
}

/// The outcome of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendResult {
    Durable,
    /// The journal can never take the alerts.
    Lost,
    /// The host stops.
    Closed,
}

impl AlertAppender {
    /// Appends alerts that so many notifications have made.
    pub async fn append(
        &self,
        alerts: AlertBatch,
        storage_id: Option<String>,
        notifications: u64,
    ) -> AppendResult {
        let batch = NewBatch {
            rows: alerts.into(),
            origin: Origin::Trap,
            storage_id,
            complete: false,
        };
        if batch.rows.items() == 0 {
            return AppendResult::Durable;
        }
        let input = self.input;
        let mut level = log::Level::Error;
        loop {
            let error = match self.journal.accept(batch.clone(), None).await {
                Ok(_) => return AppendResult::Durable,
                Err(error) => error,
            };
            match error {
                // What was accepted is reported by the end of the receiver.
                AppendError::Closed => return AppendResult::Closed,
                AppendError::Unfit { .. } => {
                    log::error!(input, notifications, error:%; "notifications were lost: their alerts do not fit into the journal");
                    return AppendResult::Lost;
                }
                AppendError::Full { .. }
                | AppendError::QueueFull { .. }
                | AppendError::NoSpace { .. }
                | AppendError::Unavailable { .. }
                | AppendError::Remote { .. } => {
                    log::log!(level, input, notifications, error:%; "the journal does not take alerts of notifications, retrying: further notifications wait, and the kernel can drop them");
                    level = log::Level::Debug;
                    sleep(RETRY_INTERVAL).await;
                }
            }
        }
    }
}

/// What the alerts of one batch say about their storages.
#[derive(Debug)]
pub struct StorageNames<'a> {
    storages: &'a Storages,
    known: HashMap<Uuid, Option<StorageView>>,
}

impl<'a> StorageNames<'a> {
    #[must_use]
    pub fn new(storages: &'a Storages) -> Self {
        Self {
            storages,
            known: HashMap::new(),
        }
    }

    /// `None` if the storage was removed a moment ago.
    pub fn of(&mut self, id: Uuid) -> Option<&StorageView> {
        let storage = self.known.entry(id);
        let storage = storage.or_insert_with(|| self.storages.get(&id.to_string()).ok());
        storage.as_ref()
    }
}
