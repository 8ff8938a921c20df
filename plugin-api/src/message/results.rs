//! The result of each row of a call whose rows are in messages.

use crate::{Failure, Outcome, RowFailureKind, RowFailures};

/// Collects what became of messages.
///
/// Rows without a result are sent again. If the failure is uncertain, so are the rows that were sent
/// and have no result.
///
/// ```
/// use delfin_plugin_api::{Failure, RowFailureKind, message::MessageResults};
///
/// let mut results = MessageResults::new(3);
/// results.set_delivered(&[0, 2]);
/// results.set_failure(Failure::retry("connection lost"));
/// let Err(Failure::Partial { rows, .. }) = results.into_outcome() else {
///     panic!("two rows are delivered")
/// };
/// assert_eq!((rows[0].rows.clone(), rows[0].kind), (1..2, RowFailureKind::Retry));
/// ```
#[derive(Debug)]
pub struct MessageResults {
    rows: Vec<MessageRowState>,
    failure: Option<Failure>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum MessageRowState {
    Open,
    Sent,
    Delivered,
    Rejected(String),
}

impl MessageResults {
    /// No result yet, for a call with this number of rows.
    #[must_use]
    pub fn new(rows: usize) -> Self {
        Self {
            rows: vec![MessageRowState::Open; rows],
            failure: None,
        }
    }

    /// These rows are sent, and the receiver may have them from now on.
    pub fn set_sent(&mut self, rows: &[usize]) {
        self.set(rows, &MessageRowState::Sent);
    }

    /// The receiver has acknowledged these rows.
    pub fn set_delivered(&mut self, rows: &[usize]) {
        self.set(rows, &MessageRowState::Delivered);
    }

    /// The receiver never accepts these rows.
    pub fn set_rejected(&mut self, rows: &[usize], reason: &str) {
        self.set(rows, &MessageRowState::Rejected(reason.to_owned()));
    }

    /// Why the rows without a result have none. The last failure counts.
    pub fn set_failure(&mut self, failure: Failure) {
        self.failure = Some(failure);
    }

    /// Whether rows have no result, because of a failure.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// The outcome of the call: the failure itself if it is about all rows.
    ///
    /// # Errors
    ///
    /// Not all rows are delivered.
    pub fn into_outcome(self) -> Outcome {
        let is_uncertain = matches!(self.failure, Some(Failure::Uncertain { .. }));
        let has_failed = |row: &MessageRowState| match row {
            MessageRowState::Sent => true,
            MessageRowState::Open => !is_uncertain,
            MessageRowState::Delivered | MessageRowState::Rejected(_) => false,
        };
        if let Some(failure) = &self.failure
            && self.rows.iter().all(has_failed)
        {
            return Err(failure.clone());
        }
        let mut failures = RowFailures::new();
        failures.wait(self.failure.as_ref().and_then(Failure::after));
        let reason = self.failure.map(|failure| failure.to_string());
        let reason = reason.unwrap_or_else(|| "no acknowledgement".to_owned());
        for (row, state) in self.rows.iter().enumerate() {
            match state {
                MessageRowState::Delivered => {}
                MessageRowState::Sent if is_uncertain => {
                    failures.push(row..row + 1, RowFailureKind::Uncertain, &reason);
                }
                MessageRowState::Open | MessageRowState::Sent => {
                    failures.push(row..row + 1, RowFailureKind::Retry, &reason);
                }
                MessageRowState::Rejected(reason) => {
                    failures.push(row..row + 1, RowFailureKind::Rejected, reason);
                }
            }
        }
        failures.into_outcome()
    }

    fn set(&mut self, rows: &[usize], state: &MessageRowState) {
        for &row in rows {
            self.rows[row] = state.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_of_all_rows_is_the_outcome() {
        let mut results = MessageResults::new(2);
        let failure = Failure::misconfigured("no such topic");
        results.set_failure(failure.clone());
        assert_eq!(results.into_outcome(), Err(failure));
        assert_eq!(MessageResults::new(0).into_outcome(), Ok(()));
    }

    #[test]
    fn only_rows_that_were_sent_are_uncertain() {
        let of = |sent: &[usize]| {
            let mut results = MessageResults::new(3);
            results.set_sent(sent);
            results.set_failure(Failure::Uncertain {
                message: "lost".to_owned(),
            });
            results
        };
        let message = "lost".to_owned();
        assert_eq!(
            of(&[0, 1, 2]).into_outcome(),
            Err(Failure::Uncertain { message })
        );
        let mut results = of(&[0, 1]);
        results.set_delivered(&[0]);
        let mut expected = RowFailures::new();
        expected.push(1..2, RowFailureKind::Uncertain, "lost");
        expected.push(2..3, RowFailureKind::Retry, "lost");
        assert_eq!(results.into_outcome(), expected.into_outcome());
    }

    #[test]
    fn a_rejected_row_is_named_and_no_other() {
        let mut results = MessageResults::new(3);
        results.set_delivered(&[0, 2]);
        results.set_rejected(&[1], "too large");
        let mut expected = RowFailures::new();
        expected.push(1..2, RowFailureKind::Rejected, "too large");
        assert_eq!(results.into_outcome(), expected.into_outcome());
    }

    #[test]
    fn a_row_that_is_forgotten_is_sent_again() {
        let mut expected = RowFailures::new();
        expected.push(0..1, RowFailureKind::Retry, "no acknowledgement");
        assert_eq!(
            MessageResults::new(1).into_outcome(),
            expected.into_outcome()
        );
    }
}
