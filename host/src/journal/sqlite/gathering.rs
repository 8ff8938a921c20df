//! Whether the appends of a group wait for those of other callers.
//!
//! After a transaction, its callers send their next appends one after the other. A transaction that
//! starts with the first of them has few, and costs as much as one with many of them. So once several
//! callers append, a group waits for further appends as long as they come, until half of the callers have
//! one in it: the others prepare theirs while it is written. Each sixteenth group counts the callers: it
//! waits until no more appends come. A single caller never waits.

use std::time::{Duration, Instant};

use super::channel::Awaited;

/// Of how many groups one waits until no more appends come.
const COUNTING: u32 = 16;

#[derive(Default)]
pub(super) struct Gathering {
    /// The longest wait of this group in which no append comes.
    delay: Duration,
    /// When this group ends, once it has waited.
    end: Option<Instant>,
    /// Several callers appended in the last group.
    has_several: bool,
    callers: usize,
    /// The groups until one counts the callers; that one has 0.
    until_counting: u32,
}

impl Gathering {
    /// Begins a group, in which each wait takes at most `delay`, and all of them twice that.
    pub(super) fn begin(&mut self, delay: Duration) {
        self.delay = if self.has_several {
            delay
        } else {
            Duration::ZERO
        };
        self.end = None;
    }

    /// How many appends to wait for after these, and how long.
    pub(super) fn wait(&mut self, appends: usize) -> (Awaited, Duration) {
        let missing = match self.until_counting {
            // Counts all that come.
            0 => usize::MAX,
            _ => self.callers.div_ceil(2).saturating_sub(appends),
        };
        if self.delay.is_zero() || missing == 0 {
            return (Awaited::Nothing, Duration::ZERO);
        }
        let now = Instant::now();
        let end = *self.end.get_or_insert(now + 2 * self.delay);
        let time = self.delay.min(end.saturating_duration_since(now));
        (Awaited::Appends(missing), time)
    }

    /// Ends a group with so many appends.
    pub(super) fn end(&mut self, appends: usize) {
        self.has_several = appends > 1;
        if self.until_counting == 0 && self.end.is_some() {
            self.callers = appends;
            self.until_counting = COUNTING - 1;
        } else {
            self.callers = self.callers.max(appends);
            self.until_counting = self.until_counting.saturating_sub(1);
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
    fn a_group_waits_for_half_of_the_callers_and_some_count_them() {
        let mut gathering = Gathering::default();
        assert!(!waits(&mut gathering, 3, 0));
        let mut count = |groups, arrived, more| {
            let waited = (0..groups).filter(|_| waits(&mut gathering, arrived, more));
            waited.count()
        };
        assert_eq!(count(1, 6, 2), 1, "eight callers are counted");
        assert_eq!(count(5, 3, 1), 5);
        assert_eq!(count(10, 4, 4), 0);
        assert_eq!(count(1, 4, 0), 1, "four callers are counted");
        assert_eq!(count(15, 2, 1), 0);
    }

    #[test]
    fn a_group_with_more_appends_shows_more_callers() {
        let mut gathering = Gathering::default();
        for _ in 0..2 {
            waits(&mut gathering, 4, 0);
        }
        assert!(!waits(&mut gathering, 2, 0));
        assert!(!waits(&mut gathering, 12, 0));
        assert!(waits(&mut gathering, 5, 1));
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
