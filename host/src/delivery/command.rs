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
    /// Try again now, also after a failed start; not while an operator pauses the exporter.
    /// The answer says that the tries begin.
    Resume { answer: oneshot::Sender<()> },
    /// Close the instance after the call in progress, and make no further call.
    Pause { answer: oneshot::Sender<()> },
    /// End the pause of an operator, and try again now.
    Unpause { answer: oneshot::Sender<()> },
    /// Drop everything pending. The answer is the number of items.
    Skip {
        answer: oneshot::Sender<Result<u64, CursorError>>,
    },
    /// Continue with the cursor of an exporter that does not run, in place of its own.
    Adopt {
        from: String,
        answer: oneshot::Sender<Result<(), CursorError>>,
    },
}
