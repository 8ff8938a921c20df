//! The connection of the member that has the lease, to everything of a state but the journals.
//!
//! Promises: a change is made as a whole or not at all, and only while no member has taken the state for a later epoch, so that a
//! former owner changes nothing, whenever its statements arrive. The result of a change says whether it was made: if the answer to
//! a commit is lost, the count of changes tells.
//!
//! A thread of its own makes the calls, one after the other, so that callers can wait without a runtime.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::mpsc as blocking;
use std::thread;
use std::time::Duration;

use delfin_plugin_api::postgres::tokio_postgres::{Client, Transaction, types::ToSql};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::{ClusterDatabase, DatabaseFailure, StoreError, database::CALL_TIMEOUT};
use crate::write_guard::WriteGuard;

/// How soon the outcome of a commit is asked for again.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);

/// The state of the owner.
pub struct FencedDatabase {
    /// Hosts and ports, for messages.
    name: String,
    jobs: mpsc::UnboundedSender<DatabaseJob>,
}

/// A value of a statement, which crosses to the thread of the connection.
pub type SqlValue = Box<dyn ToSql + Sync + Send>;

type DatabaseJob =
    Box<dyn for<'a> FnOnce(&'a mut StateLink) -> Pin<Box<dyn Future<Output = ()> + 'a>> + Send>;

/// The connection, on its thread.
struct StateLink {
    database: ClusterDatabase,
    lease: String,
    epoch: i64,
    guard: &'static WriteGuard,
    /// `None` after a failure.
    client: Option<Client>,
}

impl FencedDatabase {
    /// Takes the state of a lease for an epoch. Changes of earlier epochs are refused from now on. Blocks until the database has
    /// answered.
    ///
    /// # Errors
    ///
    /// The reason, with the remedy.
    pub(crate) fn open(
        database: ClusterDatabase,
        lease: &str,
        epoch: i64,
        guard: &'static WriteGuard,
    ) -> Result<Self, DatabaseFailure> {
        let name = database.name().to_owned();
        let mut link = StateLink {
            database,
            lease: lease.to_owned(),
            epoch,
            guard,
            client: None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(no_thread)?;
        let (jobs, mut queue) = mpsc::unbounded_channel::<DatabaseJob>();
        let serve = move || {
            runtime.block_on(async {
                while let Some(job) = queue.recv().await {
                    job(&mut link).await;
                }
            });
        };
        let thread = thread::Builder::new().name("state".to_owned());
        thread.spawn(serve).map_err(no_thread)?;
        let opened = Self { name, jobs };
        opened.run(async |link| link.claim().await)?;
        Ok(opened)
    }

    /// Reads something. The query gets the name of the lease.
    ///
    /// # Errors
    ///
    /// The reason, with the remedy.
    pub fn read<T: Send + 'static>(
        &self,
        query: impl AsyncFnOnce(&Client, &str) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, DatabaseFailure> {
        self.run(async move |link| link.read(query).await)
    }

    /// Changes something, in a transaction. The change gets the name of the lease.
    ///
    /// # Errors
    ///
    /// The reason, with the remedy. Nothing was changed, unless the lease has ended before the outcome was known.
    pub fn change<T: Send + 'static>(
        &self,
        change: impl AsyncFnOnce(&Transaction<'_>, &str) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, DatabaseFailure> {
        self.run(async move |link| link.change(change).await)
    }

    /// Makes a change of one statement: `$1` is the name of the lease, and the values follow. Returns how many rows it has changed.
    ///
    /// # Errors
    ///
    /// As [`Self::change`].
    pub fn execute(
        &self,
        statement: &'static str,
        values: Vec<SqlValue>,
    ) -> Result<u64, DatabaseFailure> {
        self.change(async move |tx, lease| {
            let mut all: Vec<&(dyn ToSql + Sync)> = vec![&lease];
            all.extend(values.iter().map(|value| &**value as &(dyn ToSql + Sync)));
            Ok(tx.execute(statement, &all).await?)
        })
    }

    /// Has the thread do something, and waits for it.
    fn run<T: Send + 'static>(
        &self,
        work: impl AsyncFnOnce(&mut StateLink) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, DatabaseFailure> {
        let (result, reply) = blocking::sync_channel(1);
        let job: DatabaseJob = Box::new(move |link| {
            Box::pin(async move {
                let done = work(link).await;
                // The caller waits for this.
                let _ = result.send(done.map_err(|error| link.database.explain(error)));
            })
        });
        let _ = self.jobs.send(job);
        let ended = || Err(lasting("the thread of the database ended"));
        reply.recv().unwrap_or_else(|_| ended())
    }
}

impl fmt::Debug for FencedDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FencedDatabase").field(&self.name).finish()
    }
}

fn lasting(reason: impl fmt::Display) -> DatabaseFailure {
    DatabaseFailure {
        reason: reason.to_string(),
        may_pass: false,
    }
}

fn no_thread(error: io::Error) -> DatabaseFailure {
    lasting(format_args!(
        "cannot start the thread of the database: {error}"
    ))
}

impl StateLink {
    /// The connection. The caller puts it back unless it fails, so that the next call opens another one.
    async fn connected(&mut self) -> Result<Client, StoreError> {
        match self.client.take() {
            Some(client) if !client.is_closed() => Ok(client),
            Some(_) | None => Ok(timeout(CALL_TIMEOUT, self.database.connect()).await??),
        }
    }

    async fn read<T>(
        &mut self,
        query: impl AsyncFnOnce(&Client, &str) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let client = self.connected().await?;
        let found = timeout(CALL_TIMEOUT, query(&client, &self.lease)).await??;
        self.client = Some(client);
        Ok(found)
    }

    async fn claim(&mut self) -> Result<(), StoreError> {
        const CLAIM: &str = "INSERT INTO delfin_states AS s (lease, epoch) VALUES ($1, $2)
             ON CONFLICT (lease) DO UPDATE SET epoch = excluded.epoch WHERE s.epoch <= excluded.epoch";
        let epoch = self.epoch;
        let claim = async |client: &Client, lease: &str| {
            Ok(client.execute(CLAIM, &[&lease, &epoch]).await?)
        };
        match self.read(claim).await? {
            0 => Err(StoreError::Superseded),
            _ => Ok(()),
        }
    }

    async fn change<T>(
        &mut self,
        change: impl AsyncFnOnce(&Transaction<'_>, &str) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        const FENCE: &str =
            "UPDATE delfin_states SET changes = changes + 1 WHERE lease = $1 AND epoch = $2
             RETURNING changes";
        let mut client = self.connected().await?;
        let prepare = async {
            let tx = client.transaction().await?;
            let fence = tx.query_opt(FENCE, &[&self.lease, &self.epoch]).await?;
            let changes: i64 = fence.ok_or(StoreError::Superseded)?.get(0);
            let result = change(&tx, &self.lease).await?;
            Ok::<_, StoreError>((tx, changes, result))
        };
        let (tx, changes, result) = timeout(CALL_TIMEOUT, prepare).await??;
        if !self.guard.is_open() {
            return Err(StoreError::Late);
        }
        let committed = timeout(CALL_TIMEOUT, tx.commit()).await;
        let failed = match committed.map_err(StoreError::from) {
            Ok(Ok(())) => {
                self.client = Some(client);
                return Ok(result);
            }
            Ok(Err(error)) => error.into(),
            Err(error) => error,
        };
        drop(client);
        match self.was_made(changes).await? {
            true => Ok(result),
            false => Err(failed),
        }
    }

    /// Whether the change with this count was made. Asks until the database answers, or this member may not write any more. The lock
    /// of the row is that of the change, so that one which is still under way has an outcome then.
    async fn was_made(&mut self, changes: i64) -> Result<bool, StoreError> {
        const COUNT: &str =
            "SELECT changes FROM delfin_states WHERE lease = $1 AND epoch = $2 FOR UPDATE";
        while self.guard.is_open() {
            let epoch = self.epoch;
            let count = async |client: &Client, lease: &str| {
                let row = client.query_opt(COUNT, &[&lease, &epoch]).await?;
                Ok(row.ok_or(StoreError::Superseded)?.get::<_, i64>(0))
            };
            match self.read(count).await {
                Ok(made) => return Ok(made >= changes),
                Err(StoreError::Superseded) => return Err(StoreError::Superseded),
                Err(_) => sleep(RETRY_INTERVAL).await,
            }
        }
        Err(StoreError::Late)
    }
}
