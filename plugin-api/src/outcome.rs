//! What an exporter reports after a call: the author's side of
//! [`delfin_plugin_abi::Outcome`].

use std::{ops::Range, time::Duration};

use abi_stable::std_types::RString;
use delfin_plugin_abi::{self as abi, Class, OutcomeCode};

use crate::text::excerpt;

/// Characters of a reason in the summary of failed rows.
const MAX_SUMMARY: usize = 300;

/// `Ok`: the receiver has all rows.
pub type Outcome = Result<(), Failure>;

/// Why the receiver does not have the rows, or not all of them.
///
/// The host acts on the variant. It keeps the rows and sends them again, except those
/// that become dead letters: rows that are [`Rejected`](Self::Rejected), also in a
/// [`Partial`](Self::Partial), a single row that is [`TooLarge`](Self::TooLarge), and rows
/// that are [`Uncertain`](Self::Uncertain) if the operator has configured that. An outcome
/// never makes the host drop rows; only a limit does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Some rows are not delivered; rows that are not named are. Use
    /// [`RowFailures`] to collect them.
    #[error("{}", FailedRowsSummary(rows))]
    Partial {
        /// The rows that are not delivered. If two ranges overlap, or one ends
        /// behind the last row, the host sends all rows again.
        rows: Vec<RowFailure>,
        /// As in [`Retry`](Self::Retry), for the rows that are sent again.
        after: Option<Duration>,
    },
    /// The receiver is not available: send the same rows again after a backoff.
    #[error("{message}")]
    Retry {
        /// The reason.
        message: String,
        /// How long the receiver asks the host to wait. The host waits at least its
        /// own backoff and at most `retry.max_retry_after`, and sends nothing else
        /// to this receiver meanwhile. `None`: the receiver does not say.
        after: Option<Duration>,
    },
    /// The receiver is overloaded: send the same rows again after a backoff, and
    /// nothing else before.
    #[error("{message}")]
    Throttled {
        /// The reason.
        message: String,
        /// As in [`Retry`](Self::Retry).
        after: Option<Duration>,
    },
    /// The request is too large: send the same rows in smaller requests. A single
    /// row becomes a dead letter.
    #[error("{message}")]
    TooLarge {
        /// The reason, with the receiver's limit if it is known.
        message: String,
    },
    /// The receiver will never accept these rows. The host sends ever smaller
    /// requests until the rejected rows are alone: they become dead letters.
    #[error("{message}")]
    Rejected {
        /// The reason.
        message: String,
    },
    /// The receiver does not accept the credentials. The host keeps the rows,
    /// shows the exporter as `paused` and probes at intervals.
    #[error("{message}")]
    Unauthorized {
        /// The reason.
        message: String,
    },
    /// A person must correct the settings, or those of the receiver. The host
    /// keeps the rows, shows the exporter as `paused` and probes at intervals.
    #[error("{message}")]
    Misconfigured {
        /// The reason, and what would be right.
        message: String,
    },
    /// This instance cannot be used any more. The host makes a new one and sends
    /// the same rows again.
    #[error("{message}")]
    Fatal {
        /// The reason.
        message: String,
    },
    /// The rows were sent and the response is unknown: the receiver may have them
    /// or not. The host sends them again, unless `retry.on_uncertain` says
    /// otherwise.
    #[error("{message}")]
    Uncertain {
        /// The reason.
        message: String,
    },
}

/// Rows of a batch that are not delivered, while others are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFailure {
    /// The numbers of the rows in the batch of the call, from 0.
    pub rows: Range<usize>,
    /// Why the rows are not delivered.
    pub kind: RowFailureKind,
    /// The reason, for logs and dead letters.
    pub reason: String,
}

/// Why rows are not delivered, while others are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RowFailureKind {
    /// The receiver does not have the rows, and can accept them later: send them again.
    Retry,
    /// The receiver will never accept the rows: they become dead letters.
    Rejected,
    /// The rows were sent and the response is unknown, as in [`Failure::Uncertain`]. A host
    /// that does not know this kind sends them again.
    Uncertain,
}

/// Collects the rows of one call that are not delivered, in ascending order.
///
/// Neighbours with the same reason become one [`RowFailure`], so that an outcome
/// stays small however many rows fail.
///
/// ```
/// use delfin_plugin_api::{Failure, RowFailureKind, RowFailures};
///
/// let mut failures = RowFailures::new();
/// failures.push(3..4, RowFailureKind::Rejected, "value out of range");
/// failures.push(4..5, RowFailureKind::Rejected, "value out of range");
/// let Err(Failure::Partial { rows, .. }) = failures.into_outcome() else {
///     panic!("two rows have failed");
/// };
/// assert_eq!((rows.len(), rows[0].rows.clone()), (1, 3..5));
/// assert_eq!(RowFailures::new().into_outcome(), Ok(()));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowFailures {
    rows: Vec<RowFailure>,
    after: Option<Duration>,
}

impl RowFailures {
    /// A collection without a row: all rows are delivered.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds rows that are not delivered. They must come after the rows that were
    /// added before.
    pub fn push(&mut self, rows: Range<usize>, kind: RowFailureKind, reason: &str) {
        match self.rows.last_mut() {
            Some(last)
                if last.rows.end == rows.start && last.kind == kind && last.reason == reason =>
            {
                last.rows.end = rows.end;
            }
            Some(_) | None => self.rows.push(RowFailure {
                rows,
                kind,
                reason: reason.to_owned(),
            }),
        }
    }

    /// The receiver asks to wait before rows are sent again. Of several such times, the longest
    /// counts.
    pub fn wait(&mut self, after: Option<Duration>) {
        self.after = self.after.max(after);
    }

    /// The outcome of the call: `Ok` if no row was added, else
    /// [`Failure::Partial`].
    ///
    /// # Errors
    ///
    /// At least one row was added.
    pub fn into_outcome(self) -> Outcome {
        let Self { rows, after } = self;
        if rows.is_empty() {
            return Ok(());
        }
        Err(Failure::Partial { rows, after })
    }
}

impl Failure {
    /// [`Failure::Retry`], after the host's own backoff.
    pub fn retry(message: impl ToString) -> Self {
        Self::Retry {
            message: message.to_string(),
            after: None,
        }
    }

    /// [`Failure::Rejected`].
    pub fn rejected(message: impl ToString) -> Self {
        Self::Rejected {
            message: message.to_string(),
        }
    }

    /// [`Failure::Misconfigured`].
    pub fn misconfigured(message: impl ToString) -> Self {
        Self::Misconfigured {
            message: message.to_string(),
        }
    }

    /// [`Failure::Fatal`].
    pub fn fatal(message: impl ToString) -> Self {
        Self::Fatal {
            message: message.to_string(),
        }
    }

    /// How long the receiver asks the host to wait.
    #[must_use]
    pub fn after(&self) -> Option<Duration> {
        match self {
            Self::Partial { after, .. }
            | Self::Retry { after, .. }
            | Self::Throttled { after, .. } => *after,
            Self::TooLarge { .. }
            | Self::Rejected { .. }
            | Self::Unauthorized { .. }
            | Self::Misconfigured { .. }
            | Self::Fatal { .. }
            | Self::Uncertain { .. } => None,
        }
    }

    /// The code of the failure in the plugin interface.
    #[must_use]
    pub fn code(&self) -> OutcomeCode {
        match self {
            Self::Partial { .. } => OutcomeCode::PARTIAL,
            Self::Retry { .. } => OutcomeCode::RETRY,
            Self::Throttled { .. } => OutcomeCode::RETRY_THROTTLED,
            Self::TooLarge { .. } => OutcomeCode::SPLIT,
            Self::Rejected { .. } => OutcomeCode::REJECT,
            Self::Unauthorized { .. } => OutcomeCode::PAUSE_UNAUTHORIZED,
            Self::Misconfigured { .. } => OutcomeCode::PAUSE_MISCONFIGURED,
            Self::Fatal { .. } => OutcomeCode::RESTART,
            Self::Uncertain { .. } => OutcomeCode::UNCERTAIN,
        }
    }
}

impl RowFailureKind {
    /// The code of the rows in the plugin interface.
    #[must_use]
    pub fn code(self) -> OutcomeCode {
        match self {
            Self::Retry => OutcomeCode::RETRY,
            Self::Rejected => OutcomeCode::REJECT,
            Self::Uncertain => OutcomeCode::UNCERTAIN,
        }
    }

    /// Rows of any other class are sent again, so that none is lost.
    fn of_code(code: OutcomeCode) -> Self {
        match code.class() {
            Some(Class::Reject) => Self::Rejected,
            Some(Class::Uncertain) => Self::Uncertain,
            Some(_) | None => Self::Retry,
        }
    }
}

/// Converts an outcome to the form that crosses the plugin interface.
#[must_use]
pub fn encode_outcome(outcome: Outcome) -> abi::Outcome {
    let Err(failure) = outcome else {
        return abi::Outcome::delivered();
    };
    let mut encoded = abi::Outcome::new(failure.code(), failure.to_string());
    encoded.after_ms = failure.after().map_or(0, |after| millis(after).max(1));
    if let Failure::Partial { rows, .. } = failure {
        encoded.rows = rows.into_iter().map(encode_rows).collect();
    }
    encoded
}

/// Converts an outcome that has crossed the plugin interface.
///
/// An unknown detail counts as its class. An unknown class becomes
/// [`Failure::Misconfigured`], so that the host keeps the rows.
pub fn decode_outcome(outcome: abi::Outcome) -> Outcome {
    let after = (outcome.after_ms > 0).then(|| Duration::from_millis(outcome.after_ms));
    let message = outcome.message.into_string();
    Err(match outcome.code.class() {
        Some(Class::Delivered) => return Ok(()),
        Some(Class::Partial) => Failure::Partial {
            rows: outcome.rows.into_iter().map(decode_rows).collect(),
            after,
        },
        Some(Class::Retry) if outcome.code == OutcomeCode::RETRY_THROTTLED => {
            Failure::Throttled { message, after }
        }
        Some(Class::Retry) => Failure::Retry { message, after },
        Some(Class::Split) => Failure::TooLarge { message },
        Some(Class::Reject) => Failure::Rejected { message },
        Some(Class::Pause) if outcome.code == OutcomeCode::PAUSE_UNAUTHORIZED => {
            Failure::Unauthorized { message }
        }
        Some(Class::Pause) => Failure::Misconfigured { message },
        Some(Class::Restart) => Failure::Fatal { message },
        Some(Class::Uncertain) => Failure::Uncertain { message },
        None => Failure::Misconfigured {
            message: format!(
                "outcome {:#010x} has a class that this host does not know (use a newer host): {message}",
                outcome.code.0
            ),
        },
    })
}

fn encode_rows(failure: RowFailure) -> abi::RowRange {
    abi::RowRange {
        first: failure.rows.start as u64,
        len: failure.rows.len() as u64,
        code: failure.kind.code(),
        reason: RString::from(failure.reason),
    }
}

fn decode_rows(range: abi::RowRange) -> RowFailure {
    let first = range.first as usize;
    RowFailure {
        rows: first..first.saturating_add(range.len as usize),
        kind: RowFailureKind::of_code(range.code),
        reason: range.reason.into_string(),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// How many rows are not delivered, and the first reason.
struct FailedRowsSummary<'a>(&'a [RowFailure]);

impl std::fmt::Display for FailedRowsSummary<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The ranges are those of a plugin, and can be any.
        let lengths = self.0.iter().map(|failure| failure.rows.len());
        let count = lengths.fold(0, usize::saturating_add);
        let plural = if count == 1 { "" } else { "s" };
        write!(f, "{count} row{plural} not delivered")?;
        let reasons = self.0.iter().map(|failure| &failure.reason);
        match reasons.into_iter().find(|reason| !reason.is_empty()) {
            Some(reason) => write!(f, ": {}", excerpt(reason, MAX_SUMMARY)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_survives_the_crossing() {
        let message = || "why".to_owned();
        let after = Some(Duration::from_secs(3));
        let kinds = [
            RowFailureKind::Retry,
            RowFailureKind::Rejected,
            RowFailureKind::Uncertain,
        ];
        let rows = kinds.into_iter().enumerate().map(|(row, kind)| RowFailure {
            rows: 3 * row..3 * row + 2,
            kind,
            reason: message(),
        });
        let rows = rows.collect();
        for outcome in [
            Ok(()),
            Err(Failure::Partial { rows, after }),
            Err(Failure::Retry {
                message: message(),
                after,
            }),
            Err(Failure::Throttled {
                message: message(),
                after: None,
            }),
            Err(Failure::TooLarge { message: message() }),
            Err(Failure::Rejected { message: message() }),
            Err(Failure::Unauthorized { message: message() }),
            Err(Failure::Misconfigured { message: message() }),
            Err(Failure::Fatal { message: message() }),
            Err(Failure::Uncertain { message: message() }),
        ] {
            assert_eq!(decode_outcome(encode_outcome(outcome.clone())), outcome);
        }
    }

    #[test]
    fn an_unknown_detail_counts_as_its_class() {
        let outcome = abi::Outcome::new(OutcomeCode::new(Class::Pause, 0x7fff), "why");
        assert_eq!(decode_outcome(outcome), Err(Failure::misconfigured("why")));
    }

    #[test]
    fn rows_with_another_code_are_sent_again() {
        for code in [OutcomeCode::RETRY_THROTTLED, OutcomeCode(0x0042_0000)] {
            assert_eq!(RowFailureKind::of_code(code), RowFailureKind::Retry);
        }
    }

    #[test]
    fn an_unknown_class_pauses() {
        let outcome = abi::Outcome::new(OutcomeCode(0x0042_0000), "why");
        let Err(Failure::Misconfigured { message }) = decode_outcome(outcome) else {
            panic!("not paused")
        };
        assert!(message.ends_with(": why"), "{message}");
    }
}
