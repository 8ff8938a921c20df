//! Where collected batches go.
//!
//! Knows nothing of who takes them, and nothing of drivers.

use std::{error::Error, future::Future};

use crate::batch::NewBatch;

/// Why a destination did not take a batch.
pub type Refused = Box<dyn Error + Send + Sync>;

/// What one call of a driver brought.
#[derive(Clone, Debug)]
pub struct Collected {
    /// Its `storage_id` is set.
    pub batch: NewBatch,
    /// How far the storage is collected once the batch is accepted, in
    /// milliseconds since the Unix epoch. Set for a storage that reports earlier
    /// points when it is asked for them.
    pub until_ms: Option<i64>,
}

/// Takes collected batches.
pub trait Destination: Send + Sync + 'static {
    /// Takes a batch, or says why not; then it is offered again later.
    fn accept(&self, collected: Collected) -> impl Future<Output = Result<(), Refused>> + Send;
}
