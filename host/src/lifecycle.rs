//! The phases of the host and of each exporter: run, drain, stop.

/// How far the host, or an exporter, is on its way to its end. A phase is
/// followed by a later one only.
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
