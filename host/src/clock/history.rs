//! Which wall clock times the host has seen, and how long it ran since each.
//!
//! Host time advances only while the host runs, and never goes back. A period is a
//! time in which the wall clock and host time advanced together. When the wall clock
//! is set, or the host did not run for a while, a new period begins, and host time
//! continues where it was. So the age of a wall clock time does not see steps, in
//! neither direction.
//!
//! A wall clock that was set back passes the same times twice. Such a time counts as
//! one of the latest period that has it: an age may be too low for as long as the
//! periods overlap, and is never too high.

use serde::{Deserialize, Serialize};

/// A larger difference between the clocks begins a new period.
const TOLERANCE_MS: i64 = 1_000;
/// The longest time between two readings that counts as running, and the longest time
/// between the last reading before a restart and the first one after it that counts.
/// The host reads its clock every second: after a longer time, its process or its
/// machine was stopped.
pub(super) const MAX_GAP_MS: i64 = 60_000;
/// The oldest period is forgotten beyond this number. The one after it then begins at
/// the beginning of time.
const MAX_PERIODS: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ClockHistory {
    /// By host time. Never empty.
    periods: Vec<Period>,
    host_ms: i64,
    /// The wall clock at `host_ms`.
    wall_ms: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Period {
    /// The first and the last wall clock time of the period.
    from_ms: i64,
    to_ms: i64,
    /// Wall clock time minus host time.
    offset_ms: i64,
}

impl ClockHistory {
    /// Begins when the host starts with an empty state folder. Earlier times have the age
    /// that the wall clock gives them.
    pub(super) fn new(wall_ms: i64) -> Self {
        Self {
            periods: vec![Period {
                from_ms: i64::MIN,
                to_ms: wall_ms,
                offset_ms: 0,
            }],
            host_ms: wall_ms,
            wall_ms,
        }
    }

    /// Whether a history that was read has what the methods rely on.
    pub(super) fn is_valid(&self) -> bool {
        let mut periods = self.periods.iter();
        !self.periods.is_empty() && periods.all(|period| period.from_ms <= period.to_ms)
    }

    /// Continues after a restart. Returns the step of the wall clock.
    pub(super) fn resume(&mut self, wall_ms: i64) -> Option<i64> {
        if let Some(last) = self.periods.last_mut() {
            // The host may have run for longer than it has recorded.
            last.to_ms = last.to_ms.max(self.wall_ms + MAX_GAP_MS);
        }
        self.advance(wall_ms, (wall_ms - self.wall_ms).clamp(0, MAX_GAP_MS))
    }

    /// Takes a reading of the wall clock, so long after the last one. Returns the step
    /// of the wall clock, if there was one.
    pub(super) fn advance(&mut self, wall_ms: i64, elapsed_ms: i64) -> Option<i64> {
        let elapsed_ms = elapsed_ms.clamp(0, MAX_GAP_MS);
        let expected_ms = self.wall_ms + elapsed_ms;
        self.host_ms += elapsed_ms;
        self.wall_ms = wall_ms;
        let last = self.periods.last_mut()?;
        let drift_ms = wall_ms - last.offset_ms - self.host_ms;
        if drift_ms.abs() <= TOLERANCE_MS {
            last.to_ms = last.to_ms.max(wall_ms);
            return None;
        }
        // Times were taken until now, after the last reading.
        last.to_ms = last.to_ms.max(expected_ms);
        self.periods.push(Period {
            from_ms: wall_ms,
            to_ms: wall_ms,
            offset_ms: wall_ms - self.host_ms,
        });
        if self.periods.len() > MAX_PERIODS {
            self.periods.remove(0);
            self.periods[0].from_ms = i64::MIN;
        }
        // A clock that is adjusted slowly drifts without a step.
        let step_ms = wall_ms - expected_ms;
        (step_ms.abs() > TOLERANCE_MS).then_some(step_ms)
    }

    /// How long the host has run since a wall clock time.
    pub(super) fn age_ms(&self, time_ms: i64) -> i64 {
        self.host_ms.saturating_sub(self.host_time(time_ms)).max(0)
    }

    /// The wall clock times that are older than an age: ranges with their end
    /// excluded, in order.
    ///
    /// Between two neighbours of `bounds`, either every time is too old or none.
    pub(super) fn older_than(&self, age_ms: i64) -> Vec<[i64; 2]> {
        let since_ms = self.host_ms.saturating_sub(age_ms);
        let mut bounds: Vec<i64> = self
            .periods
            .iter()
            .flat_map(|period| {
                let end = period.to_ms.saturating_add(1);
                let split = since_ms.saturating_add(period.offset_ms);
                [period.from_ms, split.clamp(period.from_ms, end), end]
            })
            .collect();
        bounds.sort_unstable();
        let mut older: Vec<[i64; 2]> = Vec::new();
        for pair in bounds.windows(2) {
            let (from, end) = (pair[0], pair[1]);
            if from == end || self.host_time(from) >= since_ms {
                continue;
            }
            match older.last_mut() {
                Some(last) if last[1] == from => last[1] = end,
                Some(_) | None => older.push([from, end]),
            }
        }
        older
    }

    /// The host time of a wall clock time. A time that no period has counts as the
    /// beginning of the period with the next later times, or as the end of the latest
    /// times.
    fn host_time(&self, time_ms: i64) -> i64 {
        let latest_first = || self.periods.iter().rev();
        let own = latest_first().find(|period| period.has(time_ms));
        let next = || {
            latest_first()
                .filter(|period| period.from_ms > time_ms)
                .min_by_key(|period| period.from_ms)
        };
        let last = || latest_first().max_by_key(|period| period.to_ms);
        own.or_else(next)
            .or_else(last)
            .map_or(self.host_ms, |period| period.host_time(time_ms))
    }
}

impl Period {
    const fn has(&self, time_ms: i64) -> bool {
        self.from_ms <= time_ms && time_ms <= self.to_ms
    }

    fn host_time(&self, time_ms: i64) -> i64 {
        time_ms
            .clamp(self.from_ms, self.to_ms)
            .saturating_sub(self.offset_ms)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: i64 = 3_600_000;
    const DAY: i64 = 24 * HOUR;

    /// A wall clock at `now` that runs for a while, read every second.
    fn run(history: &mut ClockHistory, mut wall_ms: i64, seconds: i64) -> i64 {
        for _ in 0..seconds {
            wall_ms += 1_000;
            assert_eq!(history.advance(wall_ms, 1_000), None);
        }
        wall_ms
    }

    #[test]
    fn an_age_is_the_time_that_has_passed_on_a_steady_clock() {
        let mut history = ClockHistory::new(DAY);
        let now = run(&mut history, DAY, 100);
        assert_eq!(history.age_ms(now), 0);
        assert_eq!(history.age_ms(DAY), 100_000);
        assert_eq!(history.age_ms(0), DAY + 100_000);
        assert_eq!(history.periods.len(), 1);
    }

    #[test]
    fn a_step_forward_makes_nothing_older() {
        let mut history = ClockHistory::new(DAY);
        let now = run(&mut history, DAY, 10);
        assert_eq!(
            history.advance(now + 2_000 * DAY, 1_000),
            Some(2_000 * DAY - 1_000)
        );
        assert_eq!(history.age_ms(DAY), 11_000);
        // A time that was taken after the last reading and before the step.
        assert_eq!(history.age_ms(now + 900), 100);
        let now = run(&mut history, now + 2_000 * DAY, 5);
        assert_eq!(history.age_ms(DAY), 16_000);
        assert_eq!(history.age_ms(now), 0);
    }

    #[test]
    fn a_step_back_makes_nothing_younger() {
        let mut history = ClockHistory::new(2_000 * DAY);
        run(&mut history, 2_000 * DAY, 10);
        assert!(history.advance(DAY, 0).is_some_and(|step| step < 0));
        run(&mut history, DAY, 5);
        assert_eq!(history.age_ms(2_000 * DAY), 15_000);
        assert_eq!(history.age_ms(DAY), 5_000);
    }

    #[test]
    fn a_time_that_the_clock_passed_twice_counts_as_the_later_one() {
        let mut history = ClockHistory::new(DAY);
        run(&mut history, DAY, 600);
        history.advance(DAY + 300_000, 0);
        run(&mut history, DAY + 300_000, 60);
        assert_eq!(history.age_ms(DAY + 310_000), 50_000);
        assert_eq!(history.age_ms(DAY + 290_000), 370_000);
    }

    #[test]
    fn a_stopped_process_or_machine_counts_a_minute() {
        let mut history = ClockHistory::new(DAY);
        let step = history.advance(5 * DAY, 4 * DAY);
        assert_eq!(step, Some(4 * DAY - MAX_GAP_MS));
        assert_eq!(history.age_ms(DAY), MAX_GAP_MS);
    }

    #[test]
    fn a_restart_counts_up_to_a_minute_and_needs_no_period() {
        let mut history = ClockHistory::new(DAY);
        assert_eq!(history.resume(DAY + 20_000), None);
        assert_eq!(history.age_ms(DAY), 20_000);
        assert_eq!(history.periods.len(), 1);
        assert!(history.resume(9 * DAY).is_some());
        assert_eq!(history.age_ms(DAY), 80_000);
        assert!(history.resume(DAY / 2).is_some());
        assert_eq!(history.age_ms(DAY), 80_000);
        // The host ran for a while after it last recorded its clock.
        assert_eq!(history.age_ms(9 * DAY + 5_000), 0);
    }

    #[test]
    fn a_clock_that_is_adjusted_slowly_makes_no_step() {
        let mut history = ClockHistory::new(DAY);
        let mut wall_ms = DAY;
        for _ in 0..10_000 {
            wall_ms += 1_001;
            assert_eq!(history.advance(wall_ms, 1_000), None);
        }
        assert_eq!(history.age_ms(DAY), 10_000_000);
        assert!(history.periods.len() > 1);
    }

    #[test]
    fn the_history_is_bounded() {
        let mut history = ClockHistory::new(DAY);
        for step in 1..1_000 {
            history.advance(DAY + step * HOUR, 0);
        }
        assert_eq!(history.periods.len(), MAX_PERIODS);
        assert!(history.age_ms(0) >= DAY);
    }

    proptest! {
        #[test]
        fn the_ranges_of_old_times_are_those_with_a_higher_age(
            steps in proptest::collection::vec((-400_i64..400, 0_i64..60), 1..8),
            age in 0_i64..300,
        ) {
            let mut history = ClockHistory::new(0);
            let mut wall_ms = 0;
            for (step, elapsed) in steps {
                wall_ms += (step + elapsed) * 1_000;
                history.advance(wall_ms, elapsed * 1_000);
            }
            let older = history.older_than(age * 1_000);
            let end = history.periods.iter().map(|period| period.to_ms).max().unwrap();
            for time_ms in (-600_000..=end).step_by(500) {
                let listed = older.iter().any(|[from, end]| (*from..*end).contains(&time_ms));
                let since = history.host_ms - age * 1_000;
                prop_assert_eq!(listed, history.host_time(time_ms) < since, "{}", time_ms);
            }
        }

        #[test]
        fn an_age_is_never_above_the_time_since(
            steps in proptest::collection::vec((-400_i64..400, 1_i64..60), 1..8),
        ) {
            let mut history = ClockHistory::new(0);
            let (mut wall_ms, mut taken) = (0, Vec::new());
            for (step, elapsed) in steps {
                wall_ms += (step + elapsed) * 1_000;
                history.advance(wall_ms, elapsed * 1_000);
                taken.push((wall_ms, history.host_ms));
            }
            for (time_ms, host_ms) in taken {
                let truth = history.host_ms - host_ms;
                prop_assert!(history.age_ms(time_ms) <= truth + TOLERANCE_MS);
            }
        }
    }
}
