//! The way back from the writer thread to a caller.

use tokio::sync::oneshot;

/// Holds the result of a command until its transaction is durable.
///
/// Running the command again overwrites the result, so a command can be repeated
/// after a transaction that failed.
pub(super) struct PendingReply<T, E> {
    caller: oneshot::Sender<Result<T, E>>,
    pub(super) result: Option<Result<T, E>>,
}

impl<T, E> PendingReply<T, E> {
    pub(super) fn new(caller: oneshot::Sender<Result<T, E>>) -> Self {
        Self {
            caller,
            result: None,
        }
    }

    pub(super) fn send(self) {
        if let Some(result) = self.result {
            // A caller that dropped its future does not need the result.
            let _ = self.caller.send(result);
        }
    }

    pub(super) fn send_error(self, error: E) {
        Self {
            result: Some(Err(error)),
            ..self
        }
        .send();
    }
}
