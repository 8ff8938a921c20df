//! Whether the appends of a group wait for those of other callers.
//!
//! After a transaction, its callers send their next appends one after the other. A transaction that
//! starts with the first of them has few, and costs as much as one with all of them. So once several
//! callers append, a group waits for further appends as long as they come, until it has as many as
//! there are callers: as many as the largest group has had since one waited for more in vain, as every
//! sixteenth does. A single caller never waits. A wait that brings little is not repeated for some
//! groups, each time for twice as many.

use std::time::{Duration, Instant};

use super::channel::Awaited;

/// How many groups in a row do not wait at most.
const MAX_SKIPPED: u32 = 64;

/// Of how many groups one waits until no more appends come.
const COUNTING: u32 = 16;

#[derive(Default)]
pub(super) struct Gathering {
    /// The longest wait of this group in which no append comes.
    delay: Duration,
    /// What the group had before it waited, and when it ends.
    waits: Option<(usize, Instant)>,
    /// Several callers appended in the last group.
    has_several: bool,
    callers: usize,
    /// The groups until one counts the callers; that one has 0.
    until_counting: u32,
    /// The next groups that do not wait.
    skipped: u32,
    /// As many as followed the last wait.
    last_skipped: u32,
}

impl Gathering {
    /// Begins a group, in which each wait takes at most `delay`, and all of them twice that.
    pub(super) fn begin(&mut self, delay: Duration) {
        let waits = self.has_several && self.skipped == 0;
        self.delay = if waits { delay } else { Duration::ZERO };
        self.skipped = self.skipped.saturating_sub(1);
        self.waits = None;
    }

    /// How many appends to wait for after these, and how long.
    pub(super) fn wait(&mut self, appends: usize) -> (Awaited, Duration) {
        let missing = match self.until_counting {
            // Counts all that come.
            0 => usize::MAX,
            _ => self.callers.saturating_sub(appends),
        };
        if self.delay.is_zero() || missing == 0 {
            return (Awaited::Nothing, Duration::ZERO);
        }
        let now = Instant::now();
        let (_, end) = *self.waits.get_or_insert((appends, now + 2 * self.delay));
        let time = self.delay.min(end.saturating_duration_since(now));
        (Awaited::Appends(missing), time)
    }

    /// Ends a group with so many appends.
    pub(super) fn end(&mut self, appends: usize) {
        self.has_several = appends > 1;
        let is_counting = self.until_counting == 0;
        self.callers = self.callers.max(appends);
        self.until_counting = self.until_counting.saturating_sub(1);
        if let Some((before, _)) = self.waits {
            if is_counting {
                self.callers = appends;
                self.until_counting = COUNTING - 1;
            }
            let is_useful = appends - before >= before.div_ceil(4);
            self.last_skipped = match is_useful {
                true => 0,
                false => (2 * self.last_skipped).clamp(1, MAX_SKIPPED),
            };
            self.skipped = self.last_skipped;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_hours(1);

    /// A group that has some appends, and then more if it waits. Whether it waited.
    fn waits(gathering: &mut Gathering, arrived: usize, more: usize) -> bool {
        gathering.begin(DELAY);
        let (_, time) = gathering.wait(arrived);
        let waits = !time.is_zero();
        gathering.end(if waits { arrived + more } else { arrived });
        waits
    }

    #[test]
    fn a_single_caller_does_not_wait_and_several_wait_for_each_other() {
        let mut gathering = Gathering::default();
        for _ in 0..3 {
            assert!(!waits(&mut gathering, 1, 0));
        }
        assert!(!waits(&mut gathering, 3, 0));
        for _ in 0..3 {
            assert!(waits(&mut gathering, 1, 2));
        }
        gathering.begin(DELAY);
        gathering.end(1);
        assert!(!waits(&mut gathering, 1, 0));
    }

    #[test]
    fn waits_that_bring_little_become_rare_until_one_brings_more() {
        let mut gathering = Gathering::default();
        assert!(!waits(&mut gathering, 8, 0));
        let mut count = |groups, more| {
            let waited = (0..groups).filter(|_| waits(&mut gathering, 8, more));
            waited.count()
        };
        assert_eq!(count(1000, 1), 6 + (1000 - 63) / 65 + 1);
        assert!(count(66, 8) > 0);
        assert_eq!(count(10, 8), 10);
    }

    #[test]
    fn a_group_with_all_callers_does_not_wait_until_one_counts_them_again() {
        let mut gathering = Gathering::default();
        assert!(!waits(&mut gathering, 3, 0));
        let mut count = |groups, arrived, more| {
            let waited = (0..groups).filter(|_| waits(&mut gathering, arrived, more));
            waited.count()
        };
        assert_eq!(count(1, 3, 3), 1, "six callers are counted");
        assert_eq!(count(5, 3, 3), 5);
        assert_eq!(count(10, 6, 6), 0);
        assert_eq!(count(1, 6, 6), 1, "twelve callers are counted");
        assert_eq!(count(15, 6, 6), 15);
    }

    #[test]
    fn a_group_waits_for_a_limited_time() {
        let mut gathering = Gathering::default();
        waits(&mut gathering, 8, 0);
        let delay = Duration::from_nanos(1);
        gathering.begin(delay);
        assert!(gathering.wait(1).1 <= delay);
        while !gathering.wait(2).1.is_zero() {}
        gathering.begin(Duration::ZERO);
        assert_eq!(gathering.wait(1), (Awaited::Nothing, Duration::ZERO));
    }
}
