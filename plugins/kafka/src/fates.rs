//! What becomes of the rows of a batch.
//!
//! Promises: a row is delivered only if its message was; a row that follows one
//! of the same key that has to be sent again is sent again too, so that the
//! latest of a key is also its last.
//!
//! Knows nothing of librdkafka.

use std::collections::HashMap;

use delfin_plugin_api::{Failure, Outcome, RowFailure};

use crate::trouble::{Kind, Trouble};

/// What became of each row so far.
pub(crate) struct Fates {
    rows: Vec<Fate>,
    reasons: Vec<Trouble>,
    known: HashMap<Trouble, usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Not sent yet.
    Waiting,
    /// With the broker.
    Delivered,
    /// Not, or not certainly, with the broker: the number of the reason.
    Failed(usize),
}

impl Fates {
    /// None is known yet.
    pub(crate) fn new(rows: usize) -> Self {
        Self {
            rows: vec![Fate::Waiting; rows],
            reasons: Vec::new(),
            known: HashMap::new(),
        }
    }

    /// These rows are with the broker.
    pub(crate) fn delivered(&mut self, rows: &[usize]) {
        self.set(rows, Fate::Delivered);
    }

    /// These rows are not.
    pub(crate) fn failed(&mut self, rows: &[usize], trouble: Trouble) {
        let reason = *self.known.entry(trouble).or_insert_with_key(|trouble| {
            self.reasons.push(trouble.clone());
            self.reasons.len() - 1
        });
        self.set(rows, Fate::Failed(reason));
    }

    /// The rows of those of one key, in order, that have to be sent again:
    /// from the first that did not arrive on.
    pub(crate) fn open(&self, rows: &[usize]) -> Vec<usize> {
        let open = |row: &usize| match self.rows[*row] {
            Fate::Waiting => true,
            Fate::Delivered => false,
            Fate::Failed(reason) => self.reasons[reason].is_open(),
        };
        let first = rows.iter().position(open).unwrap_or(rows.len());
        let refused = |row: &&usize| match self.rows[**row] {
            Fate::Waiting | Fate::Delivered => false,
            Fate::Failed(reason) => !self.reasons[reason].is_open(),
        };
        let later = rows[first..].iter();
        later.filter(|row| !refused(row)).copied().collect()
    }

    /// The worst of what went wrong.
    pub(crate) fn worst(&self) -> Option<&Trouble> {
        let failed = self.rows.iter().filter_map(|fate| match fate {
            Fate::Waiting | Fate::Delivered => None,
            Fate::Failed(reason) => Some(*reason),
        });
        let worst = failed.max_by_key(|&reason| self.reasons[reason].kind)?;
        self.reasons.get(worst)
    }

    /// These rows will be sent again at once.
    pub(crate) fn wait(&mut self, rows: &[usize]) {
        self.set(rows, Fate::Waiting);
    }

    /// Those of these rows that were not sent will not be.
    pub(crate) fn give_up(&mut self, rows: &[usize], trouble: &Trouble) {
        let waiting = |row: &&usize| self.rows[**row] == Fate::Waiting;
        let rows: Vec<_> = rows.iter().filter(waiting).copied().collect();
        if !rows.is_empty() {
            self.failed(&rows, trouble.clone());
        }
    }

    /// These rows have to be sent again later, those that are delivered
    /// too: they have to follow others.
    pub(crate) fn again(&mut self, rows: &[usize], trouble: &Trouble) {
        let not_failed = |row: &&usize| !matches!(self.rows[**row], Fate::Failed(_));
        let rows: Vec<_> = rows.iter().filter(not_failed).copied().collect();
        if !rows.is_empty() {
            self.failed(&rows, trouble.clone());
        }
    }

    /// The outcome, once no row waits.
    pub(crate) fn outcome(&self) -> Outcome {
        let Some(worst) = self.worst() else {
            return Ok(());
        };
        let delivered = self.rows.contains(&Fate::Delivered);
        let refused = self
            .reasons
            .iter()
            .any(|reason| reason.kind == Kind::Refused);
        if !delivered && !refused {
            return Err(worst.clone().into());
        }
        Err(Failure::Partial {
            rows: self.failures(),
        })
    }

    fn failures(&self) -> Vec<RowFailure> {
        let mut failures: Vec<RowFailure> = Vec::new();
        let mut last = None;
        for (row, &fate) in self.rows.iter().enumerate() {
            let Fate::Failed(reason) = fate else {
                last = None;
                continue;
            };
            match failures.last_mut() {
                Some(failure) if last == Some(reason) => failure.rows.end = row + 1,
                Some(_) | None => failures.push(RowFailure {
                    rows: row..row + 1,
                    retry: self.reasons[reason].is_open(),
                    reason: self.reasons[reason].reason.clone(),
                }),
            }
            last = Some(reason);
        }
        failures
    }

    fn set(&mut self, rows: &[usize], fate: Fate) {
        for &row in rows {
            self.rows[row] = fate;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn away() -> Trouble {
        Trouble::new(Kind::Away, "away")
    }

    fn refused() -> Trouble {
        Trouble::new(Kind::Refused, "refused")
    }

    fn failure(rows: std::ops::Range<usize>, retry: bool, reason: &str) -> RowFailure {
        RowFailure {
            rows,
            retry,
            reason: reason.to_owned(),
        }
    }

    #[test]
    fn all_delivered_is_delivered() {
        let mut fates = Fates::new(3);
        fates.delivered(&[0, 1, 2]);
        assert_eq!(fates.outcome(), Ok(()));
        assert_eq!(Fates::new(0).outcome(), Ok(()));
    }

    #[test]
    fn a_row_that_is_refused_is_refused_alone() {
        let mut fates = Fates::new(3);
        fates.delivered(&[0, 2]);
        fates.failed(&[1], refused());
        let rows = vec![failure(1..2, false, "refused")];
        assert_eq!(fates.outcome(), Err(Failure::Partial { rows }));
        assert_eq!(fates.open(&[0, 1, 2]), [0_usize; 0]);
    }

    #[test]
    fn rows_that_all_failed_fail_as_the_worst_of_them() {
        let mut fates = Fates::new(3);
        fates.failed(&[0, 2], away());
        fates.failed(&[1], Trouble::new(Kind::Unknown, "unknown"));
        let message = "unknown".to_owned();
        assert_eq!(fates.outcome(), Err(Failure::Uncertain { message }));
    }

    #[test]
    fn what_follows_a_failed_row_of_its_key_is_sent_again_but_not_what_was_refused() {
        let mut fates = Fates::new(5);
        fates.delivered(&[0, 2, 4]);
        fates.failed(&[1], away());
        fates.failed(&[3], refused());
        assert_eq!(fates.open(&[0, 1, 2, 3, 4]), [1, 2, 4]);
        // Of another key, nothing has to be sent again.
        assert_eq!(fates.open(&[0, 2, 4]), [0_usize; 0]);
    }

    #[test]
    fn neighbours_that_failed_for_one_reason_are_one_range() {
        let mut fates = Fates::new(6);
        fates.delivered(&[0, 3]);
        fates.failed(&[1, 2, 5], away());
        fates.failed(&[4], refused());
        let rows = vec![
            failure(1..3, true, "away"),
            failure(4..5, false, "refused"),
            failure(5..6, true, "away"),
        ];
        assert_eq!(fates.outcome(), Err(Failure::Partial { rows }));
    }
}
