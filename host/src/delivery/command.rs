//! What other tasks ask of an exporter's delivery.

use tokio::sync::oneshot;

use crate::journal::CursorError;

/// Handled between two calls of the exporter.
#[derive(Debug)]
pub(crate) enum Command {
    /// Deliver again what was accepted since a time, in milliseconds since the
    /// Unix epoch. The answer is the number of items.
    Replay {
        since_ms: i64,
        answer: oneshot::Sender<Result<u64, CursorError>>,
    },
    /// Try again now, also after a failed start. The answer says that the tries begin.
    Resume { answer: oneshot::Sender<()> },
}
