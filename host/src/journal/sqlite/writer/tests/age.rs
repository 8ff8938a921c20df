//! What a journal deletes for its age, while the system clock is set.

use crate::clock::{millis, now_ms};

use super::super::super::super::dead_letters::DeadLetterLimits;
use super::super::super::dead_letters;
use super::*;

const HOUR: Duration = Duration::from_hours(1);
const YEAR: Duration = Duration::from_hours(24 * 365);

/// A journal that keeps everything for an hour or a day, with one of each: a delivered
/// record, an idempotency key, a dead letter, and the cursor `gone` of an exporter that
/// is not configured.
fn bench(now_ms: i64) -> Bench {
    let mut bench = Bench::new();
    bench.writer.shared.clock = HostClock::manual(now_ms);
    bench.writer.limits.retention = HOUR;
    bench.writer.limits.max_age = 2 * HOUR;
    let (open, _) = open_cursor();
    let (open_gone, _) = open_cursor_of("gone");
    let (mut add, _added) = append();
    if let WriterCommand::Append { record, key, .. } = &mut add {
        record.header.accepted_ms = now_ms;
        *key = Some("key".to_owned());
    }
    bench.serve([open, open_gone, add]);
    let mut dead = large_dead_letter();
    dead.last_ms = now_ms;
    let all_dead = Commit {
        through: Position::after(Seq(1)),
        dead_letters: vec![dead],
        ..Commit::default()
    };
    let (commit_all, committed) = commit(all_dead);
    let (commit_gone, _) = commit_of("gone", Commit::delivered(Position::after(Seq(1)), 10));
    let (caller, configured) = oneshot::channel();
    let change = change(PendingReply::new(caller), |tx| {
        cursors::set_configured(tx, &["a".to_owned()]).map(Ok)
    });
    let set = WriterCommand::Change {
        change,
        can_wait: false,
    };
    bench.serve([commit_all, commit_gone, set]);
    assert_eq!((told(committed), told(configured)), (Ok(()), Ok(())));
    bench
}

impl Bench {
    /// Lets time pass, sets the system clock, and cleans up: how many records, keys,
    /// dead letters and cursors are left.
    fn after(&mut self, time: Duration, now_ms: i64) -> [u64; 4] {
        self.writer.shared.clock.pass(time, now_ms);
        self.writer.cleaned_up = None;
        let (caller, trimmed) = oneshot::channel();
        let limits = DeadLetterLimits {
            max_bytes: u64::MAX,
            max_age: 2 * HOUR,
        };
        let change = change(PendingReply::new(caller), move |tx| {
            dead_letters::trim(tx, "a", &limits).map(Ok)
        });
        self.serve([WriterCommand::Change {
            change,
            can_wait: false,
        }]);
        told(trimmed).unwrap();
        ["batches", "idempotency_keys", "dead_letters", "cursors"].map(|table| {
            let count = format!("SELECT count(*) FROM {table}");
            self.connection()
                .query_row(&count, [], |row| row.get(0))
                .unwrap()
        })
    }
}

#[test]
fn a_step_of_the_clock_deletes_nothing_early_and_delays_nothing() {
    let start = now_ms();
    let minute = Duration::from_mins(1);
    // A clock that was set back by half an hour passes the same times again, and ages
    // are too low by as much. The times of six years ago are no times of these records.
    for (step, too_low) in [
        (0, 0),
        (6 * millis(YEAR), 0),
        (-6 * millis(YEAR), 0),
        (millis(30 * minute), 0),
        (-millis(30 * minute), 30),
    ] {
        let mut bench = bench(start);
        let mut now = start + millis(minute) + step;
        assert_eq!(bench.after(minute, now), [1, 1, 1, 2], "{step}");
        for (time, left) in [
            (HOUR + too_low * minute, [0, 1, 1, 2]),
            (HOUR, [0, 1, 0, 2]),
            (22 * HOUR, [0, 0, 0, 1]),
        ] {
            now += millis(time);
            assert_eq!(bench.after(time, now), left, "{step} {time:?}");
        }
    }
}
