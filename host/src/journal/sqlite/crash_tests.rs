//! A journal after a crash at any point: whatever had reached the disk by then, it
//! opens, and holds all that was acknowledged.

use std::fs;
use std::path::{Path, PathBuf};

use delfin_plugin_api::Origin;
use proptest::prelude::*;
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

use crate::batch::Header;

use super::super::cursor::{DeadLetter, Position};
use super::super::dead_letters::{DeadLetterCommit, DeadLetterDisposition};
use super::*;
use crate::clock::now_ms;

const EXPORTERS: [&str; 2] = ["a", "b"];
const ITEMS: u64 = 3;
const WAL_HEADER: u64 = 32;
const FRAME_HEADER: u64 = 24;

#[derive(Clone, Copy, Debug)]
enum Step {
    Append,
    /// Delivers the next record, and prunes it if that was the last exporter.
    Deliver(usize),
    /// Gives one up.
    GiveUp(usize),
    ReplayLetters,
    /// Ends the replay of a letter, with a delivery or without one.
    SettleLetter(usize, bool),
    Replay(usize),
    Purge,
}

/// What callers had been told at some point of the log.
#[derive(Clone, Debug, Default)]
struct Told {
    /// How much of the log was there.
    log_bytes: u64,
    appended: u64,
    next: [u64; 2],
    counts: [ItemCounts; 2],
    letters: Vec<StoredDeadLetter>,
}

struct Host {
    runtime: Runtime,
    folder: TempDir,
    journal: SqliteJournal,
}

impl Host {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let host = Self {
            runtime: Builder::new_current_thread().build().unwrap(),
            journal: open(folder.path()),
            folder,
        };
        for exporter in EXPORTERS {
            host.wait(host.journal.open_cursor(exporter, StartFrom::Now))
                .unwrap();
        }
        host
    }

    fn wait<T, E>(&self, change: Durable<T, E>) -> Result<T, E> {
        self.runtime.block_on(change)
    }

    fn take(&self, step: Step) {
        let next = |exporter: usize| {
            let cursors = self.journal.cursors().unwrap();
            (EXPORTERS[exporter], cursors[exporter].next)
        };
        let all = DeadLetterFilter::default();
        let commit = match step {
            Step::Append => {
                self.wait(self.journal.append(record(), None)).unwrap();
                None
            }
            Step::ReplayLetters => {
                self.wait(self.journal.replay_dead_letters(&all)).unwrap();
                None
            }
            Step::Purge => {
                self.wait(self.journal.purge_dead_letters(&all)).unwrap();
                None
            }
            Step::Replay(exporter) => {
                self.wait(self.journal.replay(EXPORTERS[exporter], 0))
                    .unwrap();
                None
            }
            Step::Deliver(exporter) => {
                let (exporter, next) = next(exporter);
                let there = self.journal.read(next.seq).unwrap();
                let through = there.map(|entry| Position::after(entry.seq));
                through.map(|through| (exporter, Commit::delivered(through, ITEMS)))
            }
            Step::GiveUp(exporter) => {
                let (exporter, next) = next(exporter);
                let there = self.journal.read(next.seq).unwrap();
                there.map(|entry| (exporter, given_up(&entry)))
            }
            Step::SettleLetter(exporter, delivered) => {
                let (exporter, next) = next(exporter);
                let letter = self
                    .journal
                    .next_replayed_dead_letter(exporter, DeadLetterId(0))
                    .unwrap();
                letter.map(|letter| (exporter, replayed(next, letter.id, delivered)))
            }
        };
        if let Some((exporter, commit)) = commit {
            self.wait(self.journal.commit(exporter, commit)).unwrap();
        }
    }

    /// What callers know, with the files as they were at that moment.
    fn told(&self) -> Told {
        Told {
            log_bytes: fs::metadata(log_of(self.folder.path())).unwrap().len(),
            ..told_by(&self.journal)
        }
    }

    /// The files as a crash would leave them, nothing being written meanwhile.
    fn files(&self) -> TempDir {
        let blocker = Connection::open(self.folder.path().join("alerts.db")).unwrap();
        blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
        let left = TempDir::new().unwrap();
        for name in ["alerts.db", "alerts.db-wal"] {
            fs::copy(self.folder.path().join(name), left.path().join(name)).unwrap();
        }
        left
    }
}

fn open(folder: &Path) -> SqliteJournal {
    let limits = JournalLimits::unlimited();
    SqliteJournal::open(folder, "alerts", limits).unwrap()
}

fn told_by(journal: &SqliteJournal) -> Told {
    let cursors = journal.cursors().unwrap();
    let of = |exporter| journal.counts(exporter).unwrap().unwrap();
    Told {
        log_bytes: 0,
        appended: journal.head().borrow().0,
        next: [cursors[0].next.seq.0, cursors[1].next.seq.0],
        counts: EXPORTERS.map(of),
        letters: journal.dead_letters(&DeadLetterFilter::default()).unwrap(),
    }
}

fn log_of(folder: &Path) -> PathBuf {
    folder.join("alerts.db-wal")
}

fn record() -> NewRecord {
    NewRecord {
        header: Header {
            batch_id: Uuid::now_v7(),
            origin: Origin::Ingest,
            storage_id: None,
            complete: false,
            accepted_ms: now_ms(),
            items: ITEMS,
        },
        rows: ITEMS,
        payload: vec![7; 5000],
    }
}

fn given_up(entry: &Record) -> Commit {
    let letter = DeadLetter {
        plugin_version: "1.0.0".to_owned(),
        header: entry.header.for_part(ITEMS),
        seq: entry.seq,
        first_row: 0,
        rows: ITEMS,
        code: 1,
        reason: "no".to_owned(),
        attempts: 1,
        first_ms: 0,
        last_ms: 0,
        payload: entry.payload.clone(),
    };
    Commit {
        through: Position::after(entry.seq),
        dead_letters: vec![letter],
        ..Commit::default()
    }
}

fn replayed(through: Position, id: DeadLetterId, delivered: bool) -> Commit {
    let dead_again = DeadLetterDisposition::DeadLettered {
        code: 2,
        reason: "again".to_owned(),
        plugin_version: "1.0.1".to_owned(),
        attempts: 2,
        last_ms: 1,
    };
    let disposition = if delivered {
        DeadLetterDisposition::Delivered
    } else {
        dead_again
    };
    Commit {
        through,
        replayed: vec![DeadLetterCommit { id, disposition }],
        ..Commit::default()
    }
}

/// Opens what a crash left, and compares it with what had been told by then.
fn check(left: &Path, last: &Told, coming: Option<&Told>) {
    let journal = open(left);
    let found = told_by(&journal);
    // What was under way may be there too, but whole or not at all.
    let is = |told: &Told| {
        (found.appended, found.next, &found.counts) == (told.appended, told.next, &told.counts)
            && found.letters == told.letters
    };
    assert!(
        is(last) || coming.is_some_and(is),
        "{found:?} after {last:?}"
    );
    for (counts, next) in found.counts.iter().zip(found.next) {
        assert_eq!(counts.unaccounted(), 0, "{counts:?}");
        for seq in next..=last.appended {
            let held = journal.read(Seq(seq)).unwrap().map(|entry| entry.seq.0);
            assert_eq!(held, Some(seq), "an acknowledged record is gone");
        }
    }
    for letter in &found.letters {
        let payload = journal
            .dead_letter(letter.id)
            .unwrap()
            .unwrap()
            .dead_letter
            .payload;
        assert_eq!(payload.len(), 5000);
    }
    let runtime = Builder::new_current_thread().build().unwrap();
    let receipt = runtime.block_on(journal.append(record(), None)).unwrap();
    assert_eq!(
        receipt.seq.0,
        found.appended + 1,
        "a number was given twice"
    );
}

/// Where a log may be torn: at the end of each frame, inside its head and inside its page.
fn tears(log: &Path) -> Vec<u64> {
    let bytes = fs::read(log).unwrap();
    let page = u64::from(u32::from_be_bytes(bytes[8..12].try_into().unwrap()));
    let frames = (bytes.len() as u64 - WAL_HEADER) / (FRAME_HEADER + page);
    let starts = (0..=frames).map(|frame| WAL_HEADER + frame * (FRAME_HEADER + page));
    starts
        .flat_map(|start| {
            [
                start,
                start + FRAME_HEADER / 2,
                start + FRAME_HEADER + page / 2,
            ]
        })
        .filter(|tear| *tear <= bytes.len() as u64)
        .collect()
}

fn tear(files: &Path, log_bytes: u64) -> TempDir {
    let left = TempDir::new().unwrap();
    for name in ["alerts.db", "alerts.db-wal"] {
        fs::copy(files.join(name), left.path().join(name)).unwrap();
    }
    let log = fs::OpenOptions::new().write(true).open(log_of(left.path()));
    log.unwrap().set_len(log_bytes).unwrap();
    left
}

#[test]
fn a_log_torn_anywhere_holds_all_that_was_acknowledged_before() {
    let host = Host::start();
    let steps = [
        Step::Append,
        Step::Append,
        Step::Deliver(0),
        Step::GiveUp(1),
        Step::ReplayLetters,
        Step::SettleLetter(1, false),
        Step::Append,
        Step::Deliver(1),
        Step::GiveUp(0),
        Step::Deliver(0),
        Step::Replay(0),
        Step::ReplayLetters,
        Step::SettleLetter(1, true),
        Step::Deliver(0),
        Step::SettleLetter(0, false),
        Step::Deliver(1),
        Step::Purge,
        Step::Append,
    ];
    let mut told = vec![host.told()];
    for step in steps {
        host.take(step);
        told.push(host.told());
    }
    let files = host.files();
    let tears = tears(&log_of(files.path()));
    assert!(tears.len() > 3 * steps.len(), "the log was checkpointed");
    for log_bytes in tears.into_iter().filter(|tear| *tear >= told[0].log_bytes) {
        let known = told.partition_point(|told| told.log_bytes <= log_bytes);
        let left = tear(files.path(), log_bytes);
        check(left.path(), &told[known - 1], told.get(known));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: delfin_tests::soak(12), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_crash_between_any_two_changes_loses_and_repeats_nothing(
        steps in proptest::collection::vec(step(), 1..24),
    ) {
        let host = Host::start();
        for step in steps {
            host.take(step);
            let left = host.files();
            check(left.path(), &host.told(), None);
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Append),
        3 => (0..2_usize).prop_map(Step::Deliver),
        2 => (0..2_usize).prop_map(Step::GiveUp),
        1 => Just(Step::ReplayLetters),
        2 => (0..2_usize, any::<bool>()).prop_map(|(exporter, delivered)| Step::SettleLetter(exporter, delivered)),
        1 => (0..2_usize).prop_map(Step::Replay),
        1 => Just(Step::Purge),
    ]
}
