//! Where collected batches go.
//!
//! Knows nothing of who takes them, and nothing of drivers.

use std::{error::Error, future::Future};

use delfin_plugin_api::{AlertBatch, Batch, Origin, PerformanceBatch};

/// Why a destination did not take a batch.
pub type Refused = Box<dyn Error + Send + Sync>;

/// What one call of a driver brought.
#[derive(Clone, Debug)]
pub struct Collected {
    /// The storage that it is about: the batch's scope.
    pub storage_id: String,
    /// Why it was collected.
    pub origin: Origin,
    /// Whether the batch is all there is of this kind in its scope: an alert
    /// that is absent from a complete batch has ended.
    pub complete: bool,
    /// Once it is taken, how far the storage is collected, in milliseconds since
    /// the epoch: of a storage that can be asked for what came before.
    pub until_ms: Option<i64>,
    /// The points or alerts.
    pub batch: CollectedBatch,
}

/// A batch of either kind.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one a call of a driver: its size costs nothing, a box would be in everybody's way"
)]
#[derive(Clone, Debug)]
pub enum CollectedBatch {
    /// Series of measured points.
    Performance(PerformanceBatch),
    /// Alerts.
    Alerts(AlertBatch),
}

/// Takes collected batches.
pub trait Destination: Send + Sync + 'static {
    /// Takes a batch, or says why not; then it is offered again later.
    fn accept(&self, collected: Collected) -> impl Future<Output = Result<(), Refused>> + Send;
}

impl CollectedBatch {
    /// How many items it counts as: points, or alerts.
    #[must_use]
    pub fn items(&self) -> u64 {
        match self {
            Self::Performance(batch) => batch.items(),
            Self::Alerts(batch) => batch.items(),
        }
    }
}
