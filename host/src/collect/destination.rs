//! Where collected batches go.
//!
//! Knows nothing of the journal and of drivers.

use std::{error::Error, future::Future};

use crate::batch::NewBatch;

/// Why a destination rejected a batch.
pub type DestinationError = Box<dyn Error + Send + Sync>;

/// The batch of one driver call.
#[derive(Clone, Debug)]
pub struct CollectedBatch {
    /// Its `storage_id` is set.
    pub batch: NewBatch,
    /// End of the batch's window, in milliseconds since the Unix epoch: after a restart,
    /// collection continues there. `None` if the storage is not historic.
    pub until_ms: Option<i64>,
}

/// Accepts collected batches.
pub trait Destination: Send + Sync + 'static {
    /// Accepts a batch. The caller sends a rejected batch again later.
    fn accept(
        &self,
        collected: CollectedBatch,
    ) -> impl Future<Output = Result<(), DestinationError>> + Send;
}
