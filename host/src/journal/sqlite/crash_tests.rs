//! A journal after a crash at any point: with any part of the log on the disk, it opens and
//! holds everything that was acknowledged.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};

use delfin_plugin_api::Origin;
use proptest::prelude::*;
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

use crate::batch::Header;

use super::super::cursor::Position;
use super::super::dead_letters::{DeadLetter, DeadLetterCommit, DeadLetterDisposition};
use super::*;
use crate::clock::now_ms;

const EXPORTERS: [&str; 2] = ["a", "b"];
const STORAGE: &str = "one";
const ITEMS: u64 = 3;
const WAL_HEADER: u64 = 32;
const FRAME_HEADER: u64 = 24;

#[derive(Clone, Copy, Debug)]
enum Step {
    Append,
    /// Delivers the next record, and prunes it if that was the last exporter.
    Deliver(usize),
    /// Makes the next record a dead dead_letter.
    Reject(usize),
    ReplayDeadLetters,
    /// Ends the replay of a dead dead_letter: whether it was delivered.
    CommitDeadLetter(usize, bool),
    Replay(usize),
    Purge,
}

/// What callers knew at some point of the log.
#[derive(Clone, Debug, Default)]
struct Acknowledged {
    /// Size of the log.
    log_bytes: u64,
    appended: u64,
    collected_until_ms: Option<i64>,
    next: [u64; 2],
    counts: [ItemCounts; 2],
    dead_letters: Vec<StoredDeadLetter>,
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

    fn run(&self, step: Step) {
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
            Step::ReplayDeadLetters => {
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
                let record = self.journal.read(next.seq).unwrap();
                let through = record.map(|record| Position::after(record.seq));
                through.map(|through| (exporter, Commit::delivered(through, ITEMS)))
            }
            Step::Reject(exporter) => {
                let (exporter, next) = next(exporter);
                let record = self.journal.read(next.seq).unwrap();
                record.map(|record| (exporter, dead_lettered(&record)))
            }
            Step::CommitDeadLetter(exporter, delivered) => {
                let (exporter, next) = next(exporter);
                let dead_letter = self
                    .journal
                    .next_replayed_dead_letter(exporter, DeadLetterId(0))
                    .unwrap();
                dead_letter.map(|dead_letter| (exporter, replayed(next, dead_letter.id, delivered)))
            }
        };
        if let Some((exporter, commit)) = commit {
            self.wait(self.journal.commit(exporter, commit)).unwrap();
        }
    }

    /// What callers know now, and the size of the log.
    fn acknowledged(&self) -> Acknowledged {
        Acknowledged {
            log_bytes: fs::metadata(log_of(self.folder.path())).unwrap().len(),
            ..acknowledged_by(&self.journal)
        }
    }

    /// A copy of the files as a crash would leave them. No write can happen meanwhile.
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
    SqliteJournal::open(folder, "alerts", limits, &HostClock::new()).unwrap()
}

fn acknowledged_by(journal: &SqliteJournal) -> Acknowledged {
    let cursors = journal.cursors().unwrap();
    let of = |exporter| journal.counts(exporter).unwrap().unwrap();
    Acknowledged {
        log_bytes: 0,
        appended: journal.head().borrow().0,
        collected_until_ms: journal.collected_until(STORAGE).unwrap(),
        next: [cursors[0].next.seq.0, cursors[1].next.seq.0],
        counts: EXPORTERS.map(of),
        dead_letters: journal.dead_letters(&DeadLetterFilter::default()).unwrap(),
    }
}

fn log_of(folder: &Path) -> PathBuf {
    folder.join("alerts.db-wal")
}

/// The batch of another window.
fn record() -> NewRecord {
    static UNTIL_MS: AtomicI64 = AtomicI64::new(1);
    NewRecord {
        header: Header {
            batch_id: Uuid::now_v7(),
            origin: Origin::Ingest,
            storage_id: Some(STORAGE.to_owned()),
            complete: false,
            accepted_ms: now_ms(),
            items: ITEMS,
        },
        rows: ITEMS,
        collected_until_ms: Some(UNTIL_MS.fetch_add(1, Ordering::Relaxed)),
        payload: vec![7; 5000].into(),
    }
}

fn dead_lettered(record: &Record) -> Commit {
    let dead_letter = DeadLetter {
        plugin_version: "1.0.0".to_owned(),
        header: record.header.for_part(ITEMS),
        seq: record.seq,
        first_row: 0,
        rows: ITEMS,
        code: 1,
        reason: "no".to_owned(),
        attempts: 1,
        first_ms: 0,
        last_ms: 0,
        payload: record.payload.clone().into_bytes().unwrap(),
    };
    Commit {
        through: Position::after(record.seq),
        dead_letters: vec![dead_letter],
        ..Commit::default()
    }
}

fn replayed(through: Position, id: DeadLetterId, delivered: bool) -> Commit {
    let dead_lettered = DeadLetterDisposition::DeadLettered {
        code: 2,
        reason: "again".to_owned(),
        plugin_version: "1.0.1".to_owned(),
        attempts: 2,
        last_ms: 1,
    };
    let disposition = if delivered {
        DeadLetterDisposition::Delivered
    } else {
        dead_lettered
    };
    Commit {
        through,
        replayed: vec![DeadLetterCommit { id, disposition }],
        ..Commit::default()
    }
}

/// Opens the files that a crash left, and compares them with what callers knew.
fn check(left: &Path, last: &Acknowledged, in_progress: Option<&Acknowledged>) {
    let journal = open(left);
    let found = acknowledged_by(&journal);
    // The change in progress may be there too, whole or not at all.
    let is = |known: &Acknowledged| {
        (found.appended, found.next, &found.counts) == (known.appended, known.next, &known.counts)
            && found.dead_letters == known.dead_letters
            && found.collected_until_ms == known.collected_until_ms
    };
    assert!(
        is(last) || in_progress.is_some_and(is),
        "{found:?} after {last:?}"
    );
    for (counts, next) in found.counts.iter().zip(found.next) {
        assert_eq!(counts.unaccounted(), 0, "{counts:?}");
        for seq in next..=last.appended {
            let held = journal.read(Seq(seq)).unwrap().map(|record| record.seq.0);
            assert_eq!(held, Some(seq), "an acknowledged record is gone");
        }
    }
    for dead_letter in &found.dead_letters {
        let payload = journal
            .dead_letter(dead_letter.id)
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
        "a sequence number was used twice"
    );
}

/// Where a log may end: after each frame, inside its header and inside its page.
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
fn a_log_that_ends_anywhere_holds_everything_acknowledged_before() {
    let host = Host::start();
    let steps = [
        Step::Append,
        Step::Append,
        Step::Deliver(0),
        Step::Reject(1),
        Step::ReplayDeadLetters,
        Step::CommitDeadLetter(1, false),
        Step::Append,
        Step::Deliver(1),
        Step::Reject(0),
        Step::Deliver(0),
        Step::Replay(0),
        Step::ReplayDeadLetters,
        Step::CommitDeadLetter(1, true),
        Step::Deliver(0),
        Step::CommitDeadLetter(0, false),
        Step::Deliver(1),
        Step::Purge,
        Step::Append,
    ];
    let mut known = vec![host.acknowledged()];
    for step in steps {
        host.run(step);
        known.push(host.acknowledged());
    }
    let files = host.files();
    let tears = tears(&log_of(files.path()));
    assert!(tears.len() > 3 * steps.len(), "the log was checkpointed");
    for log_bytes in tears.into_iter().filter(|tear| *tear >= known[0].log_bytes) {
        let count = known.partition_point(|known| known.log_bytes <= log_bytes);
        let left = tear(files.path(), log_bytes);
        check(left.path(), &known[count - 1], known.get(count));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: delfin_tests::soak(12), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_crash_between_two_changes_loses_and_repeats_nothing(
        steps in proptest::collection::vec(step(), 1..24),
    ) {
        let host = Host::start();
        for step in steps {
            host.run(step);
            let left = host.files();
            check(left.path(), &host.acknowledged(), None);
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Append),
        3 => (0..2_usize).prop_map(Step::Deliver),
        2 => (0..2_usize).prop_map(Step::Reject),
        1 => Just(Step::ReplayDeadLetters),
        2 => (0..2_usize, any::<bool>()).prop_map(|(exporter, delivered)| Step::CommitDeadLetter(exporter, delivered)),
        1 => (0..2_usize).prop_map(Step::Replay),
        1 => Just(Step::Purge),
    ]
}
