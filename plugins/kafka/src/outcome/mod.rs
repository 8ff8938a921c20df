//! The result of each row, and the outcome of the whole batch.
//!
//! Promises: a row counts as delivered only if its message was acknowledged. When
//! a row has to be sent again, the rows of its key that follow it are sent again
//! too, so that the last message of a key is always its latest row.
//!
//! Knows nothing of librdkafka.

mod send_error;

use std::collections::HashMap;

use delfin_plugin_api::{Outcome, RowFailures};

pub(crate) use self::send_error::{SendError, SendErrorKind};

/// The results of the rows of a batch, by row number.
pub(crate) struct RowResults {
    rows: Vec<RowState>,
    /// Each different error once: thousands of rows usually share one.
    errors: Vec<SendError>,
    indexes: HashMap<SendError, usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RowState {
    Unsent,
    Delivered,
    /// The index of the error.
    Failed(usize),
}

impl RowResults {
    pub(crate) fn new(rows: usize) -> Self {
        Self {
            rows: vec![RowState::Unsent; rows],
            errors: Vec::new(),
            indexes: HashMap::new(),
        }
    }

    pub(crate) fn set_delivered(&mut self, rows: &[usize]) {
        self.set(rows, RowState::Delivered);
    }

    pub(crate) fn set_failed(&mut self, rows: &[usize], error: SendError) {
        let index = *self.indexes.entry(error).or_insert_with_key(|error| {
            self.errors.push(error.clone());
            self.errors.len() - 1
        });
        self.set(rows, RowState::Failed(index));
    }

    pub(crate) fn set_unsent(&mut self, rows: &[usize]) {
        self.set(rows, RowState::Unsent);
    }

    /// Fails the rows that are unsent.
    pub(crate) fn fail_unsent(&mut self, rows: &[usize], error: &SendError) {
        let unsent = |row: &&usize| self.rows[**row] == RowState::Unsent;
        let rows: Vec<_> = rows.iter().filter(unsent).copied().collect();
        if !rows.is_empty() {
            self.set_failed(&rows, error.clone());
        }
    }

    /// Fails the rows that have no error yet. Delivered rows among them are sent
    /// again because they have to follow others. None of them is uncertain, because
    /// the error is not their own.
    pub(crate) fn fail_others(&mut self, rows: &[usize], error: &SendError) {
        let kind = match error.kind {
            SendErrorKind::Uncertain => SendErrorKind::Unavailable,
            kind => kind,
        };
        let without_error = |row: &&usize| !matches!(self.rows[**row], RowState::Failed(_));
        let rows: Vec<_> = rows.iter().filter(without_error).copied().collect();
        if !rows.is_empty() {
            self.set_failed(&rows, SendError::new(kind, &*error.reason));
        }
    }

    /// The rows to send again, of the rows of one key in order: all from the first
    /// one that is neither delivered nor rejected, except the rejected ones.
    ///
    /// Rows behind that first one may be delivered already. They are sent again:
    /// otherwise a retried row would arrive after a later row of its storage.
    pub(crate) fn rows_to_resend(&self, rows: &[usize]) -> Vec<usize> {
        let retriable = |row: &usize| match self.rows[*row] {
            RowState::Unsent => true,
            RowState::Delivered => false,
            RowState::Failed(error) => self.errors[error].is_retriable(),
        };
        let rejected = |row: &&usize| match self.rows[**row] {
            RowState::Unsent | RowState::Delivered => false,
            RowState::Failed(error) => !self.errors[error].is_retriable(),
        };
        let first = rows.iter().position(retriable).unwrap_or(rows.len());
        let later = rows[first..].iter();
        later.filter(|row| !rejected(row)).copied().collect()
    }

    /// The most severe error of any row.
    pub(crate) fn worst_error(&self) -> Option<&SendError> {
        let failed = self.rows.iter().filter_map(|state| match state {
            RowState::Unsent | RowState::Delivered => None,
            RowState::Failed(error) => Some(*error),
        });
        let worst = failed.max_by_key(|&error| self.errors[error].kind)?;
        self.errors.get(worst)
    }

    /// The outcome of the batch, once no row is unsent.
    ///
    /// Rows are listed one by one only where they differ. If all failed, none was
    /// rejected, and all or none are uncertain, the outcome is that of the worst
    /// error: the host then knows that the receiver is down or wrongly configured.
    pub(crate) fn outcome(&self) -> Outcome {
        let Some(worst) = self.worst_error() else {
            return Ok(());
        };
        let is_delivered = self.rows.contains(&RowState::Delivered);
        let is_rejected = self.has_error(|kind| kind == SendErrorKind::Rejected);
        let is_uncertain = self.has_error(|kind| kind == SendErrorKind::Uncertain)
            && self.has_error(|kind| kind != SendErrorKind::Uncertain);
        if !is_delivered && !is_rejected && !is_uncertain {
            return Err(worst.clone().into());
        }
        let mut failures = RowFailures::new();
        for (row, &state) in self.rows.iter().enumerate() {
            if let RowState::Failed(error) = state {
                let error = &self.errors[error];
                failures.push(row..row + 1, error.kind.into(), &error.reason);
            }
        }
        failures.into_outcome()
    }

    fn has_error(&self, is: impl Fn(SendErrorKind) -> bool) -> bool {
        self.rows.iter().any(|state| match state {
            RowState::Unsent | RowState::Delivered => false,
            RowState::Failed(error) => is(self.errors[*error].kind),
        })
    }

    fn set(&mut self, rows: &[usize], state: RowState) {
        for &row in rows {
            self.rows[row] = state;
        }
    }
}

#[cfg(test)]
mod tests {
    use delfin_plugin_api::{Failure, RowFailure, RowFailureKind};

    use super::*;

    fn unavailable() -> SendError {
        SendError::new(SendErrorKind::Unavailable, "unavailable")
    }

    fn rejected() -> SendError {
        SendError::new(SendErrorKind::Rejected, "rejected")
    }

    fn failure(rows: std::ops::Range<usize>, kind: RowFailureKind, reason: &str) -> RowFailure {
        RowFailure {
            rows,
            kind,
            reason: reason.to_owned(),
        }
    }

    #[test]
    fn a_batch_is_delivered_when_every_row_is() {
        let mut results = RowResults::new(3);
        results.set_delivered(&[0, 1, 2]);
        assert_eq!(results.outcome(), Ok(()));
        assert_eq!(RowResults::new(0).outcome(), Ok(()));
    }

    #[test]
    fn a_rejected_row_is_rejected_alone() {
        let mut results = RowResults::new(3);
        results.set_delivered(&[0, 2]);
        results.set_failed(&[1], rejected());
        let rows = vec![failure(1..2, RowFailureKind::Rejected, "rejected")];
        assert_eq!(
            results.outcome(),
            Err(Failure::Partial { rows, after: None })
        );
        assert_eq!(results.rows_to_resend(&[0, 1, 2]), [0_usize; 0]);
    }

    #[test]
    fn a_batch_without_delivered_rows_fails_with_the_worst_error() {
        let mut results = RowResults::new(3);
        results.set_failed(&[0, 2], unavailable());
        results.set_failed(&[1], SendError::new(SendErrorKind::Unauthorized, "who"));
        let message = "who".to_owned();
        assert_eq!(results.outcome(), Err(Failure::Unauthorized { message }));
    }

    #[test]
    fn only_rows_that_may_have_arrived_are_uncertain() {
        let unknown = SendError::new(SendErrorKind::Uncertain, "unknown");
        let mut results = RowResults::new(3);
        results.set_failed(&[0, 1, 2], unknown.clone());
        let message = "unknown".to_owned();
        assert_eq!(results.outcome(), Err(Failure::Uncertain { message }));
        // The last row was delivered, and has to follow the second one.
        let mut results = RowResults::new(3);
        results.set_failed(&[0], unavailable());
        results.set_failed(&[1], unknown.clone());
        results.set_delivered(&[2]);
        results.fail_others(&[1, 2], &unknown);
        let rows = vec![
            failure(0..1, RowFailureKind::Retry, "unavailable"),
            failure(1..2, RowFailureKind::Uncertain, "unknown"),
            failure(2..3, RowFailureKind::Retry, "unknown"),
        ];
        assert_eq!(
            results.outcome(),
            Err(Failure::Partial { rows, after: None })
        );
    }

    #[test]
    fn rows_behind_a_failed_row_of_their_key_are_sent_again_except_rejected_ones() {
        let mut results = RowResults::new(5);
        results.set_delivered(&[0, 2, 4]);
        results.set_failed(&[1], unavailable());
        results.set_failed(&[3], rejected());
        assert_eq!(results.rows_to_resend(&[0, 1, 2, 3, 4]), [1, 2, 4]);
        // A key without a failed row has nothing to send again.
        assert_eq!(results.rows_to_resend(&[0, 2, 4]), [0_usize; 0]);
    }

    #[test]
    fn neighbours_with_the_same_error_are_one_range() {
        let mut results = RowResults::new(6);
        results.set_delivered(&[0, 3]);
        results.set_failed(&[1, 2, 5], unavailable());
        results.set_failed(&[4], rejected());
        let rows = vec![
            failure(1..3, RowFailureKind::Retry, "unavailable"),
            failure(4..5, RowFailureKind::Rejected, "rejected"),
            failure(5..6, RowFailureKind::Retry, "unavailable"),
        ];
        assert_eq!(
            results.outcome(),
            Err(Failure::Partial { rows, after: None })
        );
    }
}
