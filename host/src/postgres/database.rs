//! Connections to the database, and its tables.

use std::{fmt, sync::Arc, time::Duration};

use delfin_plugin_api::{
    Failure,
    postgres::{PostgresConnector, PostgresError, Remedies, tokio_postgres::Client},
};
use tokio::time::{error::Elapsed, timeout};

use super::{DatabaseFailure, StoreError, error::SUPERSEDED, schema::bring_up_to_date};
use crate::write_guard::LEASE_OVER;

/// The longest time that the database may take for a call.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// A member that is paused within a transaction has locks. The server ends the transaction, so that the next owner need not wait
/// for it.
const END_IDLE: &str = "SET idle_in_transaction_session_timeout = '2s'";

/// Where the database of a cluster is, and who connects.
#[derive(Clone)]
pub struct ClusterDatabase {
    connector: Arc<PostgresConnector>,
    /// Hosts and ports, for messages.
    name: Arc<str>,
}

impl ClusterDatabase {
    #[must_use]
    pub fn new(connector: PostgresConnector, name: &str) -> Self {
        Self {
            connector: Arc::new(connector),
            name: name.into(),
        }
    }

    /// Hosts and ports, for messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Opens a connection, and makes the tables if they are missing or older.
    ///
    /// # Errors
    ///
    /// There is no connection, the role may not make the tables, or they are those of a newer host.
    pub async fn connect(&self) -> Result<Client, StoreError> {
        let client = self.try_out().await?;
        client.batch_execute("COMMIT").await?;
        Ok(client)
    }

    /// As [`Self::connect`], in a transaction that stays open: if it is not committed, nothing was made.
    ///
    /// # Errors
    ///
    /// As [`Self::connect`].
    pub async fn try_out(&self) -> Result<Client, StoreError> {
        let client = self.connector.connect().await?;
        client.batch_execute(END_IDLE).await?;
        client.batch_execute("BEGIN").await?;
        bring_up_to_date(&client).await?;
        Ok(client)
    }

    /// What an error of the database means.
    #[must_use]
    pub fn failure(&self, error: PostgresError) -> Failure {
        const RIGHT: &str = "make the role the owner of the tables of `delfin-host` and grant it `CREATE` on the schema \
                             `public`; or let their owner start the host of this release once, and grant the role `SELECT`, \
                             `INSERT`, `UPDATE` and `DELETE` on them";
        let remedies = Remedies {
            login: "check the user of `cluster.postgres`, `cluster.password` and the server's `pg_hba.conf`",
            password: "set `cluster.password`",
            right: &|_| RIGHT.to_owned(),
        };
        error.into_failure(&self.name, &remedies)
    }

    /// What an error means to those who do not know the database.
    #[must_use]
    pub fn explain(&self, error: StoreError) -> DatabaseFailure {
        let (reason, may_pass) = match error {
            StoreError::Database(error) => {
                let failure = self.failure(error);
                let may_pass = matches!(failure, Failure::Retry { .. });
                (failure.to_string(), may_pass)
            }
            StoreError::TooSlow => (format!("`{}`: does not answer in time", self.name), true),
            StoreError::Superseded => (SUPERSEDED.to_owned(), false),
            StoreError::Late => (LEASE_OVER.to_owned(), false),
            StoreError::NewerTables { found, wanted } => {
                let reason = format!(
                    "`{}`: its tables have schema version {found}, and this host needs {wanted} (run the release that changed them, \
                     or a newer one)",
                    self.name
                );
                (reason, false)
            }
            StoreError::Content(reason) => (reason, false),
        };
        DatabaseFailure { reason, may_pass }
    }

    /// The reason of an error, with the name of the database and the remedy.
    #[must_use]
    pub fn reason(&self, error: StoreError) -> String {
        self.explain(error).reason
    }

    /// Connects and does something, which together may take as long as a call.
    ///
    /// # Errors
    ///
    /// The reason.
    pub async fn run<T>(
        &self,
        work: impl AsyncFnOnce(&mut Client) -> Result<T, StoreError>,
    ) -> Result<T, String> {
        let done = async { work(&mut self.connect().await?).await };
        self.result(timeout(CALL_TIMEOUT, done).await)
    }

    /// The result of a call of the database, or the reason why it failed or took too long.
    ///
    /// # Errors
    ///
    /// The reason.
    pub fn result<T>(&self, ended: Result<Result<T, StoreError>, Elapsed>) -> Result<T, String> {
        let result = ended.map_err(StoreError::from).flatten();
        result.map_err(|error| self.reason(error))
    }
}

impl fmt::Debug for ClusterDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterDatabase")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
