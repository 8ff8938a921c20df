//! Connections for reading while the writer thread writes.
//!
//! Each read runs in a transaction of its own on a connection of its own, and ends
//! it before it returns: SQLite cannot checkpoint its log past an open transaction.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use super::file;

/// A pool with as many connections as there were reads at the same time.
pub(super) struct ReaderPool {
    path: PathBuf,
    idle: Mutex<IdleConnections>,
}

/// A read that failed, and the generation of the file that it read.
pub(super) struct FailedRead {
    pub(super) generation: u64,
    pub(super) error: rusqlite::Error,
}

/// The writer replaces a damaged file with a new one of the same name. An open
/// connection would still read the old file. So the writer raises the generation
/// whenever the file may have changed, and a connection returns to the pool only in
/// the generation in which it was taken. The generation also tells which file a
/// reader found damaged, so that several reports replace the file once.
#[derive(Default)]
struct IdleConnections {
    generation: u64,
    connections: Vec<Connection>,
}

impl ReaderPool {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            idle: Mutex::default(),
        }
    }

    /// Runs a query in a transaction of its own.
    pub(super) fn query<T>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, FailedRead> {
        let (generation, connection) = {
            let mut idle = self.lock();
            (idle.generation, idle.connections.pop())
        };
        let run = || {
            let connection = match connection {
                Some(connection) => connection,
                None => file::open_reader(&self.path)?,
            };
            let transaction = connection.unchecked_transaction()?;
            let result = query(&transaction)?;
            transaction.commit()?;
            Ok((result, connection))
        };
        // A connection that failed is closed, not returned.
        let (result, connection) = run().map_err(|error| FailedRead { generation, error })?;
        let mut idle = self.lock();
        if idle.generation == generation {
            idle.connections.push(connection);
        }
        Ok(result)
    }

    /// Grows whenever the file may be another one.
    pub(super) fn generation(&self) -> u64 {
        self.lock().generation
    }

    /// Starts a new generation, without connections.
    pub(super) fn reset(&self) {
        let mut idle = self.lock();
        idle.generation += 1;
        idle.connections.clear();
    }

    fn lock(&self) -> MutexGuard<'_, IdleConnections> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
