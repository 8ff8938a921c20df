//! The result of each row of a call whose rows are in messages.

use crate::{Failure, Outcome, RowFailures};

/// Collects what became of messages.
///
/// Rows without a result are sent again: after a failure, it is unknown what became of the
/// messages behind it.
///
/// ```
/// use delfin_plugin_api::{Failure, message::MessageResults};
///
/// let mut results = MessageResults::new(3);
/// results.set_delivered(&[0, 2]);
/// results.set_failure(Failure::retry("connection lost"));
/// let Err(Failure::Partial { rows }) = results.into_outcome() else {
///     panic!("two rows are delivered")
/// };
/// assert_eq!((rows[0].rows.clone(), rows[0].retry), (1..2, true));
/// ```
#[derive(Debug)]
pub struct MessageResults {
    rows: Vec<MessageRowState>,
    failure: Option<Failure>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum MessageRowState {
    Open,
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

    /// The outcome of the call: the failure itself if no row has a result.
    ///
    /// # Errors
    ///
    /// Not all rows are delivered.
    pub fn into_outcome(self) -> Outcome {
        let is_open = |row: &MessageRowState| *row == MessageRowState::Open;
        if let Some(failure) = &self.failure
            && self.rows.iter().all(is_open)
        {
            return Err(failure.clone());
        }
        let reason = self.failure.map(|failure| failure.to_string());
        let reason = reason.unwrap_or_else(|| "no acknowledgement".to_owned());
        let mut failures = RowFailures::new();
        for (row, state) in self.rows.iter().enumerate() {
            match state {
                MessageRowState::Delivered => {}
                MessageRowState::Open => failures.push(row..row + 1, true, &reason),
                MessageRowState::Rejected(reason) => failures.push(row..row + 1, false, reason),
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
    fn a_rejected_row_is_named_and_no_other() {
        let mut results = MessageResults::new(3);
        results.set_delivered(&[0, 2]);
        results.set_rejected(&[1], "too large");
        let mut expected = RowFailures::new();
        expected.push(1..2, false, "too large");
        assert_eq!(results.into_outcome(), expected.into_outcome());
    }

    #[test]
    fn a_row_that_is_forgotten_is_sent_again() {
        let mut expected = RowFailures::new();
        expected.push(0..1, true, "no acknowledgement");
        assert_eq!(
            MessageResults::new(1).into_outcome(),
            expected.into_outcome()
        );
    }
}
