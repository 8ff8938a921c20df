//! What the schedule counts, per storage.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::collect::driver::StorageInfo;

/// How collection from one storage is going.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CollectStats {
    /// Who the storage is, once it has said so.
    pub info: Option<StorageInfo>,
    /// What is going on now.
    pub state: CollectState,
    /// How many collections and alert syncs succeeded.
    pub succeeded: u64,
    /// How many failed; their windows became part of later ones.
    pub failed: u64,
    /// How many batches the destination did not take at once.
    pub refused: u64,
    /// How many beats of its rhythm passed while it was still busy; their time
    /// became part of later windows.
    pub skipped: u64,
    /// How many points the destination took.
    pub points: u64,
    /// How many alerts the destination took.
    pub alerts: u64,
    /// How much time was given up, because its window grew too long.
    pub given_up: Duration,
    /// How long the last call took.
    pub last_duration: Option<Duration>,
    /// When the last call succeeded, in milliseconds since the epoch.
    pub last_success_ms: Option<i64>,
    /// Why the last call failed; nothing once one has succeeded.
    pub last_error: Option<String>,
}

/// What goes on with one storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CollectState {
    /// It waits for its next collection.
    #[default]
    Waiting,
    /// Its driver has been called and has not answered yet.
    Calling {
        /// Since when, in milliseconds since the epoch.
        since_ms: i64,
    },
    /// It is not asked any more: somebody has to correct its settings first.
    Failed,
    /// The schedule has been stopped.
    Stopped,
}

/// Counters that are written by a storage's task and read by anybody.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedStats(Arc<Mutex<CollectStats>>);

impl SharedStats {
    pub(super) fn lock(&self) -> MutexGuard<'_, CollectStats> {
        // Plain numbers are never half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
