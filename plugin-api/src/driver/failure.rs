//! Why a call of a driver failed.

use delfin_plugin_protocol::{OutcomeClass, OutcomeMessage};

use crate::Failure;

/// Why a call of a driver failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DriverFailure {
    /// The call failed. The host acts on the variant:
    ///
    /// - [`Failure::Retry`]: the storage does not answer. The host calls again at the next
    ///   interval.
    /// - [`Failure::Unauthorized`]: the storage refuses the login. The host stops to call, so that
    ///   no account is locked.
    /// - [`Failure::Misconfigured`]: an option is wrong. The host stops to call.
    /// - [`Failure::Fatal`]: the host starts a new process, after a pause.
    /// - Any other: the answer of the storage cannot be read. The host calls again at the next
    ///   interval.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// The driver cannot do this at all. The host does not make this kind of call again.
    #[error("{message}")]
    Unsupported {
        /// The reason.
        message: String,
    },
}

/// The detail of a refused login.
const UNAUTHORIZED: u16 = 1;

/// The detail of a panic.
const PANICKED: u16 = 1;

impl DriverFailure {
    /// [`DriverFailure::Unsupported`].
    pub fn unsupported(message: impl ToString) -> Self {
        Self::Unsupported {
            message: message.to_string(),
        }
    }
}

/// The message with which a call ends that has no result.
pub(super) fn outcome(id: u64, outcome: Result<(), Failure>) -> OutcomeMessage {
    let message = outcome
        .as_ref()
        .err()
        .map_or_else(String::new, ToString::to_string);
    let (class, detail) = match outcome {
        Ok(()) => (OutcomeClass::Delivered, 0),
        Err(Failure::Retry { .. } | Failure::Throttled { .. }) => (OutcomeClass::Retry, 0),
        Err(Failure::Unauthorized { .. }) => (OutcomeClass::Pause, UNAUTHORIZED),
        Err(Failure::Misconfigured { .. }) => (OutcomeClass::Pause, 0),
        Err(Failure::Fatal { .. }) => (OutcomeClass::Restart, 0),
        Err(
            Failure::Partial { .. }
            | Failure::TooLarge { .. }
            | Failure::Rejected { .. }
            | Failure::Uncertain { .. },
        ) => (OutcomeClass::Reject, 0),
    };
    OutcomeMessage {
        id,
        class,
        detail,
        after_ms: 0,
        message,
        rows: Vec::new(),
        extra: std::collections::BTreeMap::new(),
        keeps_rows: false,
    }
}

/// The message with which a call ends that has panicked.
pub(super) fn panicked(id: u64, panic: String) -> OutcomeMessage {
    OutcomeMessage {
        detail: PANICKED,
        ..outcome(id, Err(Failure::fatal(panic)))
    }
}
