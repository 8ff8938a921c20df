//! What became of a call: the author's side of [`delfin_plugin_abi::Outcome`].

use std::{ops::Range, time::Duration};

use abi_stable::std_types::RString;
use delfin_plugin_abi::{self as abi, Class, OutcomeCode};

/// `Ok`: all rows are at the receiver.
pub type Outcome = Result<(), Failure>;

/// Why rows are not, or not all, at the receiver; the host acts on it.
///
/// Each says what would be right to do: try again, split, wait for a person, put
/// rows aside. Nothing is lost by any of them: a host that does not do that tries
/// the batch again until it is delivered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Rows not named are delivered.
    #[error("{} refused", Rows(rows))]
    Partial {
        /// What became of the others.
        rows: Vec<RowFailure>,
    },
    /// The receiver is away: the same rows again, later.
    #[error("{message}")]
    Retry {
        /// The reason.
        message: String,
        /// When the receiver wants to be tried again.
        after: Option<Duration>,
    },
    /// The receiver is busy: the same rows again, slower.
    #[error("{message}")]
    Throttled {
        /// The reason.
        message: String,
        /// When the receiver wants to be tried again.
        after: Option<Duration>,
    },
    /// The same rows again, in smaller pieces.
    #[error("{message}")]
    TooLarge {
        /// The reason, with the receiver's limit if it is known.
        message: String,
    },
    /// The receiver refuses these rows, now and for ever.
    #[error("{message}")]
    Rejected {
        /// The reason.
        message: String,
    },
    /// The receiver does not accept the credentials: keep the data and wait.
    #[error("{message}")]
    Unauthorized {
        /// The reason.
        message: String,
    },
    /// The settings, or the receiver's, must be mended: keep the data and wait.
    #[error("{message}")]
    Misconfigured {
        /// The reason, and what would be right.
        message: String,
    },
    /// This exporter is beyond use: make a new one and try again.
    #[error("{message}")]
    Fatal {
        /// The reason.
        message: String,
    },
    /// Sent, but the answer is unknown: the rows may be there or not.
    #[error("{message}")]
    Uncertain {
        /// The reason.
        message: String,
    },
}

/// Rows that are not at the receiver, while others of the batch are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFailure {
    /// Which rows of the batch.
    pub rows: Range<usize>,
    /// Whether to send them once more; else they are refused for ever.
    pub retry: bool,
    /// Why.
    pub reason: String,
}

impl Failure {
    /// The receiver is away; the host decides when to try again.
    pub fn retry(message: impl ToString) -> Self {
        Self::Retry {
            message: message.to_string(),
            after: None,
        }
    }

    /// The receiver refuses these rows, now and for ever.
    pub fn rejected(message: impl ToString) -> Self {
        Self::Rejected {
            message: message.to_string(),
        }
    }

    /// The settings, or the receiver's, must be mended.
    pub fn misconfigured(message: impl ToString) -> Self {
        Self::Misconfigured {
            message: message.to_string(),
        }
    }

    /// This exporter is beyond use.
    pub fn fatal(message: impl ToString) -> Self {
        Self::Fatal {
            message: message.to_string(),
        }
    }

    /// The number under which it crosses the boundary.
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

/// Puts an outcome into the form in which it crosses.
#[must_use]
pub fn encode_outcome(outcome: Outcome) -> abi::Outcome {
    let Err(failure) = outcome else {
        return abi::Outcome::delivered();
    };
    let mut encoded = abi::Outcome::new(failure.code(), failure.to_string());
    match failure {
        Failure::Partial { rows } => encoded.rows = rows.into_iter().map(encode_rows).collect(),
        Failure::Retry { after, .. } | Failure::Throttled { after, .. } => {
            encoded.after_ms = after.map_or(0, |after| millis(after).max(1));
        }
        Failure::TooLarge { .. }
        | Failure::Rejected { .. }
        | Failure::Unauthorized { .. }
        | Failure::Misconfigured { .. }
        | Failure::Fatal { .. }
        | Failure::Uncertain { .. } => {}
    }
    encoded
}

/// Reads an outcome that crossed.
///
/// A detail that this version does not know counts as its class, and a class
/// that it does not know pauses with the data kept.
pub fn decode_outcome(outcome: abi::Outcome) -> Outcome {
    let after = (outcome.after_ms > 0).then(|| Duration::from_millis(outcome.after_ms));
    let message = outcome.message.into_string();
    Err(match outcome.code.class() {
        Some(Class::Delivered) => return Ok(()),
        Some(Class::Partial) => Failure::Partial {
            rows: outcome.rows.into_iter().map(decode_rows).collect(),
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
                "outcome {:#010x} is of a class that this host does not know (use a newer host): {message}",
                outcome.code.0
            ),
        },
    })
}

fn encode_rows(failure: RowFailure) -> abi::RowRange {
    abi::RowRange {
        first: failure.rows.start as u64,
        len: failure.rows.len() as u64,
        code: if failure.retry {
            OutcomeCode::RETRY
        } else {
            OutcomeCode::REJECT
        },
        reason: RString::from(failure.reason),
    }
}

fn decode_rows(range: abi::RowRange) -> RowFailure {
    let first = range.first as usize;
    RowFailure {
        rows: first..first.saturating_add(range.len as usize),
        retry: range.code.class() != Some(Class::Reject),
        reason: range.reason.into_string(),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

struct Rows<'a>(&'a [RowFailure]);

impl std::fmt::Display for Rows<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count: usize = self.0.iter().map(|failure| failure.rows.len()).sum();
        let plural = if count == 1 { "" } else { "s" };
        write!(f, "{count} row{plural}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_survives_the_crossing() {
        let message = || "why".to_owned();
        let after = Some(Duration::from_secs(3));
        let rows = vec![
            RowFailure {
                rows: 3..5,
                retry: false,
                reason: message(),
            },
            RowFailure {
                rows: 9..10,
                retry: true,
                reason: message(),
            },
        ];
        for outcome in [
            Ok(()),
            Err(Failure::Partial { rows }),
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
    fn an_unknown_class_pauses() {
        let outcome = abi::Outcome::new(OutcomeCode(0x0042_0000), "why");
        let Err(Failure::Misconfigured { message }) = decode_outcome(outcome) else {
            panic!("not paused")
        };
        assert!(message.ends_with(": why"), "{message}");
    }
}
