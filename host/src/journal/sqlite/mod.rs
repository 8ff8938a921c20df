//! A lane kept in an SQLite file.
//!
//! One thread writes, in groups that share a commit; reads go beside it. The
//! log is synced before anyone is answered.

mod append;
mod check;
mod command;
mod file;
mod prune;
mod queue;
mod read;
mod settle;
mod space;
mod stand;
mod work;
mod writer;

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::Connection;
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use super::cursor::{Counts, Cursor, Settlement, StartFrom};
use super::error::{AppendError, CursorError, OpenError, ReadError};
use super::record::{BatchInfo, Entry, Receipt, Record, Seq};
use super::{Durable, Journal, Limits, Stats};
use command::{Answer, Command};
use file::Failure;
use read::FailedRead;
use space::Space;
use writer::{Shared, Writer};

/// One lane: one file, one writer thread.
pub(super) struct SqliteJournal {
    folder: PathBuf,
    max_bytes: u64,
    commands: Sender<Command>,
    shared: Shared,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl SqliteJournal {
    /// Opens the lane's file in a folder, and starts its writer.
    pub(super) fn open(folder: &Path, lane: &str, limits: Limits) -> Result<Self, OpenError> {
        let path = folder.join(format!("{lane}.db"));
        let shared = Shared {
            readers: Arc::new(read::Readers::new(path.clone())),
            head: Arc::new(watch::Sender::new(Seq(0))),
            settled: Arc::new(watch::Sender::new(0)),
            done: Arc::default(),
        };
        let max_bytes = limits.max_bytes;
        let space = Space::new(folder, lane, limits.min_free_bytes);
        let writer = Writer::open(path, limits, space, shared.clone())?;
        let (commands, queue) = channel();
        let thread = thread::Builder::new()
            .name(format!("journal-{lane}"))
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

    fn query<T>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, ReadError> {
        self.shared
            .readers
            .query(query)
            .map_err(|FailedRead { generation, error }| {
                let reason = error.to_string();
                if Failure::of(&error) == Failure::Damaged {
                    // A writer that has ended has nothing to mend either.
                    let _ = self.commands.send(Command::Damaged { generation, error });
                }
                ReadError::Unavailable { reason }
            })
    }
}

impl Journal for SqliteJournal {
    fn append(
        &self,
        record: Record,
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
        self.ask(CursorError::Closed, |answer| Command::OpenCursor {
            exporter,
            start,
            answer,
        })
    }

    fn settle(&self, exporter: &str, settlement: Settlement) -> Durable<(), CursorError> {
        let exporter = exporter.to_owned();
        self.ask(CursorError::Closed, |answer| Command::Settle {
            exporter,
            settlement,
            answer,
        })
    }

    fn record_error(&self, exporter: &str, message: &str) -> Durable<(), CursorError> {
        let (exporter, message) = (exporter.to_owned(), message.to_owned());
        self.ask(CursorError::Closed, |answer| Command::RecordError {
            exporter,
            message,
            answer,
        })
    }

    fn read(&self, from: Seq) -> Result<Option<Entry>, ReadError> {
        self.query(|tx| read::entry(tx, from))
    }

    fn counts(&self, exporter: &str) -> Result<Option<Counts>, ReadError> {
        self.query(|tx| read::counts(tx, exporter))
    }

    fn cursors(&self) -> Result<Vec<Cursor>, ReadError> {
        self.query(read::cursors)
    }

    fn batch(&self, batch_id: Uuid) -> Result<Option<BatchInfo>, ReadError> {
        self.query(|tx| read::batch(tx, batch_id))
    }

    fn stats(&self) -> Result<Stats, ReadError> {
        let held = self.query(read::held)?;
        let done = self
            .shared
            .done
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        Ok(Stats {
            records: held.records,
            bytes: held.bytes,
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

    fn settled(&self) -> watch::Receiver<u64> {
        self.shared.settled.subscribe()
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

impl Drop for SqliteJournal {
    fn drop(&mut self) {
        self.close();
    }
}

/// Milliseconds since 1970.
fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
