//! Batches that become pending again, and cursors that start in the past.

use std::time::Duration;

use super::super::{Commit, CursorError, Position, StartFrom};
use super::{NewMedium, Subject, after, limits, record};
use crate::batch::Seq;
use crate::clock::now_ms;

const HOUR: i64 = 3_600_000;

/// A journal with three batches of ten items, accepted three, two and one hour ago. The cursor
/// `late` is before all of them, and `a` after.
async fn journal(new: NewMedium) -> Subject {
    let journal = Subject::new(new, limits());
    journal.open_cursor("a", StartFrom::Now).await.unwrap();
    journal.open_cursor("late", StartFrom::Now).await.unwrap();
    for hours in [3, 2, 1] {
        let mut record = record(10);
        record.header.accepted_ms = now_ms() - hours * HOUR;
        let seq = journal.append(record, None).await.unwrap().seq;
        let delivered = Commit::delivered(after(seq), 10);
        journal.commit("a", delivered).await.unwrap();
    }
    journal
}

pub(in crate::journal) async fn a_replay_makes_batches_pending_that_were_accepted_since_a_time(
    new: NewMedium,
) {
    let journal = journal(new).await;
    let since = now_ms() - 2 * HOUR - HOUR / 2;
    assert_eq!(journal.replay("a", since).await, Ok(20));
    let cursor = &journal.cursors().unwrap()[0];
    assert_eq!(cursor.next, Position::at(Seq(2)));
    assert_eq!(cursor.replay_end, Some(Seq(4)));
    let counts = journal.of("a");
    assert_eq!(
        (
            counts.accepted,
            counts.replayed,
            counts.delivered,
            counts.pending
        ),
        (50, 20, 30, 20)
    );
    journal
        .commit("a", Commit::delivered(after(Seq(3)), 20))
        .await
        .unwrap();
    assert_eq!(journal.cursors().unwrap()[0].replay_end, None);
    assert_eq!(journal.of("a").delivered, 50);
}

pub(in crate::journal) async fn a_commit_from_before_a_replay_is_refused(new: NewMedium) {
    let journal = journal(new).await;
    let seq = journal.add(10).await;
    let replaying = journal.replay("a", 0);
    let committed = journal.commit("a", Commit::delivered(after(seq), 10));
    assert_eq!(replaying.await, Ok(30));
    assert!(matches!(committed.await, Err(CursorError::Refused { .. })));
}

pub(in crate::journal) async fn a_replay_without_records_changes_nothing_and_needs_a_cursor(
    new: NewMedium,
) {
    let journal = journal(new).await;
    assert_eq!(journal.replay("a", now_ms()).await, Ok(0));
    assert_eq!(journal.replay("late", 0).await, Ok(0));
    assert_eq!(journal.cursors().unwrap()[0].replay_end, None);
    assert!(matches!(
        journal.replay("unknown", 0).await,
        Err(CursorError::Missing { .. })
    ));
}

pub(in crate::journal) async fn a_new_cursor_starts_at_a_time_before_now(new: NewMedium) {
    let journal = journal(new).await;
    for (name, minutes, seq) in [("x", 150, 2), ("y", 600, 1), ("z", 5, 4)] {
        let start = StartFrom::Ago(Duration::from_mins(minutes));
        let cursor = journal.open_cursor(name, start).await.unwrap();
        assert_eq!(cursor.next, Position::at(Seq(seq)), "{name}");
        assert_eq!(journal.of(name).pending, 30 - (seq.cast_signed() - 1) * 10);
    }
    assert_eq!(journal.seq_within(Duration::from_mins(150)), Ok(Seq(2)));
    assert_eq!(journal.seq_within(Duration::ZERO), Ok(Seq(4)));
}
