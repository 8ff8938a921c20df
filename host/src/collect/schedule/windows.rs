//! When a call is due, and which time it covers.
//!
//! Intervals follow the monotonic clock, windows follow the wall clock. A window
//! starts where the last successful one ended, so the time of a failed or missed
//! collection is part of the next window: windows have neither gaps nor overlaps.
//!
//! Pure arithmetic: knows nothing of drivers, and reads no clock.

use std::time::Duration;

use tokio::time::Instant;

use crate::{clock::millis, collect::driver::TimeWindow};

/// Maximum length of a window, unless two intervals are longer.
const MAX_WINDOW: Duration = Duration::from_secs(2 * 60 * 60);

/// Maximum length of the window that covers the time before the host started, unless the interval is
/// longer.
const MAX_BACKFILL: Duration = Duration::from_secs(30 * 60);

/// Due times: the first at the start, then one per interval.
pub(super) struct IntervalTimer {
    due: Instant,
    interval: Duration,
}

/// Plans the windows of one storage.
pub(super) struct WindowPlanner {
    interval: Duration,
    /// Start of the next window: by the wall clock, and the instant at which the clock
    /// showed that time.
    next_start: Option<(i64, Instant)>,
    /// Whether the storage was not measured since.
    is_paused: bool,
}

/// The window of a call that has not succeeded yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PlannedWindow {
    pub(super) window: TimeWindow,
    /// How much was cut from its start because of [`MAX_WINDOW`].
    pub(super) cut: Duration,
    /// The instant of its end.
    end: Instant,
}

impl IntervalTimer {
    pub(super) fn new(first_due: Instant, interval: Duration) -> Self {
        // An interval of zero would be due without end, and `advance` divides by it.
        let interval = interval.max(Duration::from_millis(1));
        Self {
            due: first_due,
            interval,
        }
    }

    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// Moves to the first due time after `now`. Returns how many it skipped.
    ///
    /// Due times stay on the grid of the first one: a call that takes long does not
    /// shift the calls after it.
    pub(super) fn advance(&mut self, now: Instant) -> u64 {
        let late = now.saturating_duration_since(self.due).as_nanos();
        let intervals = late / self.interval.as_nanos() + 1;
        let intervals = u32::try_from(intervals).unwrap_or(u32::MAX);
        self.due += self.interval.saturating_mul(intervals);
        u64::from(intervals - 1)
    }
}

impl WindowPlanner {
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            interval,
            next_start: None,
            is_paused: false,
        }
    }

    /// Plans windows for another interval from now on. `None`: the storage is not
    /// measured, and the time until the next interval is set is in no window, except for the
    /// length of one interval.
    pub(super) fn set_interval(&mut self, interval: Option<Duration>) {
        match interval {
            Some(interval) => self.interval = interval,
            None => self.is_paused = true,
        }
    }

    /// Starts the next window where the last one before the start of the host ended, at most
    /// [`MAX_BACKFILL`] or one interval ago.
    pub(super) fn resume_with_backfill(&mut self, until_ms: i64, now_ms: i64, now: Instant) {
        let earliest_ms = self.start_ms(now_ms).min(now_ms - millis(MAX_BACKFILL));
        self.start_at(until_ms.max(earliest_ms), now_ms, now);
    }

    /// The same without the time in which the host did not run.
    pub(super) fn resume(&mut self, until_ms: i64, now_ms: i64, now: Instant) {
        self.start_at(until_ms.max(self.start_ms(now_ms)), now_ms, now);
    }

    /// Where the next window starts.
    fn start_ms(&self, now_ms: i64) -> i64 {
        let first_ms = now_ms - millis(self.interval);
        self.next_start.map_or(first_ms, |(start_ms, _)| start_ms)
    }

    fn start_at(&mut self, start_ms: i64, now_ms: i64, now: Instant) {
        // If the clock was set back meanwhile, the start is in the future.
        self.next_start = Some((start_ms.min(now_ms - 1), now));
    }

    /// Plans the window that ends now. The first window is one interval long.
    ///
    /// The planner moves on only when the window is [`complete`](Self::complete). Until
    /// then each plan starts at the same time and ends later.
    pub(super) fn plan(&mut self, now_ms: i64, now: Instant) -> PlannedWindow {
        if std::mem::take(&mut self.is_paused)
            && let Some((until_ms, _)) = self.next_start.take()
        {
            self.resume(until_ms, now_ms, now);
        }
        let first = (now_ms - millis(self.interval), now);
        let &mut (mut start_ms, started) = self.next_start.get_or_insert(first);
        if start_ms >= now_ms {
            // The clock was set back behind the start. Use the time that has passed on
            // the monotonic clock as the length: the window is not inverted, and times
            // that the wall clock shows twice are measured twice.
            let passed = millis(now.saturating_duration_since(started));
            start_ms = now_ms - passed.max(1);
        }
        let max_ms = millis(MAX_WINDOW.max(self.interval * 2));
        let cut_ms = (now_ms - max_ms - start_ms).max(0);
        PlannedWindow {
            window: TimeWindow {
                start_ms: start_ms + cut_ms,
                end_ms: now_ms,
            },
            cut: Duration::from_millis(cut_ms.unsigned_abs()),
            end: now,
        }
    }

    /// Records that the window was collected: the next window starts at its end.
    pub(super) fn complete(&mut self, planned: &PlannedWindow) {
        self.next_start = Some((planned.window.end_ms, planned.end));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn window(start_ms: i64, end_ms: i64) -> TimeWindow {
        TimeWindow { start_ms, end_ms }
    }

    #[test]
    fn a_late_timer_skips_intervals_and_stays_on_its_grid() {
        let start = Instant::now();
        let mut timer = IntervalTimer::new(start, 10 * SECOND);
        assert_eq!(timer.due(), start);
        assert_eq!(timer.advance(start), 0);
        assert_eq!(timer.due(), start + 10 * SECOND);
        assert_eq!(timer.advance(start + 34 * SECOND), 2);
        assert_eq!(timer.due(), start + 40 * SECOND);
        assert_eq!(timer.advance(start + 50 * SECOND), 1);
        assert_eq!(timer.due(), start + 60 * SECOND);
    }

    #[test]
    fn a_window_that_was_not_completed_is_part_of_the_next() {
        let start = Instant::now();
        let mut windows = WindowPlanner::new(10 * SECOND);
        let first = windows.plan(100_000, start);
        assert_eq!(first.window, window(90_000, 100_000));
        let second = windows.plan(110_000, start + 10 * SECOND);
        assert_eq!(second.window, window(90_000, 110_000));
        windows.complete(&second);
        let third = windows.plan(120_000, start + 20 * SECOND);
        assert_eq!(third.window, window(110_000, 120_000));
    }

    #[test]
    fn a_clock_that_was_set_back_makes_no_inverted_window() {
        let start = Instant::now();
        let mut windows = WindowPlanner::new(10 * SECOND);
        let first = windows.plan(100_000_000, start);
        windows.complete(&first);
        let back = windows.plan(500, start + 10 * SECOND);
        assert_eq!(back.window, window(-9_500, 500));
        windows.complete(&back);
        let still = windows.plan(500, start + 10 * SECOND);
        assert_eq!(still.window, window(499, 500));
    }

    #[test]
    fn a_small_step_back_shortens_the_window_only() {
        let start = Instant::now();
        let mut windows = WindowPlanner::new(10 * SECOND);
        let first = windows.plan(100_000, start);
        windows.complete(&first);
        let next = windows.plan(106_000, start + 10 * SECOND);
        assert_eq!(next.window, window(100_000, 106_000));
    }

    #[test]
    fn after_a_restart_at_most_half_an_hour_or_one_interval_is_backfilled() {
        let now = Instant::now();
        let check = |interval, until_ms, expected| {
            let mut windows = WindowPlanner::new(interval);
            windows.resume_with_backfill(until_ms, 10_000_000, now);
            assert_eq!(windows.plan(10_000_000, now).window, expected);
        };
        check(10 * SECOND, 9_700_000, window(9_700_000, 10_000_000));
        check(10 * SECOND, 1, window(8_200_000, 10_000_000));
        check(10 * SECOND, 99_000_000, window(9_999_999, 10_000_000));
        check(3600 * SECOND, 7_000_000, window(7_000_000, 10_000_000));
    }

    #[test]
    fn without_backfill_the_first_window_has_one_interval_and_nothing_twice() {
        let now = Instant::now();
        let check = |until_ms, expected| {
            let mut windows = WindowPlanner::new(10 * SECOND);
            windows.resume(until_ms, 100_000, now);
            assert_eq!(windows.plan(100_000, now).window, expected);
        };
        check(50_000, window(90_000, 100_000));
        check(97_000, window(97_000, 100_000));
    }

    #[test]
    fn what_failed_since_the_start_is_in_the_first_window() {
        let now = Instant::now();
        for resume in [WindowPlanner::resume, WindowPlanner::resume_with_backfill] {
            let mut windows = WindowPlanner::new(10 * SECOND);
            windows.plan(4_000_000, now);
            resume(&mut windows, 1, 10_000_000, now);
            assert_eq!(
                windows.plan(10_000_000, now).window,
                window(3_990_000, 10_000_000)
            );
        }
    }

    #[test]
    fn after_a_pause_the_first_window_has_one_interval_and_nothing_twice() {
        for (end_ms, expected) in [
            (103_000, window(100_000, 103_000)),
            (150_000, window(140_000, 150_000)),
        ] {
            let start = Instant::now();
            let mut windows = WindowPlanner::new(10 * SECOND);
            let first = windows.plan(100_000, start);
            windows.complete(&first);
            windows.set_interval(None);
            windows.set_interval(Some(10 * SECOND));
            assert_eq!(windows.plan(end_ms, start).window, expected);
        }
    }

    #[test]
    fn a_window_that_grows_too_long_is_cut_and_reports_by_how_much() {
        let start = Instant::now();
        let mut windows = WindowPlanner::new(10 * SECOND);
        let first = windows.plan(0, start);
        windows.complete(&first);
        let hours = MAX_WINDOW + 5 * SECOND;
        let late = windows.plan(millis(hours), start + hours);
        assert_eq!(late.window, window(5_000, millis(hours)));
        assert_eq!(late.cut, 5 * SECOND);
    }
}
