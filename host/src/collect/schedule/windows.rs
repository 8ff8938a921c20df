//! When a storage is asked, and for which time.
//!
//! The rhythm follows a clock that never jumps; windows follow the time of day.
//! A window begins where the last successful one ended: what was missed, for
//! whatever reason, is part of the next one.
//!
//! Pure arithmetic: knows nothing of drivers, and reads no clock.

use std::time::Duration;

use tokio::time::Instant;

use crate::{clock::millis, collect::driver::Window};

/// How far back a storage is asked at most, if its interval is not longer.
const MAX_WINDOW: Duration = Duration::from_secs(2 * 60 * 60);

/// How much of what was missed while the host did not run is asked for at most.
const MAX_HISTORY: Duration = Duration::from_secs(30 * 60);

/// The moments at which something is due: the first at its start, then one every
/// interval. Those that have passed while it was busy are left out.
pub(super) struct Rhythm {
    due: Instant,
    interval: Duration,
}

/// The windows of one storage.
pub(super) struct Windows {
    interval: Duration,
    /// Where the next one begins: the time of day, and the moment of that.
    begin: Option<(i64, Instant)>,
}

/// The next window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Planned {
    pub(super) window: Window,
    /// How much was too long ago to be in it.
    pub(super) cut: Duration,
    moment: Instant,
}

impl Rhythm {
    pub(super) fn new(now: Instant, interval: Duration) -> Self {
        // A rhythm without an interval would never let go.
        let interval = interval.max(Duration::from_millis(1));
        Self { due: now, interval }
    }

    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// Moves to the first moment of the rhythm after now; says how many it left out.
    pub(super) fn advance(&mut self, now: Instant) -> u64 {
        let late = now.saturating_duration_since(self.due).as_nanos();
        let beats = late / self.interval.as_nanos() + 1;
        let beats = u32::try_from(beats).unwrap_or(u32::MAX);
        self.due += self.interval.saturating_mul(beats);
        u64::from(beats - 1)
    }
}

impl Windows {
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            interval,
            begin: None,
        }
    }

    /// From now on windows are planned for that interval. Time in which nothing was
    /// to be collected is in none of them.
    pub(super) fn set_interval(&mut self, interval: Option<Duration>) {
        match interval {
            Some(interval) => self.interval = interval,
            None => self.begin = None,
        }
    }

    /// The first window begins where one ended before the host was started, if
    /// that is not too long ago.
    pub(super) fn resume(&mut self, until_ms: i64, now_ms: i64, moment: Instant) {
        let earliest_ms = now_ms - millis(MAX_HISTORY);
        // A clock that was set back makes a future of the past.
        let begin_ms = until_ms.clamp(earliest_ms, now_ms - 1);
        self.begin = Some((begin_ms, moment));
    }

    /// The window that ends now. The first one is as long as the interval.
    pub(super) fn plan(&mut self, now_ms: i64, moment: Instant) -> Planned {
        let first = (now_ms - millis(self.interval), moment);
        let &mut (begin_ms, began) = self.begin.get_or_insert(first);
        let mut start_ms = begin_ms;
        if start_ms >= now_ms {
            // The clock was set back. The window is as long as the time that has
            // really passed; times that the clock shows twice are measured twice.
            let passed = millis(moment.saturating_duration_since(began));
            start_ms = now_ms - passed.max(1);
        }
        let max_ms = millis(MAX_WINDOW.max(self.interval * 2));
        let cut_ms = (now_ms - max_ms - start_ms).max(0);
        Planned {
            window: Window {
                start_ms: start_ms + cut_ms,
                end_ms: now_ms,
            },
            cut: Duration::from_millis(cut_ms.unsigned_abs()),
            moment,
        }
    }

    /// The next window begins where this one ends.
    pub(super) fn done(&mut self, planned: &Planned) {
        self.begin = Some((planned.window.end_ms, planned.moment));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn window(start_ms: i64, end_ms: i64) -> Window {
        Window { start_ms, end_ms }
    }

    #[test]
    fn a_busy_time_leaves_out_beats_and_keeps_the_rhythm() {
        let start = Instant::now();
        let mut rhythm = Rhythm::new(start, 10 * SECOND);
        assert_eq!(rhythm.due(), start);
        assert_eq!(rhythm.advance(start), 0);
        assert_eq!(rhythm.due(), start + 10 * SECOND);
        assert_eq!(rhythm.advance(start + 34 * SECOND), 2);
        assert_eq!(rhythm.due(), start + 40 * SECOND);
        assert_eq!(rhythm.advance(start + 50 * SECOND), 1);
        assert_eq!(rhythm.due(), start + 60 * SECOND);
    }

    #[test]
    fn a_window_that_was_not_done_is_part_of_the_next() {
        let start = Instant::now();
        let mut windows = Windows::new(10 * SECOND);
        let first = windows.plan(100_000, start);
        assert_eq!(first.window, window(90_000, 100_000));
        let second = windows.plan(110_000, start + 10 * SECOND);
        assert_eq!(second.window, window(90_000, 110_000));
        windows.done(&second);
        let third = windows.plan(120_000, start + 20 * SECOND);
        assert_eq!(third.window, window(110_000, 120_000));
    }

    #[test]
    fn a_clock_that_was_set_back_makes_no_inverted_window() {
        let start = Instant::now();
        let mut windows = Windows::new(10 * SECOND);
        let first = windows.plan(100_000_000, start);
        windows.done(&first);
        let back = windows.plan(500, start + 10 * SECOND);
        assert_eq!(back.window, window(-9_500, 500));
        windows.done(&back);
        let still = windows.plan(500, start + 10 * SECOND);
        assert_eq!(still.window, window(499, 500));
    }

    #[test]
    fn a_small_step_back_shortens_the_window_only() {
        let start = Instant::now();
        let mut windows = Windows::new(10 * SECOND);
        let first = windows.plan(100_000, start);
        windows.done(&first);
        let next = windows.plan(106_000, start + 10 * SECOND);
        assert_eq!(next.window, window(100_000, 106_000));
    }

    #[test]
    fn after_a_restart_at_most_half_an_hour_is_made_up_for() {
        let now = Instant::now();
        let check = |until_ms, expected| {
            let mut windows = Windows::new(10 * SECOND);
            windows.resume(until_ms, 10_000_000, now);
            assert_eq!(windows.plan(10_000_000, now).window, expected);
        };
        check(9_700_000, window(9_700_000, 10_000_000));
        check(1, window(8_200_000, 10_000_000));
        check(99_000_000, window(9_999_999, 10_000_000));
    }

    #[test]
    fn a_window_that_grows_too_long_is_cut_and_says_by_how_much() {
        let start = Instant::now();
        let mut windows = Windows::new(10 * SECOND);
        let first = windows.plan(0, start);
        windows.done(&first);
        let hours = MAX_WINDOW + 5 * SECOND;
        let late = windows.plan(millis(hours), start + hours);
        assert_eq!(late.window, window(5_000, millis(hours)));
        assert_eq!(late.cut, 5 * SECOND);
    }
}
