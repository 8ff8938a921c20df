//! One journal, as its callers see it.

use std::fs;

use delfin_plugin_api::Origin;
use rusqlite::Connection;
use tempfile::TempDir;
use uuid::Uuid;

use crate::batch::Header;

use super::super::counts::DroppedItems;
use super::super::cursor::{Position, RowSpan};
use super::super::dead_letters::DeadLetter;
use std::time::Duration;

use super::super::record::BatchState;
use super::connection::PAGE_BYTES;
use super::*;
use crate::clock::now_ms;
use crate::sqlite::DatabaseError;

/// A journal in a folder of its own, which can be closed and opened again.
pub(super) struct TestJournal {
    folder: TempDir,
    pub(super) limits: JournalLimits,
    pub(super) journal: Option<SqliteJournal>,
}

impl TestJournal {
    pub(super) fn new(limits: JournalLimits) -> Self {
        let mut journal = Self {
            folder: TempDir::new().unwrap(),
            limits,
            journal: None,
        };
        journal.reopen();
        journal
    }

    pub(super) fn reopen(&mut self) {
        self.journal = None;
        self.journal = Some(
            SqliteJournal::open(
                self.folder.path(),
                "alerts",
                self.limits.clone(),
                &HostClock::new(),
            )
            .unwrap(),
        );
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("alerts.db")
    }

    /// The names of damaged files that were moved aside.
    pub(super) fn aside(&self) -> Vec<PathBuf> {
        let names = fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().path());
        names
            .filter(|path| path.to_string_lossy().contains(".db.corrupt-"))
            .collect()
    }

    pub(super) async fn add(&self, items: u64) -> Seq {
        self.append(record(items), None).await.unwrap().seq
    }

    pub(super) fn of(&self, exporter: &str) -> ItemCounts {
        let counts = self.counts(exporter).unwrap().unwrap();
        assert_eq!(counts.unaccounted(), 0, "{counts:?}");
        counts
    }
}

impl std::ops::Deref for TestJournal {
    type Target = SqliteJournal;

    fn deref(&self) -> &SqliteJournal {
        self.journal.as_ref().unwrap()
    }
}

/// Limits that no test reaches; records are deleted at once, and commits are not delayed.
pub(super) fn limits() -> JournalLimits {
    JournalLimits::unlimited()
}

pub(super) fn record(items: u64) -> NewRecord {
    NewRecord {
        header: Header {
            batch_id: Uuid::now_v7(),
            origin: Origin::Ingest,
            storage_id: Some("array-1".to_owned()),
            complete: false,
            accepted_ms: now_ms(),
            items,
        },
        rows: items,
        payload: vec![7; 1000],
    }
}

pub(super) fn dead_letter(seq: Seq, first_row: u64, rows: u64) -> DeadLetter {
    DeadLetter {
        plugin_version: "1.2.3".to_owned(),
        header: record(rows).header,
        seq,
        first_row,
        rows,
        code: 5 << 16,
        reason: "no such metric".to_owned(),
        attempts: 1,
        first_ms: now_ms(),
        last_ms: now_ms(),
        payload: vec![1; 10],
    }
}

pub(super) fn after(seq: Seq) -> Position {
    Position::after(seq)
}

#[tokio::test]
async fn every_caller_of_a_shared_transaction_gets_its_receipt() {
    let journal = TestJournal::new(limits());
    // While another connection locks the file, commands collect behind the first group.
    let blocker = Connection::open(journal.path()).unwrap();
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    let before = journal.stats().unwrap().transactions;
    let answers: Vec<_> = (0..50).map(|_| journal.append(record(2), None)).collect();
    blocker.execute_batch("ROLLBACK").unwrap();
    let mut numbers = Vec::new();
    for answer in answers {
        numbers.push(answer.await.unwrap().seq.0);
    }
    assert_eq!(numbers, (1..=50).collect::<Vec<_>>());
    assert!(journal.stats().unwrap().transactions - before <= 2);
    assert_eq!(*journal.head().borrow(), Seq(50));
}

#[tokio::test]
async fn the_commits_watch_changes_with_a_commit_and_not_with_an_append() {
    let journal = TestJournal::new(limits());
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

#[tokio::test]
async fn a_record_is_read_as_it_was_appended() {
    let journal = TestJournal::new(limits());
    journal.open_cursor("a", StartFrom::Now).await.unwrap();
    for origin in [
        Origin::Collection,
        Origin::Sync,
        Origin::Trap,
        Origin::Resend,
        Origin::Replay,
        Origin::Other,
    ] {
        let mut appended = record(3);
        appended.header.origin = origin;
        appended.header.complete = true;
        appended.header.storage_id = None;
        let seq = journal.append(appended.clone(), None).await.unwrap().seq;
        assert_eq!(
            journal.read(seq).unwrap().unwrap(),
            Record {
                seq,
                header: appended.header,
                rows: appended.rows,
                payload: appended.payload,
            }
        );
    }
    assert_eq!(journal.read(Seq(0)).unwrap().unwrap().seq, Seq(1));
    assert_eq!(journal.read(Seq(7)).unwrap(), None);
}

#[tokio::test]
async fn sequence_numbers_continue_after_the_journal_was_pruned_empty_and_opened_again() {
    let mut journal = TestJournal::new(limits());
    journal.open_cursor("a", StartFrom::Now).await.unwrap();
    let first = journal.add(4).await;
    journal
        .commit("a", Commit::delivered(after(first), 4))
        .await
        .unwrap();
    assert_eq!(journal.read(Seq(0)).unwrap(), None);
    journal.reopen();
    assert_eq!(*journal.head().borrow(), first);
    assert_eq!(journal.add(5).await, first.next());
    let counts = journal.of("a");
    assert_eq!(
        (counts.accepted, counts.delivered, counts.pending),
        (9, 4, 5)
    );
}

#[tokio::test]
async fn now_starts_after_the_head_and_earliest_at_the_oldest_record() {
    let journal = TestJournal::new(limits());
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

#[tokio::test]
async fn opening_an_existing_cursor_keeps_its_position() {
    let mut journal = TestJournal::new(limits());
    let first = journal.open_cursor("a", StartFrom::Now).await.unwrap();
    journal.add(4).await;
    journal.reopen();
    assert_eq!(
        journal.open_cursor("a", StartFrom::Now).await.unwrap(),
        first
    );
    assert_eq!(journal.cursors().unwrap(), [first]);
}

#[tokio::test]
async fn every_disposition_is_counted_once() {
    let journal = TestJournal::new(limits());
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

#[tokio::test]
async fn rows_ahead_of_the_cursor_are_committed_once_and_survive_reopening() {
    let mut journal = TestJournal::new(limits());
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

#[tokio::test]
async fn a_commit_that_contradicts_the_journal_changes_nothing() {
    let journal = TestJournal::new(limits());
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
    let kept: u64 = Connection::open(journal.path())
        .unwrap()
        .query_row("SELECT count(*) FROM dead_letters", [], |row| row.get(0))
        .unwrap();
    assert_eq!(kept, 0);
    let unknown = journal.commit("b", Commit::default()).await;
    assert_eq!(
        unknown,
        Err(CursorError::Missing {
            exporter: "b".to_owned()
        })
    );
}

#[tokio::test]
async fn a_refused_commit_does_not_fail_the_others_of_its_transaction() {
    let journal = TestJournal::new(limits());
    journal.open_cursor("a", StartFrom::Now).await.unwrap();
    let blocker = Connection::open(journal.path()).unwrap();
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    let appended = journal.append(record(3), None);
    let refused = journal.commit("a", Commit::delivered(after(Seq(1)), 4));
    let committed = journal.commit("a", Commit::delivered(after(Seq(1)), 3));
    blocker.execute_batch("ROLLBACK").unwrap();
    assert_eq!(appended.await.unwrap().seq, Seq(1));
    assert!(refused.await.is_err());
    committed.await.unwrap();
    assert_eq!(journal.of("a").delivered, 3);
}

#[tokio::test]
async fn a_full_journal_refuses_appends_until_cursors_advance() {
    let journal = TestJournal::new(JournalLimits {
        max_bytes: 2500,
        ..limits()
    });
    journal.open_cursor("a", StartFrom::Now).await.unwrap();
    let (one, _) = (journal.add(1).await, journal.add(1).await);
    let full = journal.append(record(1), None).await.unwrap_err();
    assert_eq!(
        full,
        AppendError::Full {
            held_bytes: 2000,
            max_bytes: 2500,
            required_by: None,
        }
    );
    assert_eq!(
        (journal.stats().unwrap().refused, journal.of("a").accepted),
        (1, 2)
    );
    journal
        .commit("a", Commit::delivered(after(one), 1))
        .await
        .unwrap();
    assert_eq!(journal.add(1).await, Seq(3));
}

#[tokio::test]
async fn records_within_their_retention_are_deleted_for_new_ones() {
    let journal = TestJournal::new(JournalLimits {
        max_bytes: 2500,
        retention: Duration::from_hours(1),
        ..limits()
    });
    journal.open_cursor("a", StartFrom::Now).await.unwrap();
    for _ in 0..5 {
        let seq = journal.add(1).await;
        journal
            .commit("a", Commit::delivered(after(seq), 1))
            .await
            .unwrap();
        assert!(journal.read(seq).unwrap().is_some());
    }
    let stats = journal.stats().unwrap();
    assert_eq!((stats.records, stats.needed_bytes), (2, 0));
    journal.add(1).await;
    let stats = journal.stats().unwrap();
    assert_eq!((stats.bytes, stats.needed_bytes), (2000, 1000));
}

#[tokio::test]
async fn without_cursors_old_records_are_deleted_and_the_oldest_when_the_journal_is_full() {
    let journal = TestJournal::new(JournalLimits {
        max_bytes: 2500,
        max_age: Duration::from_hours(1),
        ..limits()
    });
    for _ in 0..5 {
        journal.add(1).await;
    }
    assert_eq!(journal.read(Seq(0)).unwrap().unwrap().seq, Seq(4));
    let mut journal = TestJournal::new(JournalLimits {
        max_age: Duration::from_hours(1),
        ..limits()
    });
    let mut old = record(1);
    old.header.accepted_ms = now_ms() - 2 * 3_600_000;
    journal.append(old.clone(), None).await.unwrap();
    assert_eq!(journal.read(Seq(0)).unwrap(), None);
    // A cursor keeps its records at any age.
    journal.reopen();
    journal.open_cursor("a", StartFrom::Now).await.unwrap();
    old.header.batch_id = Uuid::now_v7();
    journal.append(old, None).await.unwrap();
    journal.add(1).await;
    assert_eq!(journal.read(Seq(0)).unwrap().unwrap().seq, Seq(2));
}

#[tokio::test]
async fn a_disk_below_its_minimum_refuses_appends_and_lets_cursors_advance() {
    let mut journal = TestJournal::new(limits());
    journal.open_cursor("a", StartFrom::Now).await.unwrap();
    let seq = journal.add(1).await;
    journal.limits.min_free_bytes = u64::MAX;
    journal.reopen();
    let refused = journal.append(record(1), None).await.unwrap_err();
    assert!(
        matches!(
            refused,
            AppendError::NoSpace {
                min_free_bytes: u64::MAX,
                ..
            }
        ),
        "{refused}"
    );
    journal
        .commit("a", Commit::delivered(after(seq), 1))
        .await
        .unwrap();
    assert_eq!(journal.stats().unwrap().records, 0);
}

#[tokio::test]
async fn on_low_disk_space_pruning_makes_the_file_smaller() {
    let mut journal = TestJournal::new(limits());
    journal.open_cursor("a", StartFrom::Now).await.unwrap();
    let large = || NewRecord {
        payload: vec![0; 100_000],
        ..record(1)
    };
    for _ in 0..20 {
        journal.append(large(), None).await.unwrap();
    }
    assert!(journal.stats().unwrap().file_bytes > 2_000_000);
    journal.limits.min_free_bytes = u64::MAX;
    journal.reopen();
    journal
        .commit("a", Commit::delivered(after(Seq(20)), 20))
        .await
        .unwrap();
    assert!(journal.stats().unwrap().file_bytes < 200_000);
    assert!(fs::metadata(journal.path()).unwrap().len() < 200_000);
}

#[tokio::test]
async fn a_repeated_key_gets_the_first_receipt_even_after_reopening() {
    let mut journal = TestJournal::new(limits());
    let key = Some("once".to_owned());
    let first = journal.append(record(3), key.clone()).await.unwrap();
    journal.reopen();
    let second = journal.append(record(4), key.clone()).await.unwrap();
    assert_eq!(
        second,
        Receipt {
            repeated: true,
            ..first
        }
    );
    assert_eq!(journal.stats().unwrap().records, 1);
    let mut old = record(1);
    old.header.accepted_ms = 0;
    journal
        .append(old, Some("long ago".to_owned()))
        .await
        .unwrap();
    assert!(
        !journal
            .append(record(1), Some("long ago".to_owned()))
            .await
            .unwrap()
            .repeated
    );
}

#[tokio::test]
async fn a_batch_id_is_appended_once() {
    let journal = TestJournal::new(limits());
    let (one, two) = (record(3), record(4));
    let first = journal.append(one.clone(), None).await.unwrap();
    let again = journal
        .append(one, Some("late key".to_owned()))
        .await
        .unwrap();
    assert_eq!(
        again,
        Receipt {
            repeated: true,
            ..first
        }
    );
    assert_eq!(journal.append(two, None).await.unwrap().seq, Seq(2));
}

#[tokio::test]
async fn the_state_of_a_batch_comes_from_cursors_and_dead_letters() {
    let journal = TestJournal::new(JournalLimits {
        retention: Duration::from_hours(1),
        ..limits()
    });
    for exporter in ["b", "a"] {
        journal.open_cursor(exporter, StartFrom::Now).await.unwrap();
    }
    let batch = record(10);
    let seq = journal.append(batch.clone(), None).await.unwrap().seq;
    journal.open_cursor("late", StartFrom::Now).await.unwrap();
    let dead_letter = DeadLetter {
        header: batch.header.for_part(4),
        ..dead_letter(seq, 0, 4)
    };
    let commit = Commit {
        dead_letters: vec![dead_letter],
        ..Commit::delivered(after(seq), 6)
    };
    journal.commit("a", commit).await.unwrap();
    let info = journal.batch(batch.header.batch_id).unwrap().unwrap();
    assert_eq!(
        (info.seq, info.items, info.accepted_ms),
        (seq, 10, batch.header.accepted_ms)
    );
    let state = |exporter: &str, committed, dead_lettered| BatchState {
        exporter: exporter.to_owned(),
        committed,
        dead_lettered,
    };
    assert_eq!(info.exporters, [state("a", true, 4), state("b", false, 0)]);
    // An exporter that is not configured is not waited for.
    let configured = vec!["a".to_owned(), "late".to_owned()];
    journal.set_configured(configured).await.unwrap();
    let info = journal.batch(batch.header.batch_id).unwrap().unwrap();
    assert_eq!(info.exporters, [state("a", true, 4)]);
    assert_eq!(journal.batch(Uuid::now_v7()).unwrap(), None);
}

#[tokio::test]
async fn a_cursor_of_the_host_holds_records_and_is_not_listed_with_exporters() {
    let journal = TestJournal::new(limits());
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

#[tokio::test]
async fn the_last_error_and_the_last_success_survive_reopening() {
    let mut journal = TestJournal::new(limits());
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

#[tokio::test]
async fn a_read_does_not_block_a_checkpoint_of_the_log() {
    let journal = TestJournal::new(limits());
    journal.open_cursor("a", StartFrom::Now).await.unwrap();
    journal.add(1).await;
    journal.read(Seq(0)).unwrap().unwrap();
    journal.batch(Uuid::now_v7()).unwrap();
    journal.add(1).await;
    let other = Connection::open(journal.path()).unwrap();
    let busy: i64 = other
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
        .unwrap();
    assert_eq!(busy, 0);
    assert_eq!(
        fs::metadata(journal.folder.path().join("alerts.db-wal"))
            .unwrap()
            .len(),
        0
    );
}

#[tokio::test]
async fn a_closed_journal_has_finished_earlier_commands_and_rejects_later_ones() {
    let mut journal = TestJournal::new(JournalLimits {
        max_commit_delay: Duration::from_hours(1),
        ..limits()
    });
    journal.open_cursor("a", StartFrom::Now).await.unwrap();
    let seq = journal.add(1).await;
    let committed = journal.commit("a", Commit::delivered(after(seq), 1));
    journal.close();
    committed.await.unwrap();
    assert_eq!(
        journal.append(record(1), None).await,
        Err(AppendError::Closed)
    );
    assert_eq!(
        journal.commit("a", Commit::default()).await,
        Err(CursorError::Closed)
    );
    journal.reopen();
    assert_eq!(journal.of("a").delivered, 1);
}

#[tokio::test]
async fn a_file_that_is_not_a_database_is_moved_aside() {
    let mut journal = TestJournal::new(limits());
    journal.journal = None;
    fs::write(journal.path(), vec![b'x'; 20_000]).unwrap();
    journal.reopen();
    assert_eq!(journal.add(1).await, Seq(1));
    assert_eq!(fs::read(&journal.aside()[0]).unwrap().len(), 20_000);
}

#[tokio::test]
async fn cursors_continue_after_a_damaged_file_and_their_loss_is_counted() {
    let mut journal = TestJournal::new(limits());
    journal.open_cursor("a", StartFrom::Now).await.unwrap();
    let seq = journal.add(10).await;
    journal
        .commit(
            "a",
            Commit::delivered(
                Position {
                    seq,
                    row: 4,
                    items: 4,
                },
                4,
            ),
        )
        .await
        .unwrap();
    journal.journal = None;
    damage_table(&journal.path(), "batches");
    journal.reopen();
    // The first caller meets the damage, and is served from the new file.
    journal.open_cursor("a", StartFrom::Now).await.unwrap();
    assert_eq!(journal.add(5).await, seq.next());
    assert_eq!(journal.aside().len(), 1);
    let counts = journal.of("a");
    assert_eq!(
        (counts.accepted, counts.delivered, counts.pending),
        (15, 4, 5)
    );
    assert_eq!(
        counts.dropped,
        [DroppedItems {
            limit: "damaged".to_owned(),
            items: 6
        }]
    );
    assert_eq!(journal.read(seq).unwrap().unwrap().seq, seq.next());
}

#[tokio::test]
async fn damage_that_a_reader_finds_replaces_the_file_too() {
    let mut journal = TestJournal::new(limits());
    journal.open_cursor("a", StartFrom::Now).await.unwrap();
    let seq = journal.add(10).await;
    journal.journal = None;
    damage_table(&journal.path(), "dropped");
    journal.reopen();
    // Nothing of it can be read: the high-water mark says what was lost.
    assert_eq!(journal.of("a").dropped(), 10);
    // A second report of the same damage does not replace the new file.
    assert!(journal.add(5).await > seq);
    assert_eq!(journal.aside().len(), 1);
}

#[tokio::test]
async fn records_newer_than_the_damage_are_salvaged() {
    let mut journal = TestJournal::new(limits());
    for exporter in ["behind", "ahead"] {
        journal.open_cursor(exporter, StartFrom::Now).await.unwrap();
    }
    let mut last = Seq(0);
    for _ in 0..5 {
        last = journal.add(10).await;
    }
    let place = Position {
        seq: last,
        row: 4,
        items: 4,
    };
    journal
        .commit("ahead", Commit::delivered(place, 44))
        .await
        .unwrap();
    journal.journal = None;
    lose_record(&journal.path(), 3);
    damage_table(&journal.path(), "idempotency_keys");
    journal.reopen();
    // The writer finds the damage, and runs the command in the new file.
    journal
        .append(record(1), Some("key".to_owned()))
        .await
        .unwrap();
    assert_eq!(journal.aside().len(), 1);
    let (behind, ahead) = (journal.of("behind"), journal.of("ahead"));
    assert_eq!((behind.pending, behind.dropped()), (21, 30));
    assert_eq!((ahead.pending, ahead.dropped()), (7, 0));
    assert_eq!((behind.unaccounted(), ahead.unaccounted()), (0, 0));
    assert_eq!(journal.read(Seq(1)).unwrap().unwrap().seq, Seq(4));
    let rest = Commit::delivered(Position::at(Seq(7)), 7);
    journal.commit("ahead", rest).await.unwrap();
}

#[tokio::test]
async fn impossible_numbers_are_treated_as_damage() {
    for damage in [
        "UPDATE batches SET items_before = 4",
        "UPDATE batches SET storage_id = CAST(x'ff' AS TEXT)",
    ] {
        let mut journal = TestJournal::new(limits());
        journal.open_cursor("a", StartFrom::Now).await.unwrap();
        let seq = journal.add(10).await;
        journal.journal = None;
        Connection::open(journal.path())
            .unwrap()
            .execute_batch(damage)
            .unwrap();
        journal.reopen();
        drop(journal.read(seq));
        let commit = Commit::delivered(Position::after(seq), 10);
        drop(journal.commit("a", commit).await);
        journal.add(5).await;
        assert_eq!(journal.aside().len(), 1, "{damage}");
        let counts = journal.of("a");
        assert_eq!((counts.dropped(), counts.pending), (10, 5), "{damage}");
    }
}

/// Deletes a record, which has the same effect as one that cannot be read.
pub(super) fn lose_record(path: &Path, seq: u64) {
    let file = Connection::open(path).unwrap();
    file.execute("DELETE FROM batches WHERE seq = ?1", [seq])
        .unwrap();
}

/// Overwrites the first page of a table.
pub(super) fn damage_table(path: &Path, table: &str) {
    use std::os::unix::fs::FileExt;
    let page: u64 = Connection::open(path)
        .unwrap()
        .query_row(
            "SELECT rootpage FROM sqlite_schema WHERE name = ?1",
            [table],
            |row| row.get(0),
        )
        .unwrap();
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&[0xff; PAGE_BYTES as usize], (page - 1) * PAGE_BYTES)
        .unwrap();
}

#[test]
fn a_file_of_a_newer_host_is_refused_in_one_line() {
    let mut journal = TestJournal::new(limits());
    journal.journal = None;
    Connection::open(journal.path())
        .unwrap()
        .pragma_update(None, "user_version", 4)
        .unwrap();
    let error = SqliteJournal::open(journal.folder.path(), "alerts", limits(), &HostClock::new())
        .err()
        .unwrap()
        .to_string();
    let told = "has schema version 4, this host needs 3 (run the host that wrote it, restore a copy from before with `delfin-host state restore`, or set another `state_dir`)";
    assert!(error.ends_with(told) && !error.contains('\n'), "{error}");
}

#[tokio::test]
async fn a_file_of_an_older_host_is_used_with_the_page_size_that_it_has() {
    let mut journal = TestJournal::new(limits());
    journal.open_cursor("a", StartFrom::Now).await.unwrap();
    journal.add(10).await;
    journal.journal = None;
    Connection::open(journal.path())
        .unwrap()
        .execute_batch(
            "PRAGMA user_version = 1; PRAGMA journal_mode = DELETE; PRAGMA page_size = 4096; VACUUM;",
        )
        .unwrap();
    journal.reopen();
    journal.add(5).await;
    assert_eq!(journal.of("a").pending, 15);
    let file = Connection::open(journal.path()).unwrap();
    let pragma = |name| file.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
    assert_eq!(pragma("page_size").unwrap(), 4096);
    assert_eq!(pragma("user_version").unwrap(), 3);
    let new = TestJournal::new(limits());
    let file = Connection::open(new.path()).unwrap();
    let page_bytes: u64 = file
        .pragma_query_value(None, "page_size", |row| row.get(0))
        .unwrap();
    assert_eq!(page_bytes, PAGE_BYTES);
}

#[tokio::test]
async fn a_journal_without_its_application_id_is_damaged_and_not_foreign() {
    let mut journal = TestJournal::new(limits());
    journal.open_cursor("a", StartFrom::Now).await.unwrap();
    journal.add(10).await;
    journal.journal = None;
    let file = Connection::open(journal.path()).unwrap();
    file.pragma_update(None, "application_id", 7).unwrap();
    drop(file);
    journal.reopen();
    assert_eq!((journal.of("a").pending, journal.aside().len()), (10, 1));
}

#[test]
fn a_database_of_another_program_is_refused_and_not_changed() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("alerts.db");
    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE recipes (name TEXT)")
        .unwrap();
    let before = fs::read(&path).unwrap();
    let error = SqliteJournal::open(folder.path(), "alerts", limits(), &HostClock::new())
        .err()
        .unwrap();
    assert!(
        matches!(error, OpenError::Database(DatabaseError::Foreign { .. })),
        "{error}"
    );
    assert_eq!(fs::read(&path).unwrap(), before);
}
