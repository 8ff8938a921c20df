//! A journal in an SQLite file.
//!
//! One thread writes, in groups that share a transaction. Reads run next to it, on
//! connections of their own. A caller gets its reply after the log is synced.

mod append;
mod change;
mod channel;
mod command;
mod commit;
mod commit_lookup;
mod connection;
mod counts;
mod cursor_update;
mod cursors;
mod dead_letters;
mod disk_space;
mod file;
mod gathering;
mod groups;
mod loss;
mod mark;
mod numbering;
mod prune;
mod queue;
mod read;
mod readers;
mod reply;
mod rules;
mod salvage;
mod seek;
mod transaction;
mod verify;
mod windows;
mod writer;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod group_tests;
#[cfg(test)]
mod loss_tests;
#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use super::commit::Commit;
use super::counts::{Backlog, ItemCounts};
use super::cursor::{Cursor, StartFrom};
use super::dead_letters::{
    DeadLetterCount, DeadLetterFilter, DeadLetterId, DeadLetterLimits, DeadLetterStore,
    StoredDeadLetter,
};
use super::error::{AppendError, CursorError, OpenError, ReadError};
use super::observer::ObserverSlot;
use super::record::{BatchInfo, NewRecord, ReadLimit, Receipt, Record};
use super::{AppendObserver, Durable, Journal, JournalLimits, JournalStats};
use crate::batch::Seq;
use crate::clock::HostClock;
use crate::platform::free_bytes;
use crate::sqlite::FailureKind;
pub(crate) use connection::JOURNAL;
pub(crate) use verify::JournalCheck;

use change::change;
use channel::{CommandSender, channel};
use command::WriterCommand;
use disk_space::DiskSpace;
use readers::{FailedRead, ReaderPool};
use reply::PendingReply;
use transaction::WriteTransaction;
use writer::{JournalWriter, WriterState};

/// How long a reader waits until a damaged file is replaced.
const REPLACE_TIMEOUT: Duration = Duration::from_secs(5);

/// One journal: one file, one writer thread.
pub(super) struct SqliteJournal {
    folder: PathBuf,
    max_bytes: u64,
    commands: CommandSender,
    shared: WriterState,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl SqliteJournal {
    /// Opens the file `{journal}.db` in a folder, and starts the writer thread.
    pub(super) fn open(
        folder: &Path,
        journal: &str,
        limits: JournalLimits,
        clock: &HostClock,
    ) -> Result<Self, OpenError> {
        let path = folder.join(format!("{journal}.db"));
        let shared = WriterState {
            readers: Arc::new(ReaderPool::new(path.clone())),
            head: Arc::new(watch::Sender::new(Seq(0))),
            commits: Arc::new(watch::Sender::new(0)),
            activity: Arc::default(),
            clock: clock.clone(),
            observer: ObserverSlot::default(),
        };
        let max_bytes = limits.max_bytes;
        let space = DiskSpace::new(folder, journal, limits.min_free_bytes);
        let writer = JournalWriter::open(path, limits, space, shared.clone())?;
        let (commands, queue) = channel();
        let thread = thread::Builder::new()
            .name(format!("journal-{journal}"))
            .spawn(move || writer.run(queue))
            .map_err(|source| OpenError::Folder {
                path: folder.to_path_buf(),
                source,
            })?;
        Ok(Self {
            folder: folder.to_path_buf(),
            max_bytes,
            commands,
            shared,
            writer: Mutex::new(Some(thread)),
        })
    }

    fn send<T: Send + 'static, E: Send + 'static>(
        &self,
        closed: E,
        command: impl FnOnce(PendingReply<T, E>) -> WriterCommand,
    ) -> Durable<T, E> {
        let (caller, reply) = oneshot::channel();
        // After the writer has stopped, the command is dropped, and with it the sender
        // of the reply. The caller then learns that the journal is closed.
        self.commands.send(command(PendingReply::new(caller)));
        Box::pin(async move { reply.await.unwrap_or(Err(closed)) })
    }

    /// Sends a change that is not delayed, and that keeps its place among the others.
    fn change<T: Send + 'static>(
        &self,
        run: impl FnMut(&mut WriteTransaction<'_>) -> rusqlite::Result<Result<T, CursorError>>
        + Send
        + 'static,
    ) -> Durable<T, CursorError> {
        self.send(CursorError::Closed, |reply| WriterCommand::Change {
            change: change(reply, run),
            can_wait: false,
        })
    }

    /// Runs a query. If it finds the file damaged, it tells the writer, and runs again
    /// once the writer has replaced the file.
    fn query<T>(&self, query: impl Fn(&Connection) -> rusqlite::Result<T>) -> Result<T, ReadError> {
        let readers = &self.shared.readers;
        let unavailable = |error: &rusqlite::Error| ReadError::Unavailable {
            reason: error.to_string(),
        };
        let FailedRead { generation, error } = match query_confirmed(readers, &query) {
            Ok(found) => return Ok(found),
            Err(failed) => failed,
        };
        let mut failure = unavailable(&error);
        if FailureKind::of(&error) != FailureKind::Damaged {
            return Err(failure);
        }
        if let Err(error) = readers.check_disk() {
            let reason = error.to_string();
            return Err(ReadError::Unavailable { reason });
        }
        let report = WriterCommand::Damaged { generation, error };
        if !self.commands.send(report) {
            // The writer has stopped, and replaces no file.
            return Err(failure);
        }
        let started = Instant::now();
        while started.elapsed() < REPLACE_TIMEOUT {
            // The generation grows when the writer closes the damaged file, and again
            // when it has the new one.
            if readers.is_open() && readers.generation() != generation {
                match readers.query(&query) {
                    Ok(found) => return Ok(found),
                    Err(failed) => failure = unavailable(&failed.error),
                }
            }
            thread::sleep(Duration::from_millis(1));
        }
        Err(failure)
    }
}

/// Runs a query that finds damage again, on a new connection: SQLite reports a failed read as
/// damage, and the disk may fail for a moment only.
fn query_confirmed<T>(
    readers: &ReaderPool,
    query: &impl Fn(&Connection) -> rusqlite::Result<T>,
) -> Result<T, FailedRead> {
    match readers.query(query) {
        Err(failed) if FailureKind::of(&failed.error) == FailureKind::Damaged => {
            readers.close_idle();
            readers.query(query)
        }
        result => result,
    }
}

impl Journal for SqliteJournal {
    fn append(
        &self,
        record: NewRecord,
        idempotency_key: Option<String>,
    ) -> Durable<Receipt, AppendError> {
        self.send(AppendError::Closed, |reply| WriterCommand::Append {
            record,
            key: idempotency_key,
            reply,
        })
    }

    fn open_cursor(&self, exporter: &str, start: StartFrom) -> Durable<Cursor, CursorError> {
        let exporter = exporter.to_owned();
        self.change(move |tx| cursors::open(tx, &exporter, start).map(Ok))
    }

    fn commit(&self, exporter: &str, commit: Commit) -> Durable<(), CursorError> {
        let exporter = exporter.to_owned();
        self.send(CursorError::Closed, |reply| WriterCommand::Commit {
            exporter,
            commit,
            reply,
        })
    }

    fn drop_before(&self, exporter: &str, end: Seq, limit: &str) -> Durable<u64, CursorError> {
        let (exporter, limit) = (exporter.to_owned(), limit.to_owned());
        self.change(move |tx| commit::drop_before(tx, &exporter, end, &limit))
    }

    fn replay(&self, exporter: &str, since_ms: i64) -> Durable<u64, CursorError> {
        let exporter = exporter.to_owned();
        self.change(move |tx| cursors::replay(tx, &exporter, since_ms))
    }

    fn set_configured(&self, exporters: Vec<String>) -> Durable<(), CursorError> {
        self.change(move |tx| cursors::set_configured(tx, &exporters).map(Ok))
    }

    fn remove_cursor(&self, exporter: &str) -> Durable<bool, CursorError> {
        let exporter = exporter.to_owned();
        self.change(move |tx| cursors::remove(tx, &exporter).map(Ok))
    }

    fn rename_cursor(&self, exporter: &str, to: &str) -> Durable<bool, CursorError> {
        let (exporter, to) = (exporter.to_owned(), to.to_owned());
        self.change(move |tx| cursors::rename(tx, &exporter, &to).map(Ok))
    }

    fn record_error(&self, exporter: &str, message: &str) -> Durable<(), CursorError> {
        let (exporter, message) = (exporter.to_owned(), message.to_owned());
        self.send(CursorError::Closed, |reply| WriterCommand::Change {
            change: change(reply, move |tx| {
                cursors::record_error(tx, &exporter, &message)
            }),
            can_wait: true,
        })
    }

    fn answer(&self) -> Durable<(), CursorError> {
        self.change(|_| Ok(Ok(())))
    }

    fn read_many(&self, from: Seq, limit: ReadLimit) -> Result<Vec<Record>, ReadError> {
        // Exporters that keep up are at the end most of the time. The head is in
        // memory, so this costs no query.
        if from > *self.shared.head.borrow() {
            return Ok(Vec::new());
        }
        self.query(|tx| read::records(tx, from, limit))
    }

    fn read_back(
        &self,
        range: RangeInclusive<Seq>,
        storage_id: &str,
    ) -> Result<Option<Record>, ReadError> {
        self.query(|tx| read::record_back(tx, &range, storage_id))
    }

    fn counts(&self, exporter: &str) -> Result<Option<ItemCounts>, ReadError> {
        self.query(|tx| counts::counts(tx, exporter))
    }

    fn backlog(&self, exporter: &str) -> Result<Option<Backlog>, ReadError> {
        self.query(|tx| counts::backlog(tx, exporter))
    }

    fn seq_after_bytes(&self, bytes: u64) -> Result<Seq, ReadError> {
        self.query(|tx| seek::seq_after_bytes(tx, bytes))
    }

    fn seq_within(&self, age: Duration) -> Result<Seq, ReadError> {
        self.query(|tx| seek::seq_within(tx, &self.shared.clock, age))
    }

    fn cursors(&self) -> Result<Vec<Cursor>, ReadError> {
        self.query(cursors::all)
    }

    fn collected_until(&self, storage_id: &str) -> Result<Option<i64>, ReadError> {
        self.query(|tx| windows::until_ms(tx, storage_id))
    }

    fn batch(&self, batch_id: Uuid) -> Result<Option<BatchInfo>, ReadError> {
        self.query(|tx| read::batch(tx, batch_id))
    }

    fn stats(&self) -> Result<JournalStats, ReadError> {
        let held = self.query(read::held)?;
        let activity = self
            .shared
            .activity
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        Ok(JournalStats {
            records: held.records,
            bytes: held.bytes,
            needed_bytes: held.needed_bytes,
            max_bytes: self.max_bytes,
            file_bytes: held.file_bytes,
            oldest_accepted_ms: held.oldest_accepted_ms,
            free_disk_bytes: free_bytes(&self.folder),
            ..activity
        })
    }

    fn clock(&self) -> &HostClock {
        &self.shared.clock
    }

    fn verify(&self) -> Result<(), ReadError> {
        self.query(read::check)
    }

    fn head(&self) -> watch::Receiver<Seq> {
        self.shared.head.subscribe()
    }

    fn commits(&self) -> watch::Receiver<u64> {
        self.shared.commits.subscribe()
    }

    fn observe(&self, observer: Weak<dyn AppendObserver>) {
        self.shared.observer.set(observer);
    }

    fn close(&self) {
        self.commands.send(WriterCommand::Close);
        let thread = self
            .writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            log::error!(folder:% = self.folder.display(); "the writer of the journal panicked");
        }
    }
}

impl DeadLetterStore for SqliteJournal {
    fn dead_letters(&self, which: &DeadLetterFilter) -> Result<Vec<StoredDeadLetter>, ReadError> {
        self.query(|tx| dead_letters::list(tx, which))
    }

    fn count_dead_letters(&self, which: &DeadLetterFilter) -> Result<u64, ReadError> {
        self.query(|tx| dead_letters::count(tx, which))
    }

    fn dead_letter(&self, id: DeadLetterId) -> Result<Option<StoredDeadLetter>, ReadError> {
        self.query(|tx| dead_letters::get(tx, id))
    }

    fn replay_dead_letters(
        &self,
        which: &DeadLetterFilter,
    ) -> Durable<DeadLetterCount, CursorError> {
        let which = which.clone();
        self.change(move |tx| dead_letters::start_replay(tx, &which).map(Ok))
    }

    fn purge_dead_letters(
        &self,
        which: &DeadLetterFilter,
    ) -> Durable<DeadLetterCount, CursorError> {
        let which = which.clone();
        self.change(move |tx| dead_letters::purge(tx.connection, &which).map(Ok))
    }

    fn trim_dead_letters(
        &self,
        exporter: &str,
        limits: &DeadLetterLimits,
    ) -> Durable<DeadLetterCount, CursorError> {
        let (exporter, limits) = (exporter.to_owned(), *limits);
        self.change(move |tx| dead_letters::trim(tx, &exporter, &limits).map(Ok))
    }

    fn next_replayed_dead_letter(
        &self,
        exporter: &str,
        after: DeadLetterId,
    ) -> Result<Option<StoredDeadLetter>, ReadError> {
        self.query(|tx| dead_letters::next_in_replay(tx, exporter, after))
    }

    fn dead_letter_totals(&self, exporter: &str) -> Result<DeadLetterCount, ReadError> {
        self.query(|tx| dead_letters::totals(tx, exporter))
    }
}

impl Drop for SqliteJournal {
    fn drop(&mut self) {
        self.close();
    }
}
