//! The writer thread: the only one that changes a journal's file.
//!
//! It takes all that waits into one transaction, commits, answers everyone and
//! publishes the head. What cannot be committed is answered as such to the
//! whole group, and the file is opened again.

use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::watch;

use super::super::error::OpenError;
use super::super::{JournalLimits, JournalStats};
use super::command::Command;
use super::cursors;
use super::file;
use super::queue::{Group, Queue};
use super::read::Readers;
use super::space::Space;
use super::work::{self, Done, Work};
use crate::batch::Seq;
use crate::sqlite::FailureKind;

#[cfg(test)]
mod tests;

/// Between two looks for what may be deleted, when there is nothing else to do.
const TIDY_EVERY: Duration = Duration::from_secs(1);
const NO_ROOM_FOR_LETTERS: &str = "the disk has no room for dead letters";
const FIRST_REOPEN: Duration = Duration::from_millis(100);
const LAST_REOPEN: Duration = Duration::from_secs(5);

/// What the writer shares with the askers.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) readers: Arc<Readers>,
    pub(super) head: Arc<watch::Sender<Seq>>,
    pub(super) commits: Arc<watch::Sender<u64>>,
    pub(super) done: Arc<Mutex<JournalStats>>,
}

/// A journal's writer.
pub(super) struct Writer {
    path: PathBuf,
    limits: JournalLimits,
    space: Space,
    shared: Shared,
    store: Store,
    /// How long to wait before the file is opened again; it grows until a commit succeeds.
    setback: Duration,
    last_commit: Duration,
    /// When there was last nothing more to delete.
    tidied: Option<Instant>,
    /// Whether those who wait for records are still to be woken up.
    head_moved: bool,
    /// Whether it is known since the start which exporters are configured.
    knows_configured: bool,
}

/// What a transaction deletes beside its commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tidying {
    Nothing,
    Records,
    RecordsAndCursors,
}

/// The writer's connection, or when to try for one again.
enum Store {
    Open(Connection),
    Closed { reason: String, again: Instant },
}

impl Writer {
    /// Opens the file, or makes it.
    pub(super) fn open(
        path: PathBuf,
        limits: JournalLimits,
        mut space: Space,
        shared: Shared,
    ) -> Result<Self, OpenError> {
        let connection = file::open(&path, 0, &mut space)?;
        let head = work::head(&connection).map_err(|error| file::JOURNAL.error(&path, error))?;
        shared.head.send_replace(Seq(head));
        Ok(Self {
            path,
            limits,
            space,
            shared,
            store: Store::Open(connection),
            setback: Duration::ZERO,
            last_commit: Duration::ZERO,
            tidied: None,
            head_moved: false,
            knows_configured: false,
        })
    }

    /// Works until it is told to close, or nobody is left to ask for anything.
    pub(super) fn run(mut self, commands: Receiver<Command>) {
        let mut queue = Queue::new(commands);
        self.space.keep_reserve();
        loop {
            let group = queue.take(self.patience(), self.gather());
            let last = group.last;
            self.serve(group);
            if last {
                // The last connection to close tidies the file up, and a reader cannot.
                self.shared.readers.forget();
                return;
            }
        }
    }

    /// How long to wait for commands before looking for something to delete.
    fn patience(&self) -> Duration {
        match (&self.store, self.tidied) {
            (Store::Open(_), None) => Duration::ZERO,
            (Store::Open(_), Some(_)) | (Store::Closed { .. }, _) => TIDY_EVERY,
        }
    }

    /// How long to hold back what can wait: moving cursors may take a fifth of
    /// the disk's time, and no more.
    fn gather(&self) -> Duration {
        (self.last_commit * 4).min(self.limits.gather)
    }

    fn serve(&mut self, group: Group) {
        let mut commands = group.commands;
        for damage in commands.extract_if(.., |command| matches!(command, Command::Damaged { .. }))
        {
            self.hear_of_damage(damage);
        }
        if let Err(reason) = self.reopen() {
            fail(commands, &reason);
            return;
        }
        // With nothing to carry out, what nobody needs is deleted.
        let mut tried = self.commit(&mut commands);
        if let Err(error) = &tried
            && FailureKind::of(error) == FailureKind::Damaged
        {
            self.recover(error);
            if let Err(reason) = self.reopen() {
                fail(commands, &reason);
                return;
            }
            // Nothing of it is in the file that was moved aside: the new one takes it.
            tried = self.commit(&mut commands);
        }
        match tried {
            Ok(()) => self.answer(commands),
            Err(error) if FailureKind::of(&error) == FailureKind::Full => {
                self.serve_on_full_disk(commands)
            }
            Err(error) => {
                fail(commands, &error.to_string());
                self.recover(&error);
            }
        }
    }

    /// Appends are refused, then dead letters; the rest goes on, with the reserve if need be.
    fn serve_on_full_disk(&mut self, commands: Vec<Command>) {
        self.space.doubt();
        let (free, min_free) = (
            self.space.free_bytes().unwrap_or(0),
            self.space.min_free_bytes(),
        );
        let appends = commands.len();
        let mut commands: Vec<Command> = commands
            .into_iter()
            .filter_map(|command| command.refuse_append(free, min_free))
            .collect();
        note(&self.shared, |stats| {
            stats.refused += (appends - commands.len()) as u64
        });
        let mut tried = self.commit(&mut commands);
        if is_full(&tried) {
            // The reserve is there for what makes room, and dead letters take it.
            let (letters, others) = commands.into_iter().partition(Command::keeps_letters);
            fail(letters, NO_ROOM_FOR_LETTERS);
            commands = others;
            tried = self.commit(&mut commands);
        }
        if is_full(&tried) && self.space.release_reserve() {
            tried = self.commit(&mut commands);
            self.shrink_log();
        }
        match tried {
            Ok(()) => self.answer(commands),
            Err(error) => {
                fail(commands, &error.to_string());
                self.recover(&error);
            }
        }
    }

    /// Carries commands out in one transaction. After an error nothing of it is left.
    fn commit(&mut self, commands: &mut [Command]) -> rusqlite::Result<()> {
        let Store::Open(connection) = &mut self.store else {
            return Err(rusqlite::Error::InvalidQuery);
        };
        let started = Instant::now();
        let due = self.limits.retention.is_zero()
            || self.tidied.is_none_or(|at| at.elapsed() >= TIDY_EVERY);
        let tidying = match (due, self.knows_configured) {
            (false, _) => Tidying::Nothing,
            (true, false) => Tidying::Records,
            (true, true) => Tidying::RecordsAndCursors,
        };
        let done = transact(connection, &self.limits, &mut self.space, commands, tidying)
            .inspect_err(|_| {
                self.tidied = Some(started);
                note(&self.shared, |stats| stats.failed_transactions += 1);
            })?;
        self.knows_configured |= done.configured;
        if due {
            self.space.keep_reserve();
            self.tidied = (!done.more_to_prune).then_some(started);
        }
        let written = !commands.is_empty() || done.pruned > 0;
        if written {
            self.setback = Duration::ZERO;
            self.last_commit = started.elapsed();
        }
        let last_commit = self.last_commit;
        note(&self.shared, |stats| {
            stats.transactions += u64::from(written);
            stats.transaction_time += if written { last_commit } else { Duration::ZERO };
            stats.appended += done.appended;
            stats.refused += done.refused;
            stats.pruned += done.pruned;
        });
        self.publish(done.head);
        if done.committed {
            self.publish_settled();
        }
        if done.shrunk {
            self.shrink_log();
        }
        Ok(())
    }

    /// Takes the log over into the file, so that what was deleted there gives room.
    fn shrink_log(&self) {
        if let Store::Open(connection) = &self.store
            && let Err(error) = connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        {
            log::debug!(journal:% = self.path.display(), error:% = error; "journal's log was not checkpointed");
        }
    }

    fn recover(&mut self, error: &rusqlite::Error) {
        match FailureKind::of(error) {
            // The transaction is rolled back, and the file as it was.
            FailureKind::Full => {}
            FailureKind::Damaged => self.replace_file(error),
            FailureKind::Other => {
                log::error!(journal:% = self.path.display(), error:% = error; "journal cannot be written, it is opened again");
                self.close_store(error.to_string());
            }
        }
    }

    /// Replaces the file, unless that was done since the reader found it damaged.
    fn hear_of_damage(&mut self, command: Command) {
        if let Command::Damaged { generation, error } = command
            && generation == self.shared.readers.generation()
        {
            self.replace_file(&error);
        }
    }

    fn replace_file(&mut self, damage: &rusqlite::Error) {
        let head = self.shared.head.borrow().0;
        self.close_store(damage.to_string());
        match file::replace(&self.path, head, damage) {
            Ok(connection) => self.use_store(connection),
            Err(error) => self.close_store(error.to_string()),
        }
    }

    /// Opens the file again after a failure, once enough time has passed.
    fn reopen(&mut self) -> Result<(), String> {
        match &self.store {
            Store::Open(_) => return Ok(()),
            Store::Closed { reason, again } if Instant::now() < *again => {
                return Err(reason.clone());
            }
            Store::Closed { .. } => {}
        }
        let head = self.shared.head.borrow().0;
        match file::open(&self.path, head, &mut self.space) {
            Ok(connection) => {
                self.use_store(connection);
                Ok(())
            }
            Err(error) => {
                let reason = error.to_string();
                log::error!(journal:% = self.path.display(), error:% = error; "journal cannot be opened again");
                self.close_store(reason.clone());
                Err(reason)
            }
        }
    }

    fn use_store(&mut self, connection: Connection) {
        self.shared.readers.forget();
        // A commit whose answer was an error may have reached the file all the same.
        if let Ok(head) = work::head(&connection) {
            self.publish(head);
            self.wake();
        }
        self.publish_settled();
        self.store = Store::Open(connection);
    }

    fn close_store(&mut self, reason: String) {
        self.store = Store::Closed {
            reason,
            again: Instant::now() + self.setback,
        };
        self.setback = (self.setback * 2).clamp(FIRST_REOPEN, LAST_REOPEN);
        self.shared.readers.forget();
    }

    /// Answers everyone, and wakes up those who wait for records after that:
    /// whoever appended one may then have put it where they find it.
    fn answer(&mut self, commands: Vec<Command>) {
        commands.into_iter().for_each(Command::answer);
        self.wake();
    }

    /// The head is seen by whoever looks; those who wait for it are woken up later.
    fn publish(&mut self, head: u64) {
        self.shared.head.send_if_modified(|seen| {
            self.head_moved |= seen.0 < head;
            seen.0 = seen.0.max(head);
            false
        });
    }

    fn publish_settled(&self) {
        self.shared.commits.send_modify(|commits| *commits += 1);
    }

    fn wake(&mut self) {
        if std::mem::take(&mut self.head_moved) {
            self.shared.head.send_modify(|_| {});
        }
    }
}

fn transact(
    connection: &mut Connection,
    limits: &JournalLimits,
    space: &mut Space,
    commands: &mut [Command],
    tidying: Tidying,
) -> rusqlite::Result<Done> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut work = Work::start(&tx, limits, space)?;
    for command in commands {
        command.carry_out(&mut work)?;
    }
    if tidying == Tidying::RecordsAndCursors {
        cursors::remove_orphans(&mut work)?;
    }
    if tidying != Tidying::Nothing {
        work.tidy()?;
    }
    let done = work.finish()?;
    tx.commit()?;
    Ok(done)
}

fn note(shared: &Shared, change: impl FnOnce(&mut JournalStats)) {
    change(&mut shared.done.lock().unwrap_or_else(PoisonError::into_inner));
}

fn is_full(tried: &rusqlite::Result<()>) -> bool {
    tried
        .as_ref()
        .is_err_and(|error| FailureKind::of(error) == FailureKind::Full)
}

fn fail(commands: Vec<Command>, reason: &str) {
    commands
        .into_iter()
        .for_each(|command| command.fail(reason));
}
