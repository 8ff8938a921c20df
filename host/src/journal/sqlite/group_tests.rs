//! Records that are stored together: each is a record of its own for everybody who reads.

use std::fs;

use delfin_plugin_api::{Batch, Kind, sample};
use rusqlite::Connection;
use tempfile::TempDir;

use super::super::conformance::{after, limits, record};
use super::super::record::ReadLimit;
use super::tests::{TestJournal, damage_table, lose_record};
use super::*;
use crate::batch::codec::{RecordPayload, SmallBatch};

const RECORDS: u64 = 10;

/// A small batch with so many items, as it comes to the journal.
fn small(items: u64) -> NewRecord {
    let rows = sample::performance(1, usize::try_from(items).unwrap());
    NewRecord {
        payload: RecordPayload::Rows(SmallBatch::new(rows.as_arrow()).unwrap()),
        rows: 1,
        ..record(items)
    }
}

/// Whether a payload has the rows of a small batch.
fn has_rows(payload: &RecordPayload, items: u64) -> bool {
    let wanted = small(items).payload.decode().unwrap();
    payload.decode().is_ok_and(|rows| rows == wanted)
}

impl TestJournal {
    /// Appends records in one or two transactions, with 1, 2, 3, … items.
    async fn append_together(&self, records: u64) {
        // While another connection locks the file, commands collect behind the first group.
        let blocker = Connection::open(self.path()).unwrap();
        blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
        let appends = (1..=records).map(|items| self.append(small(items), None));
        let appends: Vec<_> = appends.collect();
        blocker.execute_batch("ROLLBACK").unwrap();
        for append in appends {
            append.await.unwrap();
        }
    }

    /// A cursor `a`, and records, most of them stored with others.
    async fn with_groups() -> Self {
        let journal = Self::new(limits());
        journal.open_cursor("a", StartFrom::Now).await.unwrap();
        journal.append_together(RECORDS).await;
        let file = Connection::open(journal.path()).unwrap();
        let count = "SELECT count(*) FROM batches WHERE length(payload) = 0";
        let without: u64 = file.query_row(count, [], |row| row.get(0)).unwrap();
        assert!(without >= RECORDS - 2, "{without}");
        journal
    }

    fn assert_has(&self, first: u64) {
        for seq in 0..=RECORDS {
            let found = self.read(Seq(seq)).unwrap();
            let wanted = (seq.max(first) <= RECORDS).then(|| seq.max(first));
            assert_eq!(found.as_ref().map(|record| record.seq.0), wanted);
            if let Some(record) = found {
                assert!(has_rows(&record.payload, record.seq.0));
            }
        }
    }
}

#[tokio::test]
async fn each_record_of_a_group_is_read_with_and_without_the_others() {
    let mut journal = TestJournal::with_groups().await;
    for _ in 0..2 {
        journal.assert_has(1);
        for (from, records) in [(1, 3), (4, 1), (3, 100), (10, 2)] {
            let bytes = usize::MAX;
            let limit = ReadLimit { records, bytes };
            let found = journal.read_many(Seq(from), limit).unwrap();
            assert_eq!(found.len() as u64, (11 - from).min(records.into()));
            for (record, seq) in found.iter().zip(from..) {
                assert!(has_rows(&record.payload, seq));
            }
        }
        let back = journal.read_back(Seq(2)..=Seq(5), "array-1").unwrap();
        assert!(has_rows(&back.unwrap().payload, 5));
        journal.reopen();
    }
}

#[tokio::test]
async fn the_records_of_a_group_are_deleted_one_by_one() {
    let journal = TestJournal::with_groups().await;
    let (all, room) = (journal.stats().unwrap(), small(1).payload.bytes());
    assert!(all.bytes < RECORDS * room / 2, "{all:?}");
    for seq in 1..=RECORDS {
        let commit = Commit::delivered(after(Seq(seq)), seq);
        journal.commit("a", commit).await.unwrap();
        journal.assert_has(seq + 1);
        let left: u64 = (seq + 1..=RECORDS).sum();
        assert_eq!(journal.of("a").pending, left.cast_signed());
    }
    assert_eq!(journal.stats().unwrap().bytes, 0);
}

#[tokio::test]
async fn a_key_or_a_batch_that_comes_twice_in_a_group_is_stored_once() {
    let journal = TestJournal::new(limits());
    let blocker = Connection::open(journal.path()).unwrap();
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    let batch = small(4);
    let appends = [
        journal.append(small(1), None),
        journal.append(small(2), Some("key".to_owned())),
        journal.append(small(3), Some("key".to_owned())),
        journal.append(batch.clone(), None),
        journal.append(batch.clone(), None),
        journal.append(record(5), None),
        journal.append(small(6), None),
    ];
    blocker.execute_batch("ROLLBACK").unwrap();
    let mut seqs = Vec::new();
    for append in appends {
        seqs.push(append.await.unwrap().seq.0);
    }
    assert_eq!(seqs, [1, 2, 2, 3, 3, 4, 5]);
    let all = ReadLimit {
        records: 100,
        bytes: usize::MAX,
    };
    let found = journal.read_many(Seq(0), all).unwrap();
    let items: Vec<_> = found.iter().map(|record| record.header.items).collect();
    assert_eq!(items, [1, 2, 4, 5, 6]);
    for found in found {
        let is_same = match found.header.items {
            5 => found.payload == record(5).payload,
            items => has_rows(&found.payload, items),
        };
        assert!(is_same, "{}", found.seq);
    }
}

#[tokio::test]
async fn records_of_a_group_that_are_newer_than_the_damage_are_salvaged() {
    let mut journal = TestJournal::with_groups().await;
    journal.journal = None;
    lose_record(&journal.path(), 4);
    damage_table(&journal.path(), "idempotency_keys");
    journal.reopen();
    journal
        .append(record(1), Some("key".to_owned()))
        .await
        .unwrap();
    assert_eq!(journal.aside().len(), 1);
    for seq in 5..=RECORDS {
        let found = journal.read(Seq(seq)).unwrap().unwrap();
        assert!(found.seq.0 == seq && has_rows(&found.payload, seq));
    }
    let counts = journal.of("a");
    assert_eq!((counts.dropped(), counts.pending), (10, 45 + 1));
}

#[tokio::test]
async fn a_damaged_group_is_an_error_for_each_of_its_records() {
    for damage in [
        "zeroblob(bytes)",
        "x'04'",
        "x'05'",
        "substr(payload, 1, bytes - 3)",
    ] {
        let mut journal = TestJournal::with_groups().await;
        journal.journal = None;
        let path = journal.path();
        let faults = || JournalCheck::of(&path, Kind::Performance, &|_| {}).unwrap();
        let sound = faults();
        assert_eq!((sound.records, sound.faults.len()), (RECORDS, 0));
        let file = Connection::open(&path).unwrap();
        let groups = format!("UPDATE batches SET payload = {damage} WHERE length(payload) > 0");
        file.execute(&groups, []).unwrap();
        drop(file);
        let found = faults();
        let named = found.faults.join("\n");
        for seq in 1..=RECORDS {
            assert!(named.contains(&format!("record {seq}: ")), "{named}");
        }
        journal.reopen();
        for seq in 1..=RECORDS {
            let found = journal.read(Seq(seq)).unwrap().unwrap();
            assert_eq!(found.seq.0, seq);
            found.payload.decode().unwrap_err();
        }
    }
}

/// With any part of the log on the disk, the records that exist are whole.
#[tokio::test]
async fn a_log_that_ends_anywhere_has_groups_that_are_whole() {
    let journal = TestJournal::with_groups().await;
    let log_of = |path: &Path| path.with_extension("db-wal");
    let log_bytes = fs::metadata(log_of(&journal.path())).unwrap().len();
    let mut found = Vec::new();
    for len in (0..log_bytes).step_by(512).chain([log_bytes]) {
        let left = TempDir::new().unwrap();
        let path = left.path().join("alerts.db");
        fs::copy(journal.path(), &path).unwrap();
        fs::copy(log_of(&journal.path()), log_of(&path)).unwrap();
        let log = fs::OpenOptions::new().write(true).open(log_of(&path));
        log.unwrap().set_len(len).unwrap();
        let journal =
            SqliteJournal::open(left.path(), "alerts", limits(), &HostClock::new()).unwrap();
        let head = journal.head().borrow().0;
        for seq in 1..=head {
            let record = journal.read(Seq(seq)).unwrap().unwrap();
            assert!(has_rows(&record.payload, seq));
        }
        found.push(head);
    }
    assert!(found.is_sorted(), "{found:?}");
    assert_eq!((found.first(), found.last()), (Some(&0), Some(&RECORDS)));
}
