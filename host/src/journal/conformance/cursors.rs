//! Cursors, and the counts of their items.

use std::time::Duration;

use super::super::{
    Commit, CursorError, DeadLetterFilter, DroppedItems, ItemCounts, Position, RowSpan, StartFrom,
};
use super::{
    NewMedium, Subject, after, dead_letter, dead_letter_ids, journal_with_dead_letters, limits,
    record,
};
use crate::batch::Seq;

pub(in crate::journal) async fn the_commits_watch_changes_with_a_commit_and_not_with_an_append(
    new: NewMedium,
) {
    let journal = Subject::new(new, limits());
    journal.open_cursor("a", StartFrom::Now).await.unwrap();
    let mut commits = journal.commits();
    let seq = journal.add(1).await;
    let refused = journal.commit("a", Commit::delivered(after(seq), 7)).await;
    assert!(refused.is_err());
    assert!(!commits.has_changed().unwrap());
    journal
        .commit("a", Commit::delivered(after(seq), 1))
        .await
        .unwrap();
    assert!(commits.has_changed().unwrap());
    commits.mark_unchanged();
    journal.record_error("a", "away").await.unwrap();
    assert!(!commits.has_changed().unwrap());
}

pub(in crate::journal) async fn now_starts_after_the_head_and_earliest_at_the_oldest_record(
    new: NewMedium,
) {
    let journal = Subject::new(new, limits());
    journal.add(4).await;
    let earliest = journal
        .open_cursor("earliest", StartFrom::Earliest)
        .await
        .unwrap();
    let now = journal.open_cursor("now", StartFrom::Now).await.unwrap();
    journal.add(5).await;
    assert_eq!(
        (now.next, earliest.next),
        (Position::at(Seq(2)), Position::at(Seq(1)))
    );
    assert_eq!(
        (journal.of("now").accepted, journal.of("earliest").accepted),
        (5, 9)
    );
}

pub(in crate::journal) async fn opening_an_existing_cursor_keeps_its_position(new: NewMedium) {
    let mut journal = Subject::new(new, limits());
    let first = journal.open_cursor("a", StartFrom::Now).await.unwrap();
    journal.add(4).await;
    journal.reopen();
    assert_eq!(
        journal.open_cursor("a", StartFrom::Now).await.unwrap(),
        first
    );
    assert_eq!(journal.cursors().unwrap(), [first]);
}

pub(in crate::journal) async fn every_disposition_is_counted_once(new: NewMedium) {
    let journal = Subject::new(new, limits());
    journal.open_cursor("a", StartFrom::Now).await.unwrap();
    let (one, two) = (journal.add(10).await, journal.add(20).await);
    let mixed = Commit {
        through: Position {
            seq: two,
            row: 5,
            items: 5,
        },
        delivered: 6,
        filtered: 2,
        dropped: vec![DroppedItems {
            limit: "queue.max_age".to_owned(),
            items: 3,
        }],
        dead_letters: vec![dead_letter(one, 0, 4)],
        ..Commit::default()
    };
    journal.commit("a", mixed).await.unwrap();
    let counts = journal.of("a");
    assert_eq!(
        (counts.accepted, counts.delivered, counts.dead_lettered),
        (30, 6, 4)
    );
    assert_eq!(
        (counts.dropped(), counts.filtered, counts.pending),
        (3, 2, 15)
    );
    journal
        .commit("a", Commit::delivered(after(two), 15))
        .await
        .unwrap();
    assert_eq!(
        (journal.of("a").delivered, journal.of("a").pending),
        (21, 0)
    );
}

pub(in crate::journal) async fn rows_ahead_of_the_cursor_are_committed_once_and_survive_reopening(
    new: NewMedium,
) {
    let mut journal = Subject::new(new, limits());
    journal.open_cursor("a", StartFrom::Now).await.unwrap();
    let batch = record(10);
    let one = journal.append(batch.clone(), None).await.unwrap().seq;
    let two = journal.add(5).await;
    let span = |seq, first_row, rows| RowSpan {
        seq,
        first_row,
        rows,
        items: rows,
    };
    let stand = Position {
        seq: one,
        row: 2,
        items: 2,
    };
    let ahead = vec![span(one, 4, 6), span(two, 0, 5)];
    let commit = Commit {
        ahead: ahead.clone(),
        ..Commit::delivered(stand, 13)
    };
    journal.commit("a", commit).await.unwrap();
    assert_eq!(
        (journal.of("a").delivered, journal.of("a").pending),
        (13, 2)
    );
    assert!(
        !journal
            .batch(batch.header.batch_id)
            .unwrap()
            .unwrap()
            .exporters[0]
            .committed
    );
    for (through, said, ahead) in [
        (stand, 1, span(one, 3, 2)),      // overlaps committed rows
        (stand, 2, span(one, 2, 0)),      // no rows
        (stand, 1, span(one, 1, 1)),      // before the cursor
        (stand, 1, span(Seq(3), 0, 1)),   // does not exist
        (after(one), 8, span(two, 0, 5)), // twice
        (
            Position {
                seq: one,
                row: 5,
                items: 5,
            },
            3,
            span(one, 9, 1),
        ), // ends inside a span
    ] {
        let commit = Commit {
            ahead: vec![ahead],
            ..Commit::delivered(through, said)
        };
        let refused = journal.commit("a", commit).await.unwrap_err();
        assert!(
            matches!(refused, CursorError::Refused { .. }),
            "{ahead}: {refused}"
        );
    }
    journal.reopen();
    assert_eq!(
        journal
            .open_cursor("a", StartFrom::Now)
            .await
            .unwrap()
            .ahead,
        ahead
    );
    // Only the two retried rows are left; the others were counted before.
    journal
        .commit("a", Commit::delivered(after(two), 2))
        .await
        .unwrap();
    assert_eq!(
        (journal.of("a").delivered, journal.of("a").pending),
        (15, 0)
    );
    assert_eq!(journal.cursors().unwrap()[0].ahead, []);
}

pub(in crate::journal) async fn a_commit_that_contradicts_the_journal_changes_nothing(
    new: NewMedium,
) {
    let journal = Subject::new(new, limits());
    journal.open_cursor("a", StartFrom::Now).await.unwrap();
    let (one, two) = (journal.add(10).await, journal.add(20).await);
    let middle = Position {
        seq: one,
        row: 5,
        items: 5,
    };
    journal
        .commit("a", Commit::delivered(middle, 5))
        .await
        .unwrap();
    let before = (journal.cursors().unwrap(), journal.of("a"));
    for (through, delivered) in [
        (Position::at(one), 0), // back to the start of the record
        (
            Position {
                seq: one,
                row: 4,
                items: 4,
            },
            0,
        ), // back within it
        (after(one), 4),        // one item too few
        (after(one), 6),        // one too many
        (Position::at(Seq(9)), 25), // past the head
        (Position::at(Seq(u64::MAX)), 25), // larger than SQLite can store
        (
            Position {
                seq: two,
                row: 20,
                items: 20,
            },
            25,
        ), // past the rows of a record
        (
            Position {
                seq: two,
                row: 1,
                items: 21,
            },
            26,
        ), // more items than the record has
        (
            Position {
                seq: two,
                row: 0,
                items: 1,
            },
            6,
        ), // items without rows
    ] {
        let mut commit = Commit::delivered(through, delivered);
        commit.dead_letters = vec![dead_letter(one, 0, 0)];
        let refused = journal.commit("a", commit).await.unwrap_err();
        assert!(
            matches!(refused, CursorError::Refused { .. }),
            "{through}: {refused}"
        );
    }
    assert_eq!((journal.cursors().unwrap(), journal.of("a")), before);
    assert_eq!(
        dead_letter_ids(&journal, DeadLetterFilter::default()),
        [0; 0]
    );
    let unknown = journal.commit("b", Commit::default()).await;
    assert_eq!(
        unknown,
        Err(CursorError::Missing {
            exporter: "b".to_owned()
        })
    );
}

pub(in crate::journal) async fn a_cursor_of_the_host_holds_records_and_is_not_listed_with_exporters(
    new: NewMedium,
) {
    let journal = Subject::new(new, limits());
    journal.open_cursor(":own", StartFrom::Now).await.unwrap();
    let batch = record(3);
    let seq = journal.append(batch.clone(), None).await.unwrap().seq;
    assert_eq!(journal.cursors().unwrap(), []);
    let info = journal.batch(batch.header.batch_id).unwrap().unwrap();
    assert_eq!(info.exporters, []);
    // Without an exporter, records are kept for the first one.
    let passed = Commit::delivered(after(seq), 3);
    journal.commit(":own", passed).await.unwrap();
    assert!(journal.read(seq).unwrap().is_some());
    // With one, the cursor of the host holds the records that it has not passed.
    journal.open_cursor("a", StartFrom::Now).await.unwrap();
    let held = journal.add(1).await;
    journal
        .commit("a", Commit::delivered(after(held), 1))
        .await
        .unwrap();
    assert_eq!(journal.read(Seq(0)).unwrap().unwrap().seq, held);
    journal
        .commit(":own", Commit::delivered(after(held), 1))
        .await
        .unwrap();
    assert_eq!(journal.read(Seq(0)).unwrap(), None);
    assert_eq!(
        (journal.of(":own").pending, journal.of("a").pending),
        (0, 0)
    );
}

pub(in crate::journal) async fn the_last_error_and_the_last_success_survive_reopening(
    new: NewMedium,
) {
    let mut journal = Subject::new(new, limits());
    let opened = journal.open_cursor("a", StartFrom::Now).await.unwrap();
    assert_eq!((opened.last_success_ms, opened.last_error), (None, None));
    let seq = journal.add(1).await;
    journal
        .record_error("a", "connection refused")
        .await
        .unwrap();
    journal
        .commit("a", Commit::delivered(after(seq), 1))
        .await
        .unwrap();
    journal.reopen();
    let cursor = journal.cursors().unwrap().remove(0);
    assert_eq!(cursor.last_error.as_deref(), Some("connection refused"));
    assert!(cursor.last_success_ms >= cursor.last_error_ms && cursor.last_error_ms.is_some());
    assert!(journal.record_error("b", "x").await.is_err());
}

pub(in crate::journal) async fn the_cursor_of_an_exporter_that_is_not_configured_is_removed_after_a_while(
    new: NewMedium,
) {
    let mut journal = Subject::new(new, limits());
    let names = |journal: &Subject| -> Vec<_> {
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

pub(in crate::journal) async fn the_cursor_of_an_exporter_that_is_configured_again_is_kept(
    new: NewMedium,
) {
    let journal = Subject::new(new, limits());
    let unused = |journal: &Subject| journal.cursors().unwrap()[0].unused_since_ms;
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

pub(in crate::journal) async fn removing_a_cursor_deletes_its_dead_letters_and_counts(
    new: NewMedium,
) {
    let journal = journal_with_dead_letters(new).await;
    assert_eq!(journal.remove_cursor("a").await, Ok(true));
    assert_eq!(journal.remove_cursor("a").await, Ok(false));
    assert_eq!(
        dead_letter_ids(&journal, DeadLetterFilter::default()),
        [0; 0]
    );
    journal.open_cursor("a", StartFrom::Now).await.unwrap();
    assert_eq!(journal.of("a"), ItemCounts::default());
}

pub(in crate::journal) async fn a_renamed_cursor_takes_its_counts_and_dead_letters_and_replaces_another(
    new: NewMedium,
) {
    let mut journal = journal_with_dead_letters(new).await;
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
