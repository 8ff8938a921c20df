//! The phases of the host and of each exporter: running, draining, stopping, aborting.

use std::time::Duration;

/// How long a task gets to end once its phase is [`Phase::Aborting`].
pub(crate) const ABORT_TIMEOUT: Duration = Duration::from_secs(1);

/// Shutdown phase of the host or of an exporter. It only advances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Batches are accepted and delivered.
    Running,
    /// No batch is accepted any more: deliver what can be delivered at once, then stop.
    Draining,
    /// Finish the call in progress, then stop.
    Stopping,
    /// Stop now: abandon the call in progress.
    Aborting,
}
