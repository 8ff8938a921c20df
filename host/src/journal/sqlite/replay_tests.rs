//! Replays, and removal of cursors and dead letters.

use std::time::Duration;

use super::super::cursor::Position;
use super::super::dead_letters::DeadLetter;
use super::super::dead_letters::{DeadLetterCommit, DeadLetterDisposition};
use super::tests::{TestJournal, after, damage_table, dead_letter, limits, record};
use super::*;
use crate::clock::now_ms;

const HOUR: i64 = 3_600_000;

/// A journal with three batches of ten items, accepted three, two and one hour ago. The cursor
/// `late` is before all of them, and `a` after.
async fn journal() -> TestJournal {
    let journal = TestJournal::new(limits());
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

/// A journal with three dead letters of exporter `a`, of 2, 3 and 5 items.
async fn journal_with_dead_letters() -> TestJournal {
    let journal = TestJournal::new(limits());
    journal.open_cursor("a", StartFrom::Now).await.unwrap();
    let seq = journal.add(10).await;
    let dead_letters = [
        (0, 2, "No such metric", 1_000),
        (2, 3, "too old", 2_000),
        (5, 5, "no such host", 3_000),
    ];
    let commit = Commit {
        through: after(seq),
        dead_letters: dead_letters
            .into_iter()
            .map(|(first, rows, reason, last_ms)| DeadLetter {
                reason: reason.to_owned(),
                last_ms,
                ..dead_letter(seq, first, rows)
            })
            .collect(),
        ..Commit::default()
    };
    journal.commit("a", commit).await.unwrap();
    journal
}

fn ids(journal: &TestJournal, which: DeadLetterFilter) -> Vec<u64> {
    let dead_letters = journal.dead_letters(&which).unwrap();
    dead_letters
        .iter()
        .map(|dead_letter| dead_letter.id.0)
        .collect()
}

fn of_ids(ids: &[u64]) -> DeadLetterFilter {
    DeadLetterFilter {
        ids: ids.iter().copied().map(DeadLetterId).collect(),
        ..DeadLetterFilter::default()
    }
}

fn end_replay(id: u64, disposition: DeadLetterDisposition, through: Position) -> Commit {
    Commit {
        through,
        replayed: vec![DeadLetterCommit {
            id: DeadLetterId(id),
            disposition,
        }],
        ..Commit::default()
    }
}

#[tokio::test]
async fn a_replay_makes_batches_pending_that_were_accepted_since_a_time() {
    let journal = journal().await;
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

#[tokio::test]
async fn a_commit_from_before_a_replay_is_refused() {
    let journal = journal().await;
    let seq = journal.add(10).await;
    let replaying = journal.replay("a", 0);
    let committed = journal.commit("a", Commit::delivered(after(seq), 10));
    assert_eq!(replaying.await, Ok(30));
    assert!(matches!(committed.await, Err(CursorError::Refused { .. })));
}

#[tokio::test]
async fn a_replay_without_records_changes_nothing_and_needs_a_cursor() {
    let journal = journal().await;
    assert_eq!(journal.replay("a", now_ms()).await, Ok(0));
    assert_eq!(journal.replay("late", 0).await, Ok(0));
    assert_eq!(journal.cursors().unwrap()[0].replay_end, None);
    assert!(matches!(
        journal.replay("unknown", 0).await,
        Err(CursorError::Missing { .. })
    ));
}

#[tokio::test]
async fn a_new_cursor_starts_at_a_time_before_now() {
    let journal = journal().await;
    for (name, minutes, seq) in [("x", 150, 2), ("y", 600, 1), ("z", 5, 4)] {
        let start = StartFrom::Ago(Duration::from_mins(minutes));
        let cursor = journal.open_cursor(name, start).await.unwrap();
        assert_eq!(cursor.next, Position::at(Seq(seq)), "{name}");
        assert_eq!(journal.of(name).pending, 30 - (seq.cast_signed() - 1) * 10);
    }
    assert_eq!(journal.seq_within(Duration::from_mins(150)), Ok(Seq(2)));
    assert_eq!(journal.seq_within(Duration::ZERO), Ok(Seq(4)));
}

#[tokio::test]
async fn dead_letters_are_found_by_exporter_time_reason_and_id() {
    let journal = journal_with_dead_letters().await;
    let filter = DeadLetterFilter::default;
    let by = |reason: &str| DeadLetterFilter {
        reason: Some(reason.to_owned()),
        ..filter()
    };
    assert_eq!(ids(&journal, filter()), [1, 2, 3]);
    assert_eq!(ids(&journal, by("no SUCH")), [1, 3]);
    assert_eq!(ids(&journal, by("%")), [0; 0]);
    assert_eq!(ids(&journal, of_ids(&[3, 1, 9])), [1, 3]);
    let (since_ms, limit) = (Some(2_000), Some(1));
    assert_eq!(
        ids(
            &journal,
            DeadLetterFilter {
                since_ms,
                ..filter()
            }
        ),
        [2, 3]
    );
    assert_eq!(
        ids(
            &journal,
            DeadLetterFilter {
                since_ms,
                limit,
                ..filter()
            }
        ),
        [2]
    );
    let exporter = Some("b".to_owned());
    assert_eq!(
        ids(
            &journal,
            DeadLetterFilter {
                exporter,
                ..filter()
            }
        ),
        [0; 0]
    );
    let dead_letter = journal.dead_letter(DeadLetterId(2)).unwrap().unwrap();
    assert_eq!(dead_letter.dead_letter.payload, [1; 10]);
    assert_eq!(journal.dead_letter(DeadLetterId(u64::MAX)), Ok(None));
}

#[tokio::test]
async fn a_dead_letter_in_replay_is_pending_until_its_disposition_is_known() {
    let journal = journal_with_dead_letters().await;
    let replayed = journal.replay_dead_letters(&of_ids(&[1, 3])).await.unwrap();
    assert_eq!((replayed.dead_letters, replayed.items), (2, 7));
    let again = journal.replay_dead_letters(&of_ids(&[1, 2])).await.unwrap();
    assert_eq!((again.dead_letters, again.items), (1, 3));
    let counts = journal.of("a");
    assert_eq!(
        (counts.accepted, counts.dead_lettered, counts.pending),
        (20, 10, 10)
    );
    let purged = journal
        .purge_dead_letters(&DeadLetterFilter::default())
        .await;
    assert_eq!(purged, Ok(DeadLetterCount::default()));
    let through = after(Seq(1));
    journal
        .commit(
            "a",
            end_replay(1, DeadLetterDisposition::Delivered, through),
        )
        .await
        .unwrap();
    let dead_again = DeadLetterDisposition::DeadLettered {
        code: 9,
        reason: "still no such host".to_owned(),
        plugin_version: "2.0.0".to_owned(),
        attempts: 4,
        last_ms: 5_000,
    };
    journal
        .commit("a", end_replay(3, dead_again, through))
        .await
        .unwrap();
    let counts = journal.of("a");
    assert_eq!(
        (counts.delivered, counts.dead_lettered, counts.pending),
        (2, 15, 3)
    );
    assert_eq!(ids(&journal, DeadLetterFilter::default()), [2, 3]);
    let dead_letter = journal.dead_letter(DeadLetterId(3)).unwrap().unwrap();
    assert_eq!(
        (
            dead_letter.dead_letter.code,
            dead_letter.dead_letter.attempts
        ),
        (9, 4)
    );
    assert_eq!(dead_letter.replayed_ms, None);
    let next = journal
        .next_replayed_dead_letter("a", DeadLetterId(0))
        .unwrap()
        .unwrap();
    assert_eq!(next.id, DeadLetterId(2));
    assert_eq!(
        journal.next_replayed_dead_letter("a", DeadLetterId(2)),
        Ok(None)
    );
}

#[tokio::test]
async fn the_end_of_a_replay_that_never_started_is_refused() {
    let journal = journal_with_dead_letters().await;
    let refused = journal.commit(
        "a",
        end_replay(1, DeadLetterDisposition::Delivered, after(Seq(1))),
    );
    assert!(matches!(refused.await, Err(CursorError::Refused { .. })));
    journal.of("a");
    assert_eq!(ids(&journal, DeadLetterFilter::default()), [1, 2, 3]);
}

#[tokio::test]
async fn dead_letters_are_trimmed_by_size_and_age_the_oldest_first() {
    let journal = journal_with_dead_letters().await;
    journal.replay_dead_letters(&of_ids(&[1])).await.unwrap();
    let limits = DeadLetterLimits {
        max_bytes: 10,
        max_age: Duration::MAX,
    };
    let trimmed = journal.trim_dead_letters("a", &limits).await.unwrap();
    assert_eq!(
        (trimmed.dead_letters, trimmed.items, trimmed.bytes),
        (1, 3, 10)
    );
    assert_eq!(ids(&journal, DeadLetterFilter::default()), [1, 3]);
    let limits = DeadLetterLimits {
        max_bytes: u64::MAX,
        max_age: Duration::ZERO,
    };
    journal.trim_dead_letters("a", &limits).await.unwrap();
    assert_eq!(ids(&journal, DeadLetterFilter::default()), [1]);
    assert_eq!(journal.of("a").dead_lettered, 10);
    let totals = journal.dead_letter_totals("a").unwrap();
    assert_eq!(
        (totals.dead_letters, totals.items, totals.bytes),
        (1, 2, 10)
    );
}

#[tokio::test]
async fn dead_letters_in_replay_stay_pending_when_the_file_is_damaged() {
    let mut journal = journal_with_dead_letters().await;
    journal.add(4).await;
    journal.replay_dead_letters(&of_ids(&[2])).await.unwrap();
    journal.journal = None;
    damage_table(&journal.path(), "batches");
    journal.reopen();
    // The first access finds the damage, be it by the writer's own cleanup.
    drop(journal.record_error("a", "x").await);
    journal.add(5).await;
    let counts = journal.of("a");
    assert_eq!((counts.dropped(), counts.pending), (4, 8));
}

#[tokio::test]
async fn the_cursor_of_an_exporter_that_is_not_configured_is_removed_after_a_while() {
    let mut journal = TestJournal::new(limits());
    let names = |journal: &TestJournal| -> Vec<_> {
        let cursors = journal.cursors().unwrap().into_iter();
        cursors
            .map(|cursor| (cursor.exporter, cursor.unused_since_ms.is_some()))
            .collect()
    };
    for name in ["a", "b", ":own"] {
        journal.open_cursor(name, StartFrom::Now).await.unwrap();
    }
    journal.set_configured(vec!["a".to_owned()]).await.unwrap();
    assert_eq!(
        names(&journal),
        [("a".to_owned(), false), ("b".to_owned(), true)]
    );
    journal.limits.orphan_ttl = Duration::ZERO;
    journal.reopen();
    // Before the exporters are configured, no cursor is removed.
    journal.add(1).await;
    assert_eq!(names(&journal).len(), 2);
    journal.set_configured(vec!["a".to_owned()]).await.unwrap();
    journal.add(1).await;
    assert_eq!(names(&journal), [("a".to_owned(), false)]);
    assert!(journal.counts(":own").unwrap().is_some());
    assert_eq!(journal.counts("b"), Ok(None));
}

#[tokio::test]
async fn the_cursor_of_an_exporter_that_is_configured_again_is_kept() {
    let journal = TestJournal::new(limits());
    let unused = |journal: &TestJournal| journal.cursors().unwrap()[0].unused_since_ms;
    journal.open_cursor("a", StartFrom::Now).await.unwrap();
    journal.set_configured(vec![]).await.unwrap();
    let since = unused(&journal);
    assert!(since.is_some());
    journal.set_configured(vec![]).await.unwrap();
    assert_eq!(unused(&journal), since);
    journal.open_cursor("a", StartFrom::Now).await.unwrap();
    assert_eq!(unused(&journal), None);
    journal.set_configured(vec![]).await.unwrap();
    journal.set_configured(vec!["a".to_owned()]).await.unwrap();
    assert_eq!(unused(&journal), None);
}

#[tokio::test]
async fn removing_a_cursor_deletes_its_dead_letters_and_counts() {
    let journal = journal_with_dead_letters().await;
    assert_eq!(journal.remove_cursor("a").await, Ok(true));
    assert_eq!(journal.remove_cursor("a").await, Ok(false));
    assert_eq!(ids(&journal, DeadLetterFilter::default()), [0; 0]);
    journal.open_cursor("a", StartFrom::Now).await.unwrap();
    assert_eq!(journal.of("a"), ItemCounts::default());
}

#[tokio::test]
async fn a_renamed_cursor_takes_its_counts_and_dead_letters_and_replaces_another() {
    let mut journal = journal_with_dead_letters().await;
    journal.add(4).await;
    let (counts, dead_letters) = (journal.of("a"), journal.dead_letter_totals("a").unwrap());
    assert!(counts.pending > 0 && dead_letters.items > 0, "{counts:?}");
    journal.open_cursor("b", StartFrom::Now).await.unwrap();
    assert_eq!(journal.rename_cursor("a", "a").await, Ok(false));
    assert_eq!(journal.rename_cursor("c", "b").await, Ok(false));
    assert_eq!(journal.rename_cursor("a", "b").await, Ok(true));
    assert_eq!(journal.rename_cursor("a", "b").await, Ok(false));
    journal.reopen();
    assert_eq!(journal.of("b"), counts);
    assert_eq!(journal.dead_letter_totals("b").unwrap(), dead_letters);
    assert_eq!(journal.counts("a"), Ok(None));
}
