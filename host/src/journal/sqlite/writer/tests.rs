//! The writer on a failing disk, without its thread, so that each test says what a group has.

use delfin_plugin_api::Origin;
use tempfile::TempDir;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::batch::Header;

use super::super::super::commit::Commit;
use super::super::super::counts::DroppedItems;
use super::super::super::cursor::{Cursor, Position, StartFrom};
use super::super::super::dead_letters::DeadLetter;
use super::super::super::error::{AppendError, CursorError};
use super::super::super::record::{NewRecord, Receipt};
use super::super::change::change;
use super::super::channel::{Awaited, CommandSender, channel};
use super::super::reply::PendingReply;
use super::*;

mod age;

type Reply<T, E> = oneshot::Receiver<Result<T, E>>;

struct Bench {
    writer: JournalWriter,
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("alerts.db");
        let shared = WriterState {
            readers: Arc::new(ReaderPool::new(path.clone())),
            head: Arc::new(watch::Sender::new(Seq(0))),
            commits: Arc::new(watch::Sender::new(0)),
            activity: Arc::default(),
            clock: HostClock::new(),
            observer: ObserverSlot::default(),
        };
        let limits = JournalLimits {
            max_commit_delay: JournalLimits::MAX_COMMIT_DELAY,
            ..JournalLimits::unlimited()
        };
        let space = DiskSpace::new(folder.path(), "alerts", 0);
        let mut writer = JournalWriter::open(path, limits, space, shared).unwrap();
        writer.space.create_reserve();
        Self { writer, folder }
    }

    fn serve(&mut self, commands: impl IntoIterator<Item = WriterCommand>) {
        let (sender, receiver) = channel();
        for command in commands {
            assert!(sender.send(command));
        }
        drop(sender);
        let group = CommandQueue::new(receiver).next_group(Duration::ZERO, QueueDelays::default());
        self.writer.serve(group);
    }

    fn connection(&self) -> &Connection {
        match &self.writer.file {
            FileState::Open(connection) => connection,
            FileState::Closed { reason, .. } => panic!("{reason}"),
        }
    }

    fn close_file(&mut self) {
        self.writer.reopen_delay = Duration::ZERO;
        self.writer.close_file("gone".to_owned());
    }

    /// Stops the growth of the file, as a full disk does.
    fn fill_disk(&self) {
        let pages: i64 = self
            .connection()
            .pragma_query_value(None, "page_count", |row| row.get(0))
            .unwrap();
        self.connection()
            .pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
            .unwrap();
    }

    fn free_disk(&self) {
        self.connection()
            .pragma_update_and_check(None, "max_page_count", 1_000_000, |_| Ok(()))
            .unwrap();
    }

    fn has_reserve(&self) -> bool {
        self.folder.path().join("alerts.reserve").exists()
    }

    /// A cursor of exporter `a`, and one pending batch of ten items.
    fn with_one_batch() -> Self {
        let mut bench = Self::new();
        let (open, opened) = open_cursor();
        let (add, added) = append();
        bench.serve([open, add]);
        assert!(told(opened).is_ok() && told(added).is_ok());
        bench
    }
}

fn told<T, E>(mut reply: Reply<T, E>) -> Result<T, E> {
    reply.try_recv().unwrap()
}

fn append() -> (WriterCommand, Reply<Receipt, AppendError>) {
    let record = NewRecord {
        header: Header {
            batch_id: Uuid::now_v7(),
            origin: Origin::Ingest,
            storage_id: None,
            complete: false,
            accepted_ms: 0,
            items: 10,
        },
        rows: 10,
        collected_until_ms: None,
        payload: vec![0; 100_000].into(),
    };
    let (caller, reply) = oneshot::channel();
    (
        WriterCommand::Append {
            record,
            key: None,
            reply: PendingReply::new(caller),
        },
        reply,
    )
}

fn open_cursor() -> (WriterCommand, Reply<Cursor, CursorError>) {
    open_cursor_of("a")
}

fn record_error(message: &str) -> (WriterCommand, Reply<(), CursorError>) {
    let (caller, reply) = oneshot::channel();
    let message = message.to_owned();
    let change = change(PendingReply::new(caller), move |tx| {
        cursors::record_error(tx, "a", &message)
    });
    let can_wait = true;
    (WriterCommand::Change { change, can_wait }, reply)
}

fn open_cursor_of(exporter: &'static str) -> (WriterCommand, Reply<Cursor, CursorError>) {
    let (caller, reply) = oneshot::channel();
    (
        WriterCommand::Change {
            change: change(PendingReply::new(caller), move |tx| {
                cursors::open(tx, exporter, StartFrom::Now).map(Ok)
            }),
            can_wait: false,
        },
        reply,
    )
}

fn commit(commit: Commit) -> (WriterCommand, Reply<(), CursorError>) {
    commit_of("a", commit)
}

fn commit_of(exporter: &str, commit: Commit) -> (WriterCommand, Reply<(), CursorError>) {
    let (caller, reply) = oneshot::channel();
    (
        WriterCommand::Commit {
            exporter: exporter.to_owned(),
            commit,
            reply: PendingReply::new(caller),
        },
        reply,
    )
}

fn large_dead_letter() -> DeadLetter {
    DeadLetter {
        plugin_version: String::new(),
        header: Header {
            batch_id: Uuid::nil(),
            origin: Origin::Ingest,
            storage_id: None,
            complete: false,
            accepted_ms: 0,
            items: 10,
        },
        seq: Seq(1),
        first_row: 0,
        rows: 10,
        code: 0,
        reason: String::new(),
        attempts: 1,
        first_ms: 0,
        last_ms: 0,
        payload: vec![0; 1_000_000],
    }
}

#[test]
fn a_full_disk_refuses_appends_and_lets_cursors_advance_in_the_same_group() {
    let mut bench = Bench::with_one_batch();
    bench.fill_disk();
    let (add, added) = append();
    let (advance, advanced) = commit(Commit::delivered(
        Position {
            seq: Seq(1),
            row: 5,
            items: 5,
        },
        5,
    ));
    bench.serve([add, advance]);
    assert!(matches!(told(added), Err(AppendError::NoSpace { .. })));
    assert_eq!(told(advanced), Ok(()));
    assert!(bench.has_reserve());
}

#[test]
fn space_that_a_commit_frees_is_used_by_the_next_append() {
    let mut bench = Bench::with_one_batch();
    bench.fill_disk();
    let (advance, advanced) = commit(Commit::delivered(Position::after(Seq(1)), 10));
    bench.serve([advance]);
    let (add, added) = append();
    bench.serve([add]);
    assert_eq!(told(advanced), Ok(()));
    assert_eq!(told(added).unwrap().seq, Seq(2));
}

#[test]
fn dead_letters_wait_on_a_full_disk_and_other_cursors_advance() {
    let mut bench = Bench::with_one_batch();
    let (open, opened) = open_cursor_of("b");
    let (add, added) = append();
    bench.serve([open, add]);
    assert!(told(opened).is_ok() && told(added).is_ok());
    bench.fill_disk();
    let dead_letters = Commit {
        dead_letters: vec![large_dead_letter()],
        through: Position::after(Seq(1)),
        ..Commit::default()
    };
    let delivered = Commit::delivered(Position::after(Seq(2)), 10);
    let (reject, rejected) = commit(dead_letters.clone());
    let (advance, advanced) = commit_of("b", delivered);
    bench.serve([reject, advance]);
    assert!(matches!(
        told(rejected),
        Err(CursorError::Unavailable { .. })
    ));
    assert_eq!(told(advanced), Ok(()));
    assert!(bench.has_reserve());
    bench.free_disk();
    let (reject, rejected) = commit(dead_letters);
    bench.serve([reject]);
    assert_eq!(told(rejected), Ok(()));
}

#[test]
fn the_reserve_is_released_on_a_full_disk_and_created_again() {
    let mut bench = Bench::with_one_batch();
    bench.fill_disk();
    let (error, recorded) = record_error(&"x".repeat(100_000));
    bench.serve([error]);
    assert!(matches!(
        told(recorded),
        Err(CursorError::Unavailable { .. })
    ));
    assert!(!bench.has_reserve());
    bench.free_disk();
    let (error, recorded) = record_error("x");
    bench.serve([error]);
    assert_eq!(told(recorded), Ok(()));
    assert!(bench.has_reserve());
}

#[test]
fn a_failed_transaction_fails_its_whole_group_and_the_file_is_opened_again() {
    let mut bench = Bench::with_one_batch();
    bench
        .connection()
        .pragma_update(None, "query_only", true)
        .unwrap();
    let (add, added) = append();
    let (advance, advanced) = commit(Commit::delivered(Position::after(Seq(1)), 10));
    bench.serve([add, advance]);
    assert!(matches!(told(added), Err(AppendError::Unavailable { .. })));
    assert!(matches!(
        told(advanced),
        Err(CursorError::Unavailable { .. })
    ));
    let (add, added) = append();
    bench.serve([add]);
    assert_eq!(told(added).unwrap().seq, Seq(2));
    assert_eq!(
        bench
            .writer
            .shared
            .activity
            .lock()
            .unwrap()
            .failed_transactions,
        1
    );
}

#[test]
fn while_the_file_cannot_be_opened_callers_get_an_error_and_nothing_is_lost() {
    let mut bench = Bench::with_one_batch();
    let (path, away) = (
        bench.folder.path().join("alerts.db"),
        bench.folder.path().join("away"),
    );
    bench.close_file();
    std::fs::rename(&path, &away).unwrap();
    std::fs::create_dir(&path).unwrap();
    let (add, added) = append();
    bench.serve([add]);
    assert!(matches!(told(added), Err(AppendError::Unavailable { .. })));
    std::fs::remove_dir(&path).unwrap();
    std::fs::rename(&away, &path).unwrap();
    bench.close_file();
    let (add, added) = append();
    bench.serve([add]);
    assert_eq!(told(added).unwrap().seq, Seq(2));
}

#[test]
fn a_deleted_file_is_created_again_and_no_sequence_number_is_used_twice() {
    let mut bench = Bench::with_one_batch();
    bench.close_file();
    for companion in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(bench.folder.path().join(format!("alerts.db{companion}")));
    }
    let (add, added) = append();
    bench.serve([add]);
    assert_eq!(told(added).unwrap().seq, Seq(2));
}

const LONG: Duration = Duration::from_hours(1);
const DELAYED: QueueDelays = QueueDelays {
    commit: LONG,
    append: Duration::ZERO,
};

/// A queue that has just released a commit.
fn queue() -> (CommandQueue, CommandSender) {
    let (sender, receiver) = channel();
    let mut queue = CommandQueue::new(receiver);
    assert!(sender.send(commit(Commit::default()).0));
    assert_eq!(queue.next_group(LONG, DELAYED).commands.len(), 1);
    (queue, sender)
}

#[test]
fn an_append_does_not_release_delayed_commits() {
    let (mut queue, sender) = queue();
    assert!(sender.send(commit(Commit::default()).0));
    assert!(sender.send(append().0));
    let group = queue.next_group(LONG, DELAYED);
    assert!(matches!(group.commands[..], [WriterCommand::Append { .. }]));
    let group = queue.next_group(LONG, QueueDelays::default());
    assert!(matches!(group.commands[..], [WriterCommand::Commit { .. }]));
}

#[test]
fn a_change_is_preceded_by_the_delayed_commits() {
    let (mut queue, sender) = queue();
    assert!(sender.send(commit(Commit::default()).0));
    assert!(sender.send(append().0));
    assert!(sender.send(open_cursor().0));
    let group = queue.next_group(LONG, DELAYED);
    assert!(matches!(
        group.commands[..],
        [
            WriterCommand::Append { .. },
            WriterCommand::Commit { .. },
            WriterCommand::Change { .. }
        ]
    ));
}

#[test]
fn closing_the_queue_releases_delayed_commits() {
    let (mut queue, sender) = queue();
    assert!(sender.send(commit(Commit::default()).0));
    assert!(sender.send(WriterCommand::Close));
    let group = queue.next_group(LONG, DELAYED);
    assert!(group.last && matches!(group.commands[0], WriterCommand::Commit { .. }));
}

#[test]
fn appends_that_are_awaited_wake_the_writer_once_and_what_cannot_wait_wakes_it_too() {
    let delayed = || commit(Commit::default()).0;
    let mut awaited = Awaited::Appends(2);
    let commands = [append().0, delayed(), append().0, append().0];
    let woken = commands.map(|command| awaited.is_met_by(&command));
    assert_eq!(woken, [false, false, true, false]);
    assert!(Awaited::Appends(2).is_met_by(&open_cursor().0));
    assert!(Awaited::AnyCommand.is_met_by(&delayed()));
}

#[test]
fn a_large_append_does_not_wait_for_those_of_other_callers() {
    let (sender, receiver) = channel();
    let mut queue = CommandQueue::new(receiver);
    let delays = QueueDelays {
        append: LONG,
        ..QueueDelays::default()
    };
    for callers in [2, 1, 1] {
        for _ in 0..callers {
            assert!(sender.send(append().0));
        }
        assert_eq!(queue.next_group(LONG, delays).commands.len(), callers);
    }
}

#[test]
fn callers_learn_that_the_writer_is_gone() {
    let (sender, receiver) = channel();
    let (add, added) = append();
    assert!(sender.send(add));
    drop(receiver);
    assert!(added.blocking_recv().is_err());
    assert!(!sender.send(append().0));
}

#[test]
fn a_commit_with_drops_or_dead_letters_is_not_delayed() {
    let dropped = DroppedItems {
        limit: "queue.max_age".to_owned(),
        items: 1,
    };
    assert!(commit(Commit::default()).0.can_wait());
    assert!(
        !commit(Commit {
            dropped: vec![dropped],
            ..Commit::default()
        })
        .0
        .can_wait()
    );
    let dead_letters = vec![large_dead_letter()];
    assert!(
        !commit(Commit {
            dead_letters,
            ..Commit::default()
        })
        .0
        .can_wait()
    );
}

#[test]
fn the_file_is_synced_after_each_transaction_and_can_shrink() {
    let bench = Bench::new();
    let pragma = |name| {
        bench
            .connection()
            .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
            .unwrap()
    };
    let mode: String = bench
        .connection()
        .pragma_query_value(None, "journal_mode", |row| row.get(0))
        .unwrap();
    assert_eq!(
        (mode.as_str(), pragma("synchronous"), pragma("auto_vacuum")),
        ("wal", 2, 2)
    );
    assert_eq!(
        (
            pragma("mmap_size"),
            pragma("secure_delete"),
            pragma("wal_autocheckpoint")
        ),
        (0, 0, 2048)
    );
    assert_eq!(pragma("journal_size_limit"), 64 << 20);
}
