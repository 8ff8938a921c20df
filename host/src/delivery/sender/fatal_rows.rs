//! Finds the rows that end the exporter's process.
//!
//! A process can end for reasons of its own, so the same rows are sent again first. If
//! the process ends again, the request is split in half, and each half that ends the
//! process is split at once, until the rows stand alone. A row that ends the process
//! alone several times becomes a dead letter.

use std::ops::Range;

use uuid::Uuid;

/// How often a request must end the process before it is split.
const BEFORE_SPLIT: u32 = 2;

/// How often a row must end the process alone before it becomes a dead letter.
const ALONE: u32 = 3;

/// What follows for a request that has ended the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FatalAction {
    /// Send the same rows again.
    Retry,
    Split,
    Reject,
}

/// Rows of batches.
pub(super) type BatchRanges = Vec<(Uuid, Range<u64>)>;

#[derive(Debug, Default)]
pub(super) struct FatalRows {
    /// The last request that has ended the process.
    last: BatchRanges,
    /// How often it has, in a row.
    deaths: u32,
    /// Whether a request was split that holds these rows.
    is_narrowed: bool,
}

impl FatalRows {
    /// The process ended in a call with these rows.
    pub(super) fn on_death(&mut self, request: BatchRanges) -> FatalAction {
        if request == self.last {
            self.deaths += 1;
        } else {
            self.is_narrowed &= self.contains(&request);
            self.deaths = 1;
            self.last = request;
        }
        let rows: u64 = self
            .last
            .iter()
            .map(|(_, rows)| rows.end - rows.start)
            .sum();
        match rows {
            0 | 1 if self.deaths >= ALONE => FatalAction::Reject,
            2.. if self.is_narrowed || self.deaths >= BEFORE_SPLIT => {
                self.is_narrowed = true;
                FatalAction::Split
            }
            _ => FatalAction::Retry,
        }
    }

    /// Whether all rows of a request are among those that have ended the process last.
    fn contains(&self, request: &BatchRanges) -> bool {
        request.iter().all(|(batch, rows)| {
            let mut last = self.last.iter();
            last.any(|(id, last)| id == batch && last.start <= rows.start && rows.end <= last.end)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(range: Range<u64>) -> BatchRanges {
        vec![(Uuid::nil(), range)]
    }

    #[test]
    fn a_request_is_retried_once_and_then_narrowed_to_the_row() {
        let mut fatal = FatalRows::default();
        assert_eq!(fatal.on_death(rows(0..8)), FatalAction::Retry);
        assert_eq!(fatal.on_death(rows(0..8)), FatalAction::Split);
        assert_eq!(fatal.on_death(rows(0..4)), FatalAction::Split);
        assert_eq!(fatal.on_death(rows(2..4)), FatalAction::Split);
        assert_eq!(fatal.on_death(rows(3..4)), FatalAction::Retry);
        assert_eq!(fatal.on_death(rows(3..4)), FatalAction::Retry);
        assert_eq!(fatal.on_death(rows(3..4)), FatalAction::Reject);
    }

    #[test]
    fn other_rows_start_from_the_beginning() {
        let mut fatal = FatalRows::default();
        fatal.on_death(rows(0..8));
        fatal.on_death(rows(0..8));
        assert_eq!(fatal.on_death(rows(4..12)), FatalAction::Retry);
        assert_eq!(fatal.on_death(rows(4..8)), FatalAction::Retry);
        let other = vec![(Uuid::max(), 4..8)];
        assert_eq!(fatal.on_death(other), FatalAction::Retry);
    }
}
