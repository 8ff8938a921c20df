//! Permits of requests that bring batches, and of taps.
//!
//! Each kind has its own, so that an alert never waits for performance batches, however
//! many there are and however large they are.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

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

/// Taps at a time.
const MAX_TAPS: usize = 8;

/// The requests in progress, by the address of the client. One address can have three quarters
/// of them, so that others are not refused because of it.
#[derive(Debug)]
struct RequestTable {
    max: usize,
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

/// The permit of a request, until it is dropped.
#[derive(Debug)]
pub(super) struct RequestPermit {
    table: Arc<RequestTable>,
    address: IpAddr,
}

/// The permits of both kinds.
#[derive(Clone, Debug)]
pub(super) struct IngestPermits {
    performance: KindPermits,
    alerts: KindPermits,
}

/// The permits of one kind.
#[derive(Clone, Debug)]
pub(super) struct KindPermits {
    requests: Arc<RequestTable>,
    /// With a body in each for each processor: more at a time would use more memory and
    /// finish no earlier.
    pub(super) queues: ParseQueues,
    waiting: Arc<Semaphore>,
}

/// The permits of the taps that are open.
#[derive(Clone, Debug)]
pub(super) struct TapPermits(Arc<Semaphore>);

impl TapPermits {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MAX_TAPS)))
    }

    pub(super) fn take(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let permit = Arc::clone(&self.0).try_acquire_owned();
        permit.map_err(|_| ApiError::TooManyRequests {
            detail: format!("{MAX_TAPS} taps are open, and there cannot be more"),
        })
    }
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
            requests: Arc::new(RequestTable {
                max: max_requests,
                by_address: Mutex::default(),
            }),
            queues: ParseQueues::new(processors),
            waiting: Arc::new(Semaphore::new(MAX_WAITING_CLIENTS)),
        }
    }

    /// The permit of a request, until it is answered.
    ///
    /// # Errors
    ///
    /// Too many such requests are in progress, of all clients or of this one.
    pub(super) fn begin_request(&self, address: IpAddr) -> Result<RequestPermit, ApiError> {
        let reason = |reason: &str| ApiError::Overloaded {
            reason: reason.to_owned(),
        };
        let mut by_address = self.requests.lock();
        if by_address.values().sum::<usize>() >= self.requests.max {
            return Err(reason("too many batches are being accepted"));
        }
        let of_address = by_address.entry(address).or_default();
        if *of_address >= self.requests.max / 4 * 3 {
            return Err(reason(
                "too many batches of this address are being accepted",
            ));
        }
        *of_address += 1;
        drop(by_address);
        Ok(RequestPermit {
            table: Arc::clone(&self.requests),
            address,
        })
    }

    /// The permit to wait for the delivery of a batch; `None` if too many clients wait.
    pub(super) fn begin_waiting(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.waiting).try_acquire_owned().ok()
    }
}

impl RequestTable {
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.by_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RequestPermit {
    fn drop(&mut self) {
        let mut by_address = self.table.lock();
        if let Some(requests) = by_address.get_mut(&self.address) {
            *requests -= 1;
            if *requests == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}
