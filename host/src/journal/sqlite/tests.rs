//! What is special to a journal in an SQLite file, and the tests of every journal.

use std::fs;

use rusqlite::Connection;
use tempfile::TempDir;

use super::super::DroppedItems;
use super::super::conformance::{
    Medium, Subject, add_dead_letters, after, journal_conformance, limits, record,
};
use super::super::cursor::Position;
use super::connection::PAGE_BYTES;
use super::*;
use crate::sqlite::DatabaseError;

const JOURNAL_NAME: &str = "alerts";

struct SqliteMedium {
    folder: TempDir,
}

impl Medium for SqliteMedium {
    fn open(&self, limits: JournalLimits) -> Arc<dyn Journal> {
        let clock = HostClock::new();
        Arc::new(SqliteJournal::open(self.folder.path(), JOURNAL_NAME, limits, &clock).unwrap())
    }

    fn after_crash(&self) -> Box<dyn Medium> {
        let left = TempDir::new().unwrap();
        for name in ["alerts.db", "alerts.db-wal"] {
            fs::copy(self.folder.path().join(name), left.path().join(name)).unwrap();
        }
        Box::new(Self { folder: left })
    }
}

fn new_medium() -> Box<dyn Medium> {
    let folder = TempDir::new().unwrap();
    Box::new(SqliteMedium { folder })
}

journal_conformance!(new_medium, true, 48);

/// A journal in a folder of its own, whose file can be damaged.
pub(super) struct TestJournal {
    subject: Subject,
    folder: PathBuf,
}

impl TestJournal {
    pub(super) fn new(limits: JournalLimits) -> Self {
        let medium = SqliteMedium {
            folder: TempDir::new().unwrap(),
        };
        Self {
            folder: medium.folder.path().to_path_buf(),
            subject: Subject::on(Box::new(medium), limits),
        }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.join("alerts.db")
    }

    /// The names of damaged files that were moved aside.
    pub(super) fn aside(&self) -> Vec<PathBuf> {
        let names = fs::read_dir(&self.folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        names
            .filter(|path| path.to_string_lossy().contains(".db.corrupt-"))
            .collect()
    }
}

impl std::ops::Deref for TestJournal {
    type Target = Subject;

    fn deref(&self) -> &Subject {
        &self.subject
    }
}

impl std::ops::DerefMut for TestJournal {
    fn deref_mut(&mut self) -> &mut Subject {
        &mut self.subject
    }
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
        payload: vec![0; 100_000].into(),
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
        fs::metadata(journal.folder.join("alerts.db-wal"))
            .unwrap()
            .len(),
        0
    );
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
async fn until_when_storages_are_collected_is_salvaged_if_it_can_be_read() {
    for (damaged, left) in [("idempotency_keys", Some(7)), ("collected_windows", None)] {
        let mut journal = TestJournal::new(limits());
        journal.open_cursor("a", StartFrom::Now).await.unwrap();
        let collected = NewRecord {
            collected_until_ms: Some(7),
            ..record(10)
        };
        journal.append(collected, None).await.unwrap();
        journal.journal = None;
        damage_table(&journal.path(), damaged);
        journal.reopen();
        let key = Some("key".to_owned());
        journal.append(record(1), key).await.unwrap();
        assert_eq!(
            journal.collected_until("array-1").unwrap(),
            left,
            "{damaged}"
        );
        assert_eq!(journal.aside().len(), 1, "{damaged}");
        assert_eq!(journal.of("a").pending, 11, "{damaged}");
    }
}

#[tokio::test]
async fn dead_letters_in_replay_stay_pending_when_the_file_is_damaged() {
    let mut journal = TestJournal::new(limits());
    add_dead_letters(&**journal).await;
    journal.add(4).await;
    let second = DeadLetterFilter {
        ids: vec![DeadLetterId(2)],
        ..DeadLetterFilter::default()
    };
    journal.replay_dead_letters(&second).await.unwrap();
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

#[tokio::test]
async fn counts_that_do_not_add_up_are_damage_and_begin_again() {
    let max = i64::MAX;
    for damage in [
        "UPDATE cursors SET delivered = 7000".to_owned(),
        "UPDATE cursors SET delivered = 1".to_owned(),
        "UPDATE cursors SET filtered = -1".to_owned(),
        "UPDATE cursors SET start_items = 9".to_owned(),
        "UPDATE cursors SET replayed_items = 5".to_owned(),
        "UPDATE cursors SET next_items = 3".to_owned(),
        "UPDATE cursors SET next_row = 6".to_owned(),
        format!("UPDATE cursors SET delivered = {max}, dead_lettered = {max}, filtered = {max}"),
    ] {
        let mut journal = TestJournal::new(limits());
        journal.open_cursor("a", StartFrom::Now).await.unwrap();
        let seq = journal.add(10).await;
        let delivered = Commit::delivered(Position::after(seq), 10);
        journal.commit("a", delivered).await.unwrap();
        journal.add(5).await;
        journal.journal = None;
        let file = Connection::open(journal.path()).unwrap();
        file.execute_batch(&damage).unwrap();
        drop(file);
        // The second time, they add up.
        for _ in 0..2 {
            journal.journal = None;
            journal.reopen();
            assert_eq!(journal.aside().len(), 1, "{damage}");
            let counts = journal.of("a");
            assert_eq!((counts.pending, counts.dropped()), (5, 0), "{damage}");
            assert_eq!(counts.unaccounted(), 0, "{damage}");
        }
        let rest = Commit::delivered(Position::after(seq.next()), 5);
        journal.commit("a", rest).await.unwrap();
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
        .pragma_update(None, "user_version", 6)
        .unwrap();
    let error = SqliteJournal::open(
        journal.folder.as_path(),
        "alerts",
        limits(),
        &HostClock::new(),
    )
    .err()
    .unwrap()
    .to_string();
    let told = "has schema version 6, this host needs 5 (run the host that wrote it, restore a copy from before with `delfin-host state restore`, or set another `state_dir`)";
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
            "DROP TABLE collected_windows; PRAGMA user_version = 1; PRAGMA journal_mode = DELETE; PRAGMA page_size = 4096; VACUUM;",
        )
        .unwrap();
    journal.reopen();
    journal.add(5).await;
    assert_eq!(journal.of("a").pending, 15);
    let file = Connection::open(journal.path()).unwrap();
    let pragma = |name| file.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
    assert_eq!(pragma("page_size").unwrap(), 4096);
    assert_eq!(pragma("user_version").unwrap(), 5);
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
