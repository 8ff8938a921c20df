//! What the outcome of a call means for the rows of its request, and for the
//! calls that follow.

use std::{ops::Range, time::Duration};

use delfin_plugin_abi::OutcomeCode;
use delfin_plugin_api::{Failure, Outcome, RowFailure};

use crate::{config::OnUncertain, delivery::outbox::RowResult};

/// What the host does after a call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum OutcomeAction {
    /// Commit rows by their results.
    Commit(Vec<(Range<usize>, RowResult)>),
    /// Send the same rows later.
    Retry {
        /// The wait that the receiver asked for.
        after: Option<Duration>,
    },
    /// Send the same rows later, because the outcome names rows that the request
    /// does not have.
    InvalidRows,
    /// Split the request in half: it was too large.
    Halve,
    /// Split the request in half, to find the rejected rows.
    Bisect,
    /// Keep the rows until a person acts.
    Pause,
    /// Replace the instance, and send the rows again.
    Restart,
}

/// What to do after a call with this many rows.
pub(super) fn after(outcome: &Outcome, rows: usize, on_uncertain: OnUncertain) -> OutcomeAction {
    let Err(failure) = outcome else {
        return OutcomeAction::Commit(vec![(0..rows, RowResult::Delivered)]);
    };
    match failure {
        Failure::Partial { rows: failures } => match row_results(failures, rows) {
            Some(results) => OutcomeAction::Commit(results),
            // Which rows the plugin means is unknown, and no row may be lost.
            None => OutcomeAction::InvalidRows,
        },
        Failure::Retry { after, .. } | Failure::Throttled { after, .. } => {
            OutcomeAction::Retry { after: *after }
        }
        Failure::TooLarge { .. } if rows > 1 => OutcomeAction::Halve,
        Failure::Rejected { .. } if rows > 1 => OutcomeAction::Bisect,
        Failure::TooLarge { .. } | Failure::Rejected { .. } => reject(outcome, rows),
        Failure::Uncertain { .. } => match on_uncertain {
            OnUncertain::Retry => OutcomeAction::Retry { after: None },
            OnUncertain::DeadLetter => reject(outcome, rows),
        },
        Failure::Unauthorized { .. } | Failure::Misconfigured { .. } => OutcomeAction::Pause,
        Failure::Fatal { .. } => OutcomeAction::Restart,
    }
}

/// The result of rows that an outcome rejects.
pub(super) fn rejected(outcome: &Outcome) -> RowResult {
    RowResult::Rejected {
        code: code(outcome),
        reason: text(outcome),
    }
}

/// The outcome in place of one that names invalid rows.
pub(super) fn invalid_rows() -> Outcome {
    Err(Failure::retry(
        "the plugin's outcome names rows that are not in the request, or names a row twice; all rows \
         are sent again (fix the plugin)",
    ))
}

pub(super) fn text(outcome: &Outcome) -> String {
    match outcome {
        Ok(()) => String::new(),
        Err(failure) => failure.to_string(),
    }
}

pub(super) fn code(outcome: &Outcome) -> u32 {
    match outcome {
        Ok(()) => OutcomeCode::DELIVERED.0,
        Err(failure) => failure.code().0,
    }
}

fn reject(outcome: &Outcome, rows: usize) -> OutcomeAction {
    OutcomeAction::Commit(vec![(0..rows, rejected(outcome))])
}

/// The result of each row: rows that the outcome does not name are delivered.
/// `None` if a named row is not in the request, or is named twice.
fn row_results(failures: &[RowFailure], rows: usize) -> Option<Vec<(Range<usize>, RowResult)>> {
    let mut failures: Vec<&RowFailure> = failures
        .iter()
        .filter(|failure| !failure.rows.is_empty())
        .collect();
    failures.sort_by_key(|failure| failure.rows.start);
    let (mut results, mut end) = (Vec::new(), 0);
    for failure in failures {
        if failure.rows.start < end || failure.rows.end > rows {
            return None;
        }
        if failure.rows.start > end {
            results.push((end..failure.rows.start, RowResult::Delivered));
        }
        end = failure.rows.end;
        let result = if failure.retry {
            RowResult::Retry
        } else {
            RowResult::Rejected {
                code: OutcomeCode::REJECT.0,
                reason: failure.reason.clone(),
            }
        };
        results.push((failure.rows.clone(), result));
    }
    if end < rows || rows == 0 {
        results.push((end..rows, RowResult::Delivered));
    }
    Some(results)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(failure: Failure, rows: usize) -> OutcomeAction {
        after(&Err(failure), rows, OnUncertain::Retry)
    }

    fn row_failure(rows: Range<usize>, retry: bool) -> RowFailure {
        RowFailure {
            rows,
            retry,
            reason: "why".to_owned(),
        }
    }

    fn rejected(code: OutcomeCode) -> RowResult {
        RowResult::Rejected {
            code: code.0,
            reason: "why".to_owned(),
        }
    }

    #[test]
    fn rows_that_are_not_named_are_delivered() {
        let rows = vec![row_failure(7..8, true), row_failure(2..4, false)];
        assert_eq!(
            action(Failure::Partial { rows }, 10),
            OutcomeAction::Commit(vec![
                (0..2, RowResult::Delivered),
                (2..4, rejected(OutcomeCode::REJECT)),
                (4..7, RowResult::Delivered),
                (7..8, RowResult::Retry),
                (8..10, RowResult::Delivered),
            ])
        );
    }

    #[test]
    fn an_outcome_that_names_invalid_rows_delivers_nothing() {
        for rows in [
            vec![row_failure(9..11, false)],
            vec![row_failure(0..5, false), row_failure(4..6, true)],
            vec![row_failure(usize::MAX - 1..usize::MAX, false)],
        ] {
            assert_eq!(
                action(Failure::Partial { rows }, 10),
                OutcomeAction::InvalidRows
            );
        }
    }

    #[test]
    fn one_rejected_row_becomes_a_dead_letter_and_more_rows_are_split() {
        let too_large = || Failure::TooLarge {
            message: "why".to_owned(),
        };
        assert_eq!(action(Failure::rejected("why"), 2), OutcomeAction::Bisect);
        assert_eq!(action(too_large(), 2), OutcomeAction::Halve);
        for (failure, code) in [
            (Failure::rejected("why"), OutcomeCode::REJECT),
            (too_large(), OutcomeCode::SPLIT),
        ] {
            assert_eq!(
                action(failure, 1),
                OutcomeAction::Commit(vec![(0..1, rejected(code))])
            );
        }
    }

    #[test]
    fn on_uncertain_decides_what_an_uncertain_outcome_means() {
        let uncertain = || {
            Err(Failure::Uncertain {
                message: "why".to_owned(),
            })
        };
        assert_eq!(
            after(&uncertain(), 2, OnUncertain::Retry),
            OutcomeAction::Retry { after: None }
        );
        let dead = OutcomeAction::Commit(vec![(0..2, rejected(OutcomeCode::UNCERTAIN))]);
        assert_eq!(after(&uncertain(), 2, OnUncertain::DeadLetter), dead);
    }

    #[test]
    fn a_batch_without_rows_is_committed() {
        assert_eq!(
            after(&Ok(()), 0, OnUncertain::Retry),
            OutcomeAction::Commit(vec![(0..0, RowResult::Delivered)])
        );
        let empty = action(Failure::Partial { rows: vec![] }, 0);
        assert_eq!(
            empty,
            OutcomeAction::Commit(vec![(0..0, RowResult::Delivered)])
        );
        assert_eq!(
            action(Failure::rejected("why"), 0),
            OutcomeAction::Commit(vec![(0..0, rejected(OutcomeCode::REJECT))])
        );
    }
}
