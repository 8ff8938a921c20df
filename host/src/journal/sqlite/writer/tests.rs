//! The writer on a disk that fails, one group at a time and without its thread.

use std::sync::mpsc::channel;

use delfin_plugin_api::Origin;
use tempfile::TempDir;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::batch::Header;

use super::super::super::cursor::{Commit, Cursor, DeadLetter, DroppedItems, Position, StartFrom};
use super::super::super::error::{AppendError, CursorError};
use super::super::super::record::{NewRecord, Receipt};
use super::super::change::change;
use super::super::command::Answer;
use super::*;

type Told<T, E> = oneshot::Receiver<Result<T, E>>;

struct Bench {
    writer: Writer,
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("alerts.db");
        let shared = Shared {
            readers: Arc::new(Readers::new(path.clone())),
            head: Arc::new(watch::Sender::new(Seq(0))),
            commits: Arc::new(watch::Sender::new(0)),
            done: Arc::default(),
        };
        let limits = JournalLimits {
            gather: JournalLimits::GATHER,
            ..JournalLimits::unlimited()
        };
        let space = Space::new(folder.path(), "alerts", 0);
        let mut writer = Writer::open(path, limits, space, shared).unwrap();
        writer.space.keep_reserve();
        Self { writer, folder }
    }

    fn serve(&mut self, commands: impl IntoIterator<Item = Command>) {
        let (sender, receiver) = channel();
        for command in commands {
            sender.send(command).unwrap();
        }
        drop(sender);
        let group = Queue::new(receiver).take(Duration::ZERO, Duration::ZERO);
        self.writer.serve(group);
    }

    fn store(&self) -> &Connection {
        match &self.writer.store {
            Store::Open(connection) => connection,
            Store::Closed { reason, .. } => panic!("{reason}"),
        }
    }

    fn close_store(&mut self) {
        self.writer.setback = Duration::ZERO;
        self.writer.close_store("gone".to_owned());
    }

    /// Lets the file grow no further, as on a full disk.
    fn fill_disk(&self) {
        let pages: i64 = self
            .store()
            .pragma_query_value(None, "page_count", |row| row.get(0))
            .unwrap();
        self.store()
            .pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
            .unwrap();
    }

    /// Lets the file grow again.
    fn make_room(&self) {
        self.store()
            .pragma_update_and_check(None, "max_page_count", 1_000_000, |_| Ok(()))
            .unwrap();
    }

    fn has_reserve(&self) -> bool {
        self.folder.path().join("alerts.reserve").exists()
    }

    /// A cursor of exporter `a`, and one batch of ten items behind it.
    fn with_one_batch() -> Self {
        let mut bench = Self::new();
        let (open, opened) = open_cursor();
        let (add, added) = append();
        bench.serve([open, add]);
        assert!(told(opened).is_ok() && told(added).is_ok());
        bench
    }
}

fn told<T, E>(mut answer: Told<T, E>) -> Result<T, E> {
    answer.try_recv().unwrap()
}

fn append() -> (Command, Told<Receipt, AppendError>) {
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
        payload: vec![0; 100_000],
    };
    let (asker, answer) = oneshot::channel();
    (
        Command::Append {
            record,
            key: None,
            answer: Answer::to(asker),
        },
        answer,
    )
}

fn open_cursor() -> (Command, Told<Cursor, CursorError>) {
    open_cursor_of("a")
}

fn note_error(message: &str) -> (Command, Told<(), CursorError>) {
    let (asker, answer) = oneshot::channel();
    let message = message.to_owned();
    let change = change(Answer::to(asker), move |work| {
        cursors::record_error(work, "a", &message)
    });
    let can_wait = true;
    (Command::Change { change, can_wait }, answer)
}

fn open_cursor_of(exporter: &'static str) -> (Command, Told<Cursor, CursorError>) {
    let (asker, answer) = oneshot::channel();
    (
        Command::Change {
            change: change(Answer::to(asker), move |work| {
                cursors::open(work, exporter, StartFrom::Now).map(Ok)
            }),
            can_wait: false,
        },
        answer,
    )
}

fn settle(commit: Commit) -> (Command, Told<(), CursorError>) {
    commit_of("a", commit)
}

fn commit_of(exporter: &str, commit: Commit) -> (Command, Told<(), CursorError>) {
    let (asker, answer) = oneshot::channel();
    (
        Command::Commit {
            exporter: exporter.to_owned(),
            commit,
            answer: Answer::to(asker),
        },
        answer,
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
fn a_full_disk_refuses_appends_and_lets_cursors_move_in_the_same_group() {
    let mut bench = Bench::with_one_batch();
    bench.fill_disk();
    let (add, added) = append();
    let (move_on, moved) = settle(Commit::delivered(
        Position {
            seq: Seq(1),
            row: 5,
            items: 5,
        },
        5,
    ));
    bench.serve([add, move_on]);
    assert!(matches!(told(added), Err(AppendError::NoSpace { .. })));
    assert_eq!(told(moved), Ok(()));
    assert!(bench.has_reserve());
}

#[test]
fn room_that_a_settlement_gives_back_is_used_by_the_next_append() {
    let mut bench = Bench::with_one_batch();
    bench.fill_disk();
    let (move_on, moved) = settle(Commit::delivered(Position::after(Seq(1)), 10));
    bench.serve([move_on]);
    let (add, added) = append();
    bench.serve([add]);
    assert_eq!(told(moved), Ok(()));
    assert_eq!(told(added).unwrap().seq, Seq(2));
}

#[test]
fn on_a_full_disk_dead_letters_wait_and_keep_nobody_from_moving() {
    let mut bench = Bench::with_one_batch();
    let (open, opened) = open_cursor_of("b");
    let (add, added) = append();
    bench.serve([open, add]);
    assert!(told(opened).is_ok() && told(added).is_ok());
    bench.fill_disk();
    let letters = Commit {
        dead_letters: vec![large_dead_letter()],
        through: Position::after(Seq(1)),
        ..Commit::default()
    };
    let delivered = Commit::delivered(Position::after(Seq(2)), 10);
    let (give_up, given_up) = settle(letters.clone());
    let (move_on, moved) = commit_of("b", delivered);
    bench.serve([give_up, move_on]);
    assert!(matches!(
        told(given_up),
        Err(CursorError::Unavailable { .. })
    ));
    assert_eq!(told(moved), Ok(()));
    assert!(bench.has_reserve());
    bench.make_room();
    let (give_up, given_up) = settle(letters);
    bench.serve([give_up]);
    assert_eq!(told(given_up), Ok(()));
}

#[test]
fn the_reserve_is_given_up_for_a_change_and_made_again() {
    let mut bench = Bench::with_one_batch();
    bench.fill_disk();
    let (note, noted) = note_error(&"x".repeat(100_000));
    bench.serve([note]);
    assert!(matches!(told(noted), Err(CursorError::Unavailable { .. })));
    assert!(!bench.has_reserve());
    bench.make_room();
    let (note, noted) = note_error("x");
    bench.serve([note]);
    assert_eq!(told(noted), Ok(()));
    assert!(bench.has_reserve());
}

#[test]
fn a_failed_write_is_told_to_the_whole_group_and_the_file_opened_again() {
    let mut bench = Bench::with_one_batch();
    bench
        .store()
        .pragma_update(None, "query_only", true)
        .unwrap();
    let (add, added) = append();
    let (move_on, moved) = settle(Commit::delivered(Position::after(Seq(1)), 10));
    bench.serve([add, move_on]);
    assert!(matches!(told(added), Err(AppendError::Unavailable { .. })));
    assert!(matches!(told(moved), Err(CursorError::Unavailable { .. })));
    let (add, added) = append();
    bench.serve([add]);
    assert_eq!(told(added).unwrap().seq, Seq(2));
    assert_eq!(
        bench.writer.shared.done.lock().unwrap().failed_transactions,
        1
    );
}

#[test]
fn while_the_file_cannot_be_opened_everyone_is_told_and_nothing_is_lost() {
    let mut bench = Bench::with_one_batch();
    let (path, away) = (
        bench.folder.path().join("alerts.db"),
        bench.folder.path().join("away"),
    );
    bench.close_store();
    std::fs::rename(&path, &away).unwrap();
    std::fs::create_dir(&path).unwrap();
    let (add, added) = append();
    bench.serve([add]);
    assert!(matches!(told(added), Err(AppendError::Unavailable { .. })));
    std::fs::remove_dir(&path).unwrap();
    std::fs::rename(&away, &path).unwrap();
    bench.close_store();
    let (add, added) = append();
    bench.serve([add]);
    assert_eq!(told(added).unwrap().seq, Seq(2));
}

#[test]
fn a_file_that_vanished_is_made_again_and_no_number_is_given_twice() {
    let mut bench = Bench::with_one_batch();
    bench.close_store();
    for companion in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(bench.folder.path().join(format!("alerts.db{companion}")));
    }
    let (add, added) = append();
    bench.serve([add]);
    assert_eq!(told(added).unwrap().seq, Seq(2));
}

const LONG: Duration = Duration::from_hours(1);

/// A queue in which a commit has just had its turn.
fn queue() -> (Queue, std::sync::mpsc::Sender<Command>) {
    let (sender, receiver) = channel();
    let mut queue = Queue::new(receiver);
    sender.send(settle(Commit::default()).0).unwrap();
    assert_eq!(queue.take(LONG, LONG).commands.len(), 1);
    (queue, sender)
}

#[test]
fn an_append_does_not_take_along_what_can_wait() {
    let (mut queue, sender) = queue();
    sender.send(settle(Commit::default()).0).unwrap();
    sender.send(append().0).unwrap();
    let group = queue.take(LONG, LONG);
    assert!(matches!(group.commands[..], [Command::Append { .. }]));
    let group = queue.take(LONG, Duration::ZERO);
    assert!(matches!(group.commands[..], [Command::Commit { .. }]));
}

#[test]
fn what_can_wait_goes_before_the_next_that_is_no_append() {
    let (mut queue, sender) = queue();
    sender.send(settle(Commit::default()).0).unwrap();
    sender.send(append().0).unwrap();
    sender.send(open_cursor().0).unwrap();
    let group = queue.take(LONG, LONG);
    assert!(matches!(
        group.commands[..],
        [
            Command::Append { .. },
            Command::Commit { .. },
            Command::Change { .. }
        ]
    ));
}

#[test]
fn what_can_wait_does_not_wait_for_ever_on_a_queue_that_closes() {
    let (mut queue, sender) = queue();
    sender.send(settle(Commit::default()).0).unwrap();
    sender.send(Command::Close).unwrap();
    let group = queue.take(LONG, LONG);
    assert!(group.last && matches!(group.commands[0], Command::Commit { .. }));
}

#[test]
fn a_settlement_that_says_more_than_delivered_does_not_wait() {
    let dropped = DroppedItems {
        limit: "queue.max_age".to_owned(),
        items: 1,
    };
    assert!(settle(Commit::default()).0.can_wait());
    assert!(
        !settle(Commit {
            dropped: vec![dropped],
            ..Commit::default()
        })
        .0
        .can_wait()
    );
    let dead_letters = vec![large_dead_letter()];
    assert!(
        !settle(Commit {
            dead_letters,
            ..Commit::default()
        })
        .0
        .can_wait()
    );
}

#[test]
fn the_file_is_durable_after_each_commit_and_can_shrink() {
    let bench = Bench::new();
    let pragma = |name| {
        bench
            .store()
            .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
            .unwrap()
    };
    let mode: String = bench
        .store()
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
        (0, 0, 1000)
    );
    assert_eq!(pragma("journal_size_limit"), 64 << 20);
}
