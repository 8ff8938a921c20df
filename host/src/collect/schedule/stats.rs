//! Counters and state of collection, per storage.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::collect::storage_info::StorageInfo;

/// Counters and state of collection from one storage.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CollectStats {
    /// `None` until the driver was opened.
    pub info: Option<StorageInfo>,
    pub state: CollectState,
    /// Collections and alert syncs that succeeded.
    pub succeeded: u64,
    /// Collections and alert syncs that failed. Their windows became part of later ones.
    pub failed: u64,
    /// Batches that the destination rejected. They are sent again.
    pub rejected: u64,
    /// Intervals that ended during an earlier call. Their time became part of later windows.
    pub skipped: u64,
    /// Points that the destination accepted.
    pub points: u64,
    /// Alerts that the destination accepted.
    pub alerts: u64,
    /// Time that is in no window, because a window has a maximum length.
    pub lost_time: Duration,
    pub last_duration: Option<Duration>,
    /// End of the last successful call, in milliseconds since the Unix epoch.
    pub last_success_ms: Option<i64>,
    /// Reason of the last failure; `None` after a success.
    pub last_error: Option<String>,
}

/// State of collection from one storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CollectState {
    /// Waits for the next interval.
    #[default]
    Waiting,
    /// A driver call has not returned yet.
    Calling {
        /// Start of the call, in milliseconds since the Unix epoch.
        since_ms: i64,
    },
    /// The driver reported an error that only the operator can correct. No further
    /// calls until the schedule is set again.
    Failed,
    /// The scheduler was stopped.
    Stopped,
}

/// Statistics that the task of a storage writes and any thread reads.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedStats(Arc<Mutex<CollectStats>>);

impl SharedStats {
    pub(super) fn lock(&self) -> MutexGuard<'_, CollectStats> {
        // A panic cannot leave plain numbers half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
