//! Permits of requests that bring batches.
//!
//! Each kind has its own, so that an alert never waits for performance batches, however
//! many there are and however large they are.

use std::sync::Arc;

use delfin_plugin_api::Kind;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::ApiError;
use crate::ingest::ParseQueues;

/// Requests at a time. Further ones are refused.
const MAX_PERFORMANCE_REQUESTS: usize = 320;
const MAX_ALERT_REQUESTS: usize = 128;

/// Requests of both kinds at a time: more connections than these are left for health
/// checks, metrics and commands.
pub(super) const MAX_INGEST_REQUESTS: usize = MAX_PERFORMANCE_REQUESTS + MAX_ALERT_REQUESTS;

/// Clients of one kind that wait for the delivery of their batches at a time. Further ones
/// get their answer without waiting.
const MAX_WAITING_CLIENTS: usize = 128;

/// The permits of both kinds.
#[derive(Clone, Debug)]
pub(super) struct IngestPermits {
    performance: KindPermits,
    alerts: KindPermits,
}

/// The permits of one kind.
#[derive(Clone, Debug)]
pub(super) struct KindPermits {
    requests: Arc<Semaphore>,
    /// With a body in each for each processor: more at a time would use more memory and
    /// finish no earlier.
    pub(super) queues: ParseQueues,
    waiting: Arc<Semaphore>,
}

impl IngestPermits {
    pub(super) fn new() -> Self {
        Self {
            performance: KindPermits::new(MAX_PERFORMANCE_REQUESTS),
            alerts: KindPermits::new(MAX_ALERT_REQUESTS),
        }
    }

    pub(super) fn of(&self, kind: Kind) -> &KindPermits {
        match kind {
            Kind::Performance => &self.performance,
            Kind::Alert => &self.alerts,
        }
    }
}

impl KindPermits {
    fn new(max_requests: usize) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            requests: Arc::new(Semaphore::new(max_requests)),
            queues: ParseQueues::new(processors),
            waiting: Arc::new(Semaphore::new(MAX_WAITING_CLIENTS)),
        }
    }

    /// The permit of a request, until it is answered.
    ///
    /// # Errors
    ///
    /// Too many such requests are in progress.
    pub(super) fn begin_request(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let permit = Arc::clone(&self.requests).try_acquire_owned();
        permit.map_err(|_| ApiError::Overloaded {
            reason: "too many batches are being accepted".to_owned(),
        })
    }

    /// The permit to wait for the delivery of a batch; `None` if too many clients wait.
    pub(super) fn begin_waiting(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.waiting).try_acquire_owned().ok()
    }
}
