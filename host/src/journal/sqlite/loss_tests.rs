//! Files that are damaged, removed, replaced or unreadable: what is lost is noticed and counted.

use std::fs;
use std::os::unix::fs::{FileExt, symlink};

use tempfile::TempDir;

use super::super::conformance::{after, limits, record};
use super::super::cursor::Position;
use super::connection::PAGE_BYTES;
use super::tests::TestJournal;
use super::*;
use crate::sqlite::DatabaseError;

const WAL_HEADER: usize = 32;
const PAGE: usize = PAGE_BYTES as usize;
const FRAME: usize = 24 + PAGE;

/// Three batches of ten items. Exporter `ahead` has delivered 20 of them, `behind` none.
async fn journal() -> TestJournal {
    let journal = TestJournal::new(limits());
    for exporter in ["ahead", "behind"] {
        journal.open_cursor(exporter, StartFrom::Now).await.unwrap();
    }
    for _ in 0..3 {
        journal.add(10).await;
    }
    let delivered = Commit::delivered(after(Seq(2)), 20);
    journal.commit("ahead", delivered).await.unwrap();
    journal
}

/// The files as the end of the process would leave them.
fn files(journal: &TestJournal, names: &[&str]) -> TempDir {
    let copy = TempDir::new().unwrap();
    for name in names {
        let from = journal.path().with_file_name(name);
        fs::copy(from, copy.path().join(name)).unwrap();
    }
    copy
}

fn open(folder: &TempDir) -> SqliteJournal {
    SqliteJournal::open(folder.path(), "alerts", limits(), &HostClock::new()).unwrap()
}

fn counts(journal: &SqliteJournal, exporter: &str) -> ItemCounts {
    let counts = journal.counts(exporter).unwrap().unwrap();
    assert_eq!(counts.unaccounted(), 0, "{counts:?}");
    counts
}

#[tokio::test]
async fn what_a_break_in_the_log_hides_is_counted() {
    let journal = journal().await;
    let names = ["alerts.db", "alerts.db-wal", "alerts.mark"];
    let log = fs::read(journal.path().with_file_name(names[1])).unwrap();
    let breaks = (0..(log.len() - WAL_HEADER) / FRAME).map(|frame| WAL_HEADER + frame * FRAME);
    let mut losses = Vec::new();
    for offset in [0].into_iter().chain(breaks) {
        let left = files(&journal, &names);
        let mut damaged = log.clone();
        damaged[offset + 16] ^= 1;
        fs::write(left.path().join(names[1]), damaged).unwrap();
        let opened = open(&left);
        let (ahead, behind) = (counts(&opened, "ahead"), counts(&opened, "behind"));
        assert_eq!(behind.pending.cast_unsigned() + behind.dropped(), 30);
        // The cursor may be back before what was delivered, but no pending item is forgotten.
        assert!(ahead.pending.cast_unsigned() + ahead.dropped() >= 10);
        assert!(ahead.dropped() <= 10);
        let next = opened.append(record(1), None).await.unwrap();
        assert_eq!(next.seq, Seq(4), "a sequence number was used twice");
        losses.push(behind.dropped());
        assert_eq!(opened.stats().unwrap().lost, behind.dropped());
        // The loss is counted once.
        drop(opened);
        assert_eq!(counts(&open(&left), "behind").dropped(), behind.dropped());
    }
    for lost in [0, 10, 20, 30] {
        assert!(losses.contains(&lost), "{losses:?}");
    }
}

#[tokio::test]
async fn a_missing_file_is_a_counted_loss_and_not_a_first_start() {
    let journal = journal().await;
    let left = files(&journal, &["alerts.mark"]);
    let opened = open(&left);
    assert_eq!(counts(&opened, "ahead").dropped(), 10);
    assert_eq!(counts(&opened, "behind").dropped(), 30);
    let cursor = opened.open_cursor("behind", StartFrom::Earliest).await;
    assert_eq!(cursor.unwrap().next, Position::at(Seq(4)));
    let next = opened.append(record(1), None).await.unwrap();
    assert_eq!(next.seq, Seq(4));
    assert_eq!(counts(&opened, "behind").pending, 1);
}

#[tokio::test]
async fn a_loss_is_counted_also_without_exporters() {
    let journal = TestJournal::new(limits());
    for _ in 0..3 {
        journal.add(10).await;
    }
    let names = ["alerts.db", "alerts.db-wal", "alerts.mark"];
    let lost = |left: &TempDir| open(left).stats().unwrap().lost;
    assert_eq!(lost(&files(&journal, &names)), 0);
    assert_eq!(lost(&files(&journal, &names[2..])), 30);
    let left = files(&journal, &names);
    fs::write(left.path().join("alerts.db"), [b'x'; 9000]).unwrap();
    fs::write(left.path().join("alerts.db-wal"), [b'x'; 9000]).unwrap();
    assert_eq!(lost(&left), 30);
}

#[tokio::test]
async fn an_older_file_is_a_counted_loss_too() {
    let journal = TestJournal::new(limits());
    journal.open_cursor("a", StartFrom::Now).await.unwrap();
    let older = files(&journal, &["alerts.db", "alerts.db-wal"]);
    journal.add(10).await;
    fs::copy(
        journal.path().with_extension("mark"),
        older.path().join("alerts.mark"),
    )
    .unwrap();
    assert_eq!(counts(&open(&older), "a").dropped(), 10);
}

#[tokio::test]
async fn no_batch_is_acknowledged_while_a_file_is_removed_or_replaced() {
    for (name, replaced) in [
        ("alerts.db", false),
        ("alerts.db", true),
        ("alerts.db-wal", false),
        ("alerts.db-wal", true),
    ] {
        let journal = journal().await;
        let path = journal.path().with_file_name(name);
        let away = path.with_extension("away");
        fs::rename(&path, &away).unwrap();
        if replaced {
            fs::copy(&away, &path).unwrap();
        }
        let refused = journal.append(record(1), None).await;
        assert!(
            matches!(refused, Err(AppendError::Unavailable { .. })),
            "{refused:?}"
        );
        let fault = journal.stats().unwrap().fault.unwrap();
        assert!(
            fault.contains(name) && fault.contains("removed or replaced"),
            "{fault}"
        );
        // What was accepted is still delivered.
        assert_eq!(journal.read(Seq(3)).unwrap().unwrap().seq, Seq(3));
        let delivered = Commit::delivered(after(Seq(3)), 10);
        journal.commit("ahead", delivered).await.unwrap();
        fs::rename(&away, &path).unwrap();
        journal.add(5).await;
        assert_eq!(journal.stats().unwrap().fault, None);
    }
}

#[tokio::test]
async fn no_batch_is_acknowledged_after_a_file_was_cut_off() {
    for name in ["alerts.db", "alerts.db-wal"] {
        let journal = journal().await;
        let path = journal.path().with_file_name(name);
        let length = fs::metadata(&path).unwrap().len();
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(length / 2).unwrap();
        // A file that is as long as before has another content, so it is refused too.
        for length in [length / 2, length] {
            file.set_len(length).unwrap();
            let refused = journal.append(record(1), None).await;
            let Err(AppendError::Unavailable { reason }) = refused else {
                panic!("{refused:?}");
            };
            assert!(
                reason.contains(name) && reason.contains("cut off"),
                "{reason}"
            );
        }
    }
}

/// Writes over a file, as long as before, until the clock of the file system has gone on.
fn overwrite(path: &Path, content: &[u8]) {
    let written = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
    let before = written(path);
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    while written(path) == before {
        file.write_all_at(content, 0).unwrap();
    }
}

#[tokio::test]
async fn no_batch_is_acknowledged_into_a_file_that_was_overwritten_and_the_loss_is_counted() {
    for name in ["alerts.db", "alerts.db-wal"] {
        for is_older in [true, false] {
            let journal = journal().await;
            let path = journal.path().with_file_name(name);
            let mut content = fs::read(&path).unwrap();
            if is_older {
                journal.add(5).await;
                content.resize(content.len() - content.len() / 3, 0);
            } else {
                content.fill(b'x');
            }
            overwrite(&path, &content);
            let refused = journal.append(record(1), None).await;
            let Err(AppendError::Unavailable { reason }) = refused else {
                panic!("{refused:?}");
            };
            assert!(
                reason.contains(name) && reason.contains("changed by another program"),
                "{reason}"
            );
            // It is used again when it was opened and compared with its mark.
            let next = loop {
                match journal.append(record(1), None).await {
                    Err(AppendError::Unavailable { .. }) => tokio::task::yield_now().await,
                    appended => break appended.unwrap().seq,
                }
            };
            let items = if is_older { 35 } else { 30 };
            assert_eq!(next, if is_older { Seq(5) } else { Seq(4) });
            let behind = journal.of("behind");
            assert_eq!(behind.pending.cast_unsigned() + behind.dropped(), items + 1);
            assert_eq!(journal.stats().unwrap().lost, behind.dropped());
            assert_eq!(journal.stats().unwrap().fault, None);
        }
    }
}

#[tokio::test]
async fn a_file_that_was_touched_is_used_again_and_nothing_is_lost() {
    let journal = journal().await;
    let content = fs::read(journal.path()).unwrap();
    overwrite(&journal.path(), &content);
    journal.append(record(1), None).await.unwrap_err();
    while journal.append(record(1), None).await.is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(journal.of("behind").pending, 31);
}

#[tokio::test]
async fn a_reader_does_not_open_a_file_that_replaced_the_open_one() {
    let names = ["alerts.db", "alerts.db-wal", "alerts.mark"];
    let folder = files(&journal().await, &names);
    let journal = open(&folder);
    journal.shared.readers.close_idle();
    let path = folder.path().join(names[0]);
    fs::rename(&path, path.with_extension("away")).unwrap();
    fs::write(&path, "another file").unwrap();
    let ReadError::Unavailable { reason } = journal.read(Seq(1)).unwrap_err();
    assert!(reason.contains("was removed or replaced"), "{reason}");
}

#[tokio::test]
async fn damage_is_not_believed_while_the_disk_cannot_read_the_file() {
    let mut journal = journal().await;
    journal.journal = None;
    let path = journal.path();
    fs::write(&path, vec![b'x'; 20_000]).unwrap();
    // The kernel answers a read of its first page with EIO.
    symlink("/proc/self/mem", path.with_file_name("alerts.db-wal")).unwrap();
    let refused = SqliteJournal::open(
        path.parent().unwrap(),
        "alerts",
        limits(),
        &HostClock::new(),
    );
    assert!(
        matches!(
            refused,
            Err(OpenError::Database(DatabaseError::Unreadable { .. }))
        ),
        "{:?}",
        refused.err()
    );
    assert_eq!(journal.aside(), Vec::<PathBuf>::new());
    fs::remove_file(path.with_file_name("alerts.db-wal")).unwrap();
    journal.reopen();
    assert_eq!(journal.aside().len(), 1);
    assert_eq!(journal.of("behind").dropped(), 30);
}

#[tokio::test]
async fn a_replacement_that_a_kill_interrupted_is_finished() {
    let mut journal = journal().await;
    journal.journal = None;
    fs::rename(journal.path(), journal.path().with_extension("db.new")).unwrap();
    journal.reopen();
    let counts = journal.of("behind");
    assert_eq!((counts.pending, counts.dropped()), (30, 0));
}

/// Exchanges two pages of a table: each is whole, and in the wrong place.
fn swap_pages(path: &Path, table: &str) {
    let root: usize = Connection::open(path)
        .unwrap()
        .query_row(
            "SELECT rootpage FROM sqlite_schema WHERE name = ?1",
            [table],
            |row| row.get(0),
        )
        .unwrap();
    let mut file = fs::read(path).unwrap();
    let number = |at: usize, bytes: usize| {
        let bytes = file[at..at + bytes].iter();
        bytes.fold(0, |number, byte| number << 8 | usize::from(*byte))
    };
    let page = (root - 1) * PAGE;
    assert_eq!(file[page], 5, "the table has one page only");
    let child = |cell: usize| (number(page + number(page + 12 + 2 * cell, 2), 4) - 1) * PAGE;
    let (one, other) = (child(1), child(2));
    for at in 0..PAGE {
        file.swap(one + at, other + at);
    }
    fs::write(path, file).unwrap();
}

#[tokio::test]
async fn swapped_pages_are_found_by_the_check_and_what_is_lost_is_counted() {
    let mut journal = TestJournal::new(limits());
    journal.open_cursor("a", StartFrom::Now).await.unwrap();
    for _ in 0..40 {
        journal.add(10).await;
    }
    journal.verify().unwrap();
    assert_eq!(journal.aside(), Vec::<PathBuf>::new());
    journal.journal = None;
    swap_pages(&journal.path(), "batches");
    journal.reopen();
    journal.verify().unwrap();
    assert_eq!(journal.aside().len(), 1);
    let counts = journal.of("a");
    assert_eq!(counts.pending.cast_unsigned() + counts.dropped(), 400);
    assert!(counts.dropped() > 0 && counts.pending > 0, "{counts:?}");
}
