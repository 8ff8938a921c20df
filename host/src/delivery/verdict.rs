//! What the outcome of a call means for the rows that it carried, and for the
//! calls that follow.

use std::{ops::Range, time::Duration};

use delfin_plugin_abi::OutcomeCode;
use delfin_plugin_api::{Failure, Outcome, RowFailure};

use super::window::Fate;
use crate::config::OnUncertain;

/// What the host does next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It settles rows; those that are none of them are sent again.
    Settle(Vec<(Range<usize>, Fate)>),
    /// It tries the same rows later.
    TryLater {
        /// When the receiver wants to be asked again.
        after: Option<Duration>,
    },
    /// It tries the same rows later, because the answer makes no sense.
    Nonsense,
    /// It sends the rows in halves, because they are too much.
    Halve,
    /// It looks for the rows that are refused.
    Bisect,
    /// It keeps the rows until a person has acted.
    Pause,
    /// It makes another instance, and tries the rows with that.
    Restart,
}

/// What to do after a call with that many rows.
pub(super) fn of(outcome: &Outcome, rows: usize, on_uncertain: OnUncertain) -> Verdict {
    let Err(failure) = outcome else {
        return Verdict::Settle(vec![(0..rows, Fate::Delivered)]);
    };
    match failure {
        Failure::Partial { rows: failures } => match partial(failures, rows) {
            Some(fates) => Verdict::Settle(fates),
            // Of which rows it speaks is not known: none may be lost.
            None => Verdict::Nonsense,
        },
        Failure::Retry { after, .. } | Failure::Throttled { after, .. } => {
            Verdict::TryLater { after: *after }
        }
        Failure::TooLarge { .. } if rows > 1 => Verdict::Halve,
        Failure::Rejected { .. } if rows > 1 => Verdict::Bisect,
        Failure::TooLarge { .. } | Failure::Rejected { .. } => reject(failure, rows),
        Failure::Uncertain { .. } => match on_uncertain {
            OnUncertain::Retry => Verdict::TryLater { after: None },
            OnUncertain::DeadLetter => reject(failure, rows),
        },
        Failure::Unauthorized { .. } | Failure::Misconfigured { .. } => Verdict::Pause,
        Failure::Fatal { .. } => Verdict::Restart,
    }
}

fn reject(failure: &Failure, rows: usize) -> Verdict {
    let fate = Fate::Rejected {
        code: failure.code().0,
        reason: failure.to_string(),
    };
    Verdict::Settle(vec![(0..rows, fate)])
}

/// The fate of each row; none if the plugin names rows that are not there, or
/// one twice.
fn partial(failures: &[RowFailure], rows: usize) -> Option<Vec<(Range<usize>, Fate)>> {
    let mut failures: Vec<&RowFailure> = failures
        .iter()
        .filter(|failure| !failure.rows.is_empty())
        .collect();
    failures.sort_by_key(|failure| failure.rows.start);
    let (mut fates, mut end) = (Vec::new(), 0);
    for failure in failures {
        if failure.rows.start < end || failure.rows.end > rows {
            return None;
        }
        if failure.rows.start > end {
            fates.push((end..failure.rows.start, Fate::Delivered));
        }
        end = failure.rows.end;
        let fate = if failure.retry {
            Fate::Again
        } else {
            Fate::Rejected {
                code: OutcomeCode::REJECT.0,
                reason: failure.reason.clone(),
            }
        };
        fates.push((failure.rows.clone(), fate));
    }
    if end < rows || rows == 0 {
        fates.push((end..rows, Fate::Delivered));
    }
    Some(fates)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(failure: Failure, rows: usize) -> Verdict {
        of(&Err(failure), rows, OnUncertain::Retry)
    }

    fn row_failure(rows: Range<usize>, retry: bool) -> RowFailure {
        RowFailure {
            rows,
            retry,
            reason: "why".to_owned(),
        }
    }

    fn rejected(code: OutcomeCode) -> Fate {
        Fate::Rejected {
            code: code.0,
            reason: "why".to_owned(),
        }
    }

    #[test]
    fn rows_that_are_not_named_are_delivered() {
        let rows = vec![row_failure(7..8, true), row_failure(2..4, false)];
        assert_eq!(
            verdict(Failure::Partial { rows }, 10),
            Verdict::Settle(vec![
                (0..2, Fate::Delivered),
                (2..4, rejected(OutcomeCode::REJECT)),
                (4..7, Fate::Delivered),
                (7..8, Fate::Again),
                (8..10, Fate::Delivered),
            ])
        );
    }

    #[test]
    fn nonsense_delivers_nothing() {
        for rows in [
            vec![row_failure(9..11, false)],
            vec![row_failure(0..5, false), row_failure(4..6, true)],
            vec![row_failure(usize::MAX - 1..usize::MAX, false)],
        ] {
            assert_eq!(verdict(Failure::Partial { rows }, 10), Verdict::Nonsense);
        }
    }

    #[test]
    fn one_row_alone_is_given_up_and_more_are_looked_through() {
        let too_large = || Failure::TooLarge {
            message: "why".to_owned(),
        };
        assert_eq!(verdict(Failure::rejected("why"), 2), Verdict::Bisect);
        assert_eq!(verdict(too_large(), 2), Verdict::Halve);
        for (failure, code) in [
            (Failure::rejected("why"), OutcomeCode::REJECT),
            (too_large(), OutcomeCode::SPLIT),
        ] {
            assert_eq!(
                verdict(failure, 1),
                Verdict::Settle(vec![(0..1, rejected(code))])
            );
        }
    }

    #[test]
    fn an_uncertain_outcome_is_what_the_operator_says() {
        let uncertain = || {
            Err(Failure::Uncertain {
                message: "why".to_owned(),
            })
        };
        assert_eq!(
            of(&uncertain(), 2, OnUncertain::Retry),
            Verdict::TryLater { after: None }
        );
        let given_up = Verdict::Settle(vec![(0..2, rejected(OutcomeCode::UNCERTAIN))]);
        assert_eq!(of(&uncertain(), 2, OnUncertain::DeadLetter), given_up);
    }

    #[test]
    fn a_batch_without_rows_is_settled() {
        assert_eq!(
            of(&Ok(()), 0, OnUncertain::Retry),
            Verdict::Settle(vec![(0..0, Fate::Delivered)])
        );
        let empty = verdict(Failure::Partial { rows: vec![] }, 0);
        assert_eq!(empty, Verdict::Settle(vec![(0..0, Fate::Delivered)]));
        assert_eq!(
            verdict(Failure::rejected("why"), 0),
            Verdict::Settle(vec![(0..0, rejected(OutcomeCode::REJECT))])
        );
    }
}
