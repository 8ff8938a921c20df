//! Finds the rows that end the exporter's process.
//!
//! A process can end for reasons of its own, so the same rows are sent again first. If
//! the process ends again, the request is split in half, and each half that ends the
//! process is split at once, until the rows stand alone. A row that ends the process
//! alone several times is rejected.

use std::ops::Range;

use uuid::Uuid;

use crate::plugin::ProcessDeath;

/// How often a request must end the process before it is split.
const BEFORE_SPLIT: u32 = 2;

/// How often a row must end the process alone before it is rejected.
const ALONE: u32 = 3;

/// As [`ALONE`], for ends that may have another reason.
const ALONE_UNSURE: u32 = 6;

/// What follows for a request that has ended the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FatalAction {
    /// Send the same rows again.
    Retry,
    Split,
    /// `ends`: how often the row has ended the process.
    Reject {
        ends: u32,
    },
}

/// Rows of batches.
pub(super) type BatchRanges = Vec<(Uuid, Range<u64>)>;

#[derive(Debug, Default)]
pub(super) struct FatalRows {
    /// The last request that has ended the process.
    last: BatchRanges,
    /// How often it has, in a row.
    deaths: u32,
    /// The request that was split first. Rows of it are split at once, also after one was
    /// rejected.
    suspects: BatchRanges,
}

impl FatalRows {
    /// The process ended in a call with these rows.
    pub(super) fn on_death(&mut self, request: BatchRanges, death: &ProcessDeath) -> FatalAction {
        if request != self.last {
            self.deaths = 0;
        }
        self.deaths += 1;
        if !contain(&self.suspects, &request) {
            self.suspects.clear();
        }
        self.last = request;
        let alone = if death.may_be_from_outside() {
            ALONE_UNSURE
        } else {
            ALONE
        };
        let rows = self.last.iter().map(|(_, rows)| rows.end - rows.start);
        match rows.sum::<u64>() {
            0 | 1 if self.deaths >= alone => FatalAction::Reject { ends: self.deaths },
            2.. if !self.suspects.is_empty() => FatalAction::Split,
            2.. if self.deaths >= BEFORE_SPLIT => {
                self.suspects.clone_from(&self.last);
                FatalAction::Split
            }
            _ => FatalAction::Retry,
        }
    }
}

/// Whether all rows of a request are among these.
fn contain(suspects: &BatchRanges, request: &BatchRanges) -> bool {
    request.iter().all(|(batch, rows)| {
        let mut suspects = suspects.iter();
        suspects.any(|(id, suspects)| {
            id == batch && suspects.start <= rows.start && rows.end <= suspects.end
        })
    })
}

#[cfg(test)]
mod tests {
    use rustix::process::Signal;

    use super::*;
    use crate::plugin::DeathCause;

    fn rows(range: Range<u64>) -> BatchRanges {
        vec![(Uuid::nil(), range)]
    }

    fn death(signal: Signal) -> ProcessDeath {
        ProcessDeath {
            cause: DeathCause::Signal(signal.as_raw()),
            in_call: true,
        }
    }

    fn segfault() -> ProcessDeath {
        death(Signal::SEGV)
    }

    #[test]
    fn a_request_is_retried_once_and_then_narrowed_to_the_row() {
        for (signal, alone) in [(Signal::SEGV, 3), (Signal::KILL, 6)] {
            let mut fatal = FatalRows::default();
            let mut on_death = |range| fatal.on_death(rows(range), &death(signal));
            assert_eq!(on_death(0..8), FatalAction::Retry);
            assert_eq!(on_death(0..8), FatalAction::Split);
            assert_eq!(on_death(0..4), FatalAction::Split);
            assert_eq!(on_death(2..4), FatalAction::Split);
            for _ in 1..alone {
                assert_eq!(on_death(3..4), FatalAction::Retry);
            }
            assert_eq!(on_death(3..4), FatalAction::Reject { ends: alone });
            assert_eq!(on_death(4..8), FatalAction::Split);
        }
    }

    #[test]
    fn other_rows_start_from_the_beginning() {
        let mut fatal = FatalRows::default();
        fatal.on_death(rows(0..8), &segfault());
        fatal.on_death(rows(0..8), &segfault());
        let mut on_death = |request| fatal.on_death(request, &segfault());
        assert_eq!(on_death(rows(4..12)), FatalAction::Retry);
        assert_eq!(on_death(rows(4..8)), FatalAction::Retry);
        let other = vec![(Uuid::max(), 4..8)];
        assert_eq!(on_death(other), FatalAction::Retry);
    }
}
