//! Writes to the database.
//!
//! Promises: a call ends within its time; after a failure nothing of the call is in the
//! tables, or all of it is.

mod schema;

use std::time::Duration;

use delfin_plugin_api::{
    Failure, Host, Outcome,
    postgres::{
        PostgresConnector,
        tokio_postgres::{Client, Transaction},
    },
    runtime::AsyncRuntime,
};
use futures_util::SinkExt;

use crate::{
    config::Config,
    encode::{CopyBuffer, CopyStatements, CopyTables},
    outcome::PostgresWriteError,
};

pub(crate) struct PostgresClient {
    runtime: AsyncRuntime,
    config: Config,
    connector: PostgresConnector,
    /// `None` before the first call, and after a failure.
    connection: Option<Client>,
}

impl PostgresClient {
    /// A client for the database in `config`. Connects with the first batch.
    pub(crate) fn new(config: Config, host: &Host) -> Result<Self, Failure> {
        if config.password.is_some() && config.tls.is_none() {
            config
                .address
                .warn_of_plain_credentials("remove `tls = false`");
        }
        Ok(Self {
            runtime: AsyncRuntime::new(host)?,
            connector: config.connector()?,
            connection: None,
            config,
        })
    }

    /// Connects unless a connection is open, and returns whether it is a new one.
    pub(crate) fn open(
        &mut self,
        statements: CopyStatements,
        time: Duration,
    ) -> Result<bool, Failure> {
        let is_open = |client: &Client| !client.is_closed();
        if self.connection.as_ref().is_some_and(is_open) {
            return Ok(false);
        }
        let Self {
            runtime,
            config,
            connector,
            ..
        } = self;
        let connected = runtime.run(time, async {
            let client = connector.connect().await?;
            schema::ensure(&client, config).await?;
            let prepare = schema::with_schema(statements.prepare, config);
            client.batch_execute(&prepare).await?;
            Ok(client)
        });
        self.connection = Some(self.finish(connected)?);
        Ok(true)
    }

    /// Writes the rows in one transaction of the open connection. The tables are empty
    /// afterwards.
    pub(crate) fn write(
        &mut self,
        tables: &mut CopyTables,
        statements: CopyStatements,
        time: Duration,
    ) -> Outcome {
        let Self {
            runtime,
            config,
            connection,
            ..
        } = self;
        let Some(client) = connection else {
            return Err(Failure::retry("there is no connection"));
        };
        let written = runtime.run(time, write(client, config, tables, statements));
        self.finish(written)
    }

    /// Checks that the database answers, and that it has the tables or lets the role make them.
    pub(crate) fn health(&mut self, time: Duration) -> Outcome {
        let Self {
            runtime,
            config,
            connector,
            connection,
        } = self;
        let checked = runtime.run(time, async {
            if let Some(client) = connection {
                return Ok(client.check_connection().await?);
            }
            let client = connector.connect().await?;
            schema::check(&client, config).await
        });
        self.finish(checked)
    }

    /// Closes the connection.
    pub(crate) fn close(&mut self) {
        self.connection = None;
    }

    fn finish<T>(&mut self, result: Option<Result<T, PostgresWriteError>>) -> Result<T, Failure> {
        let address = &self.config.address;
        let failure = match result {
            Some(Ok(result)) => return Ok(result),
            Some(Err(error)) => error.into_failure(&self.config),
            // Not uncertain: rows that are written twice are there once.
            None if self.connection.is_some() => {
                Failure::retry(format!("`{address}`: does not answer in time"))
            }
            None => Failure::retry(format!(
                "`{address}`: does not answer in time (check that the port is that of PostgreSQL)"
            )),
        };
        // The server rolls back what the connection has begun.
        self.connection = None;
        Err(failure)
    }
}

async fn write(
    client: &mut Client,
    config: &Config,
    tables: &mut CopyTables,
    statements: CopyStatements,
) -> Result<(), PostgresWriteError> {
    let transaction = client.transaction().await?;
    if let Some(series) = statements.series.filter(|_| !tables.series.is_empty()) {
        copy(&transaction, config, &mut tables.series, series).await?;
    }
    if !tables.main.is_empty() {
        copy(&transaction, config, &mut tables.main, statements.main).await?;
    }
    transaction.commit().await?;
    tables.series_written();
    Ok(())
}

/// Copies rows to a table of the connection, and moves them from there.
async fn copy(
    transaction: &Transaction<'_>,
    config: &Config,
    rows: &mut CopyBuffer,
    [copy, insert]: [&str; 2],
) -> Result<(), PostgresWriteError> {
    let sink = transaction.copy_in(copy).await?;
    let mut sink = std::pin::pin!(sink);
    sink.send(rows.take()).await?;
    sink.finish().await?;
    transaction
        .batch_execute(&schema::with_schema(insert, config))
        .await?;
    Ok(())
}
