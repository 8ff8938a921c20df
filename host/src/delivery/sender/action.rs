//! What the outcome of a call means for the rows of its request, and for the
//! calls that follow.

use std::{ops::Range, time::Duration};

use delfin_plugin_abi::OutcomeCode;
use delfin_plugin_api::{Failure, Outcome, RowFailure, RowFailureKind};

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
        Failure::Partial { rows: failures, .. } => {
            match row_results(failures, rows, on_uncertain) {
                // The receiver has answered for no row: it is as unavailable as after an uncertain call.
                Some(results) if has_no_answer(failures, &results) => OutcomeAction::Retry {
                    after: failure.after(),
                },
                Some(results) => OutcomeAction::Commit(results),
                // Which rows the plugin means is unknown, and no row may be lost.
                None => OutcomeAction::InvalidRows,
            }
        }
        Failure::Retry { .. } | Failure::Throttled { .. } => OutcomeAction::Retry {
            after: failure.after(),
        },
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
fn row_results(
    failures: &[RowFailure],
    rows: usize,
    on_uncertain: OnUncertain,
) -> Option<Vec<(Range<usize>, RowResult)>> {
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
        results.push((failure.rows.clone(), row_result(failure, on_uncertain)));
    }
    if end < rows || rows == 0 {
        results.push((end..rows, RowResult::Delivered));
    }
    Some(results)
}

/// Whether no row of the request has a result, and the response for some is unknown.
fn has_no_answer(failures: &[RowFailure], results: &[(Range<usize>, RowResult)]) -> bool {
    let is_uncertain = |failure: &RowFailure| failure.kind == RowFailureKind::Uncertain;
    failures.iter().any(is_uncertain)
        && results
            .iter()
            .all(|(_, result)| *result == RowResult::Retry)
}

fn row_result(failure: &RowFailure, on_uncertain: OnUncertain) -> RowResult {
    match (failure.kind, on_uncertain) {
        (RowFailureKind::Retry, _) | (RowFailureKind::Uncertain, OnUncertain::Retry) => {
            RowResult::Retry
        }
        (RowFailureKind::Rejected, _) | (RowFailureKind::Uncertain, OnUncertain::DeadLetter) => {
            RowResult::Rejected {
                code: failure.kind.code().0,
                reason: failure.reason.clone(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(failure: Failure, rows: usize) -> OutcomeAction {
        after(&Err(failure), rows, OnUncertain::Retry)
    }

    fn row_failure(rows: Range<usize>, kind: RowFailureKind) -> RowFailure {
        RowFailure {
            rows,
            kind,
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
        let rows = vec![
            row_failure(7..8, RowFailureKind::Retry),
            row_failure(2..4, RowFailureKind::Rejected),
        ];
        assert_eq!(
            action(Failure::Partial { rows, after: None }, 10),
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
        let rejected = |rows| row_failure(rows, RowFailureKind::Rejected);
        for rows in [
            vec![rejected(9..11)],
            vec![rejected(0..5), row_failure(4..6, RowFailureKind::Retry)],
            vec![rejected(usize::MAX - 1..usize::MAX)],
        ] {
            assert_eq!(
                action(Failure::Partial { rows, after: None }, 10),
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
    fn on_uncertain_decides_about_single_rows_too() {
        // The receiver asks for a wait with the request that it has not accepted.
        let wait = Some(Duration::from_secs(7));
        let partial = |rows| Err(Failure::Partial { rows, after: wait });
        let one = || vec![row_failure(1..2, RowFailureKind::Uncertain)];
        let of = |outcome: &Outcome, on_uncertain| after(outcome, 3, on_uncertain);
        let with = |result| {
            OutcomeAction::Commit(vec![
                (0..1, RowResult::Delivered),
                (1..2, result),
                (2..3, RowResult::Delivered),
            ])
        };
        assert_eq!(
            of(&partial(one()), OnUncertain::Retry),
            with(RowResult::Retry)
        );
        assert_eq!(
            of(&partial(one()), OnUncertain::DeadLetter),
            with(rejected(OutcomeCode::UNCERTAIN))
        );
        // A request was not answered, and the other one not sent.
        let mut none = one();
        none.push(row_failure(0..1, RowFailureKind::Retry));
        none.push(row_failure(2..3, RowFailureKind::Retry));
        assert_eq!(
            of(&partial(none.clone()), OnUncertain::Retry),
            OutcomeAction::Retry { after: wait }
        );
        assert_eq!(
            of(&partial(none), OnUncertain::DeadLetter),
            OutcomeAction::Commit(vec![
                (0..1, RowResult::Retry),
                (1..2, rejected(OutcomeCode::UNCERTAIN)),
                (2..3, RowResult::Retry),
            ])
        );
    }

    #[test]
    fn a_batch_without_rows_is_committed() {
        assert_eq!(
            after(&Ok(()), 0, OnUncertain::Retry),
            OutcomeAction::Commit(vec![(0..0, RowResult::Delivered)])
        );
        let empty = action(
            Failure::Partial {
                rows: vec![],
                after: None,
            },
            0,
        );
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
