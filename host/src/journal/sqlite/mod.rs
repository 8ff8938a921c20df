//! A journal kept in an SQLite file.
//!
//! One thread writes, in groups that share a commit; reads go beside it. The
//! log is synced before anyone is answered.

mod append;
mod change;
mod check;
mod command;
mod cursors;
mod file;
mod letters;
mod place;
mod prune;
mod queue;
mod read;
mod salvage;
mod settle;
mod space;
mod stand;
mod work;
mod writer;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod replay_tests;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use super::cursor::{Backlog, Commit, Cursor, ItemCounts, StartFrom};
use super::dead_letters::{
    DeadLetterCount, DeadLetterFilter, DeadLetterId, DeadLetterLimits, DeadLetterStore,
    StoredDeadLetter,
};
use super::error::{AppendError, CursorError, OpenError, ReadError};
use super::record::{BatchInfo, NewRecord, Receipt, Record};
use super::{Durable, Journal, JournalLimits, JournalStats};
use crate::batch::Seq;
use crate::sqlite::FailureKind;
use change::change;
use command::{Answer, Command};
use read::FailedRead;
use space::Space;
use work::Work;
use writer::{Shared, Writer};

/// How long a reader waits for a damaged file to be replaced.
const MENDING: Duration = Duration::from_secs(5);

/// One journal: one file, one writer thread.
pub(super) struct SqliteJournal {
    folder: PathBuf,
    max_bytes: u64,
    commands: Sender<Command>,
    shared: Shared,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl SqliteJournal {
    /// Opens the journal's file in a folder, and starts its writer.
    pub(super) fn open(
        folder: &Path,
        journal: &str,
        limits: JournalLimits,
    ) -> Result<Self, OpenError> {
        let path = folder.join(format!("{journal}.db"));
        let shared = Shared {
            readers: Arc::new(read::Readers::new(path.clone())),
            head: Arc::new(watch::Sender::new(Seq(0))),
            commits: Arc::new(watch::Sender::new(0)),
            done: Arc::default(),
        };
        let max_bytes = limits.max_bytes;
        let space = Space::new(folder, journal, limits.min_free_bytes);
        let writer = Writer::open(path, limits, space, shared.clone())?;
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

    fn ask<T: Send + 'static, E: Send + 'static>(
        &self,
        closed: E,
        command: impl FnOnce(Answer<T, E>) -> Command,
    ) -> Durable<T, E> {
        let (asker, answer) = oneshot::channel();
        // A command that nobody takes is dropped, and its asker learns that the journal is closed.
        let _ = self.commands.send(command(Answer::to(asker)));
        Box::pin(async move { answer.await.unwrap_or(Err(closed)) })
    }

    /// Asks for a change that others must not wait behind, nor it behind them.
    fn change<T: Send + 'static>(
        &self,
        make: impl FnMut(&mut Work<'_>) -> rusqlite::Result<Result<T, CursorError>> + Send + 'static,
    ) -> Durable<T, CursorError> {
        self.ask(CursorError::Closed, |answer| Command::Change {
            change: change(answer, make),
            can_wait: false,
        })
    }

    /// Asks the file. One that turns out to be damaged is asked again once the
    /// writer has put another in its place.
    fn query<T>(&self, query: impl Fn(&Connection) -> rusqlite::Result<T>) -> Result<T, ReadError> {
        let readers = &self.shared.readers;
        let unavailable = |error: &rusqlite::Error| ReadError::Unavailable {
            reason: error.to_string(),
        };
        let FailedRead { generation, error } = match readers.query(&query) {
            Ok(found) => return Ok(found),
            Err(failed) => failed,
        };
        let failed = unavailable(&error);
        if FailureKind::of(&error) != FailureKind::Damaged {
            return Err(failed);
        }
        if self
            .commands
            .send(Command::Damaged { generation, error })
            .is_err()
        {
            // A writer that has ended has nothing to mend either.
            return Err(failed);
        }
        let begun = Instant::now();
        let mut failed = failed;
        while begun.elapsed() < MENDING {
            if readers.generation() != generation {
                // The new file may not be whole yet.
                match readers.query(&query) {
                    Ok(found) => return Ok(found),
                    Err(again) => failed = unavailable(&again.error),
                }
            }
            thread::sleep(Duration::from_millis(1));
        }
        Err(failed)
    }
}

impl Journal for SqliteJournal {
    fn append(
        &self,
        record: NewRecord,
        idempotency_key: Option<String>,
    ) -> Durable<Receipt, AppendError> {
        self.ask(AppendError::Closed, |answer| Command::Append {
            record,
            key: idempotency_key,
            answer,
        })
    }

    fn open_cursor(&self, exporter: &str, start: StartFrom) -> Durable<Cursor, CursorError> {
        let exporter = exporter.to_owned();
        self.change(move |work| cursors::open(work, &exporter, start).map(Ok))
    }

    fn commit(&self, exporter: &str, commit: Commit) -> Durable<(), CursorError> {
        let exporter = exporter.to_owned();
        self.ask(CursorError::Closed, |answer| Command::Commit {
            exporter,
            commit,
            answer,
        })
    }

    fn drop_before(&self, exporter: &str, end: Seq, limit: &str) -> Durable<u64, CursorError> {
        let (exporter, limit) = (exporter.to_owned(), limit.to_owned());
        self.change(move |work| settle::drop_before(work, &exporter, end, &limit))
    }

    fn replay(&self, exporter: &str, since_ms: i64) -> Durable<u64, CursorError> {
        let exporter = exporter.to_owned();
        self.change(move |work| cursors::replay(work, &exporter, since_ms))
    }

    fn set_configured(&self, exporters: Vec<String>) -> Durable<(), CursorError> {
        self.change(move |work| cursors::set_configured(work, &exporters).map(Ok))
    }

    fn remove_cursor(&self, exporter: &str) -> Durable<bool, CursorError> {
        let exporter = exporter.to_owned();
        self.change(move |work| cursors::remove(work, &exporter).map(Ok))
    }

    fn record_error(&self, exporter: &str, message: &str) -> Durable<(), CursorError> {
        let (exporter, message) = (exporter.to_owned(), message.to_owned());
        self.ask(CursorError::Closed, |answer| Command::Change {
            change: change(answer, move |work| {
                cursors::record_error(work, &exporter, &message)
            }),
            can_wait: true,
        })
    }

    fn read(&self, from: Seq) -> Result<Option<Record>, ReadError> {
        // Most who ask have read all there is, and the file need not be asked for that.
        if from > *self.shared.head.borrow() {
            return Ok(None);
        }
        self.query(|tx| read::record(tx, from))
    }

    fn counts(&self, exporter: &str) -> Result<Option<ItemCounts>, ReadError> {
        self.query(|tx| read::counts(tx, exporter))
    }

    fn backlog(&self, exporter: &str) -> Result<Option<Backlog>, ReadError> {
        self.query(|tx| place::backlog(tx, exporter))
    }

    fn seq_after_bytes(&self, bytes: u64) -> Result<Seq, ReadError> {
        self.query(|tx| place::seq_after_bytes(tx, bytes))
    }

    fn seq_since(&self, accepted_ms: i64) -> Result<Seq, ReadError> {
        self.query(|tx| place::seq_since(tx, accepted_ms))
    }

    fn cursors(&self) -> Result<Vec<Cursor>, ReadError> {
        self.query(cursors::all)
    }

    fn batch(&self, batch_id: Uuid) -> Result<Option<BatchInfo>, ReadError> {
        self.query(|tx| read::batch(tx, batch_id))
    }

    fn stats(&self) -> Result<JournalStats, ReadError> {
        let held = self.query(read::held)?;
        let done = self
            .shared
            .done
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
            free_disk_bytes: space::free_bytes(&self.folder),
            ..done
        })
    }

    fn head(&self) -> watch::Receiver<Seq> {
        self.shared.head.subscribe()
    }

    fn commits(&self) -> watch::Receiver<u64> {
        self.shared.commits.subscribe()
    }

    fn close(&self) {
        let _ = self.commands.send(Command::Close);
        let thread = self
            .writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            log::error!(folder:% = self.folder.display(); "the journal's writer ended in a panic");
        }
    }
}

impl DeadLetterStore for SqliteJournal {
    fn dead_letters(&self, which: &DeadLetterFilter) -> Result<Vec<StoredDeadLetter>, ReadError> {
        self.query(|tx| letters::list(tx, which))
    }

    fn dead_letter(&self, id: DeadLetterId) -> Result<Option<StoredDeadLetter>, ReadError> {
        self.query(|tx| letters::one(tx, id))
    }

    fn replay_dead_letters(
        &self,
        which: &DeadLetterFilter,
    ) -> Durable<DeadLetterCount, CursorError> {
        let which = which.clone();
        self.change(move |work| letters::replay(work, &which).map(Ok))
    }

    fn purge_dead_letters(
        &self,
        which: &DeadLetterFilter,
    ) -> Durable<DeadLetterCount, CursorError> {
        let which = which.clone();
        self.change(move |work| letters::purge(work.tx, &which).map(Ok))
    }

    fn trim_dead_letters(
        &self,
        exporter: &str,
        limits: &DeadLetterLimits,
    ) -> Durable<DeadLetterCount, CursorError> {
        let (exporter, limits) = (exporter.to_owned(), *limits);
        self.change(move |work| letters::trim(work, &exporter, &limits).map(Ok))
    }

    fn next_replayed_dead_letter(
        &self,
        exporter: &str,
        after: DeadLetterId,
    ) -> Result<Option<StoredDeadLetter>, ReadError> {
        self.query(|tx| letters::next_replayed_dead_letter(tx, exporter, after))
    }

    fn dead_letter_totals(&self, exporter: &str) -> Result<DeadLetterCount, ReadError> {
        self.query(|tx| letters::totals(tx, exporter))
    }
}

impl Drop for SqliteJournal {
    fn drop(&mut self) {
        self.close();
    }
}
