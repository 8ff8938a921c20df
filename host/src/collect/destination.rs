//! Where collected batches go.
//!
//! Knows nothing of the journal and of drivers.

use std::{error::Error, future::Future};

use uuid::Uuid;

use crate::batch::NewBatch;

/// Why a destination rejected a batch.
pub type DestinationError = Box<dyn Error + Send + Sync>;

/// The batch of one driver call.
#[derive(Clone, Debug)]
pub struct CollectedBatch {
    /// The same when the batch is sent again: the first time may have succeeded without an answer.
    pub batch_id: Uuid,
    /// Its `storage_id` is set.
    pub batch: NewBatch,
    /// End of the batch's window, in milliseconds since the Unix epoch: after a restart,
    /// collection continues there. `None` if the storage is not historic.
    pub until_ms: Option<i64>,
}

/// Accepts collected batches.
pub trait Destination: Send + Sync + 'static {
    /// Accepts a batch, and with it the end of its window. The caller sends a rejected batch again later.
    fn accept(
        &self,
        collected: CollectedBatch,
    ) -> impl Future<Output = Result<(), DestinationError>> + Send;

    /// The end of the last window of a storage that was accepted, also before the host started.
    fn collected_until(
        &self,
        storage_id: &str,
    ) -> impl Future<Output = Result<Option<i64>, DestinationError>> + Send;
}

impl CollectedBatch {
    /// A batch without a window.
    #[must_use]
    pub fn new(batch: NewBatch) -> Self {
        Self {
            batch_id: Uuid::now_v7(),
            batch,
            until_ms: None,
        }
    }
}
