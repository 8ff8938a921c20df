//! Shared by the tests: a database, and what is in it.

use delfin_plugin_api::{Batch, testkit::TestInstance};
use delfin_tests::{
    receivers::{Postgres, PostgresTls},
    wait_for,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_postgres::{NoTls, Row};

/// A server with the database `delfin`, owned by the role `delfin` with the password `secret`.
pub(crate) struct Database {
    pub(crate) server: Postgres,
    _folder: TempDir,
}

impl Database {
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(None)
    }

    pub(crate) fn start_with(tls: Option<&PostgresTls<'_>>) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let database = Self {
            server: Postgres::start(folder.path(), tls)?,
            _folder: folder,
        };
        let role = "CREATE ROLE delfin LOGIN PASSWORD 'secret'";
        wait_for("a role", || database.try_query("postgres", role));
        database.query_in("postgres", "CREATE DATABASE delfin OWNER delfin");
        Some(database)
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.server.port())
    }

    pub(crate) fn settings(&self) -> Value {
        json!({
            "address": self.address(),
            "username": "delfin",
            "password": "secret",
            "tls": false,
        })
    }

    /// The rows of a query as the superuser.
    pub(crate) fn query(&self, query: &str) -> Vec<Row> {
        self.query_in("delfin", query)
    }

    pub(crate) fn try_query(&self, database: &str, query: &str) -> Option<Vec<Row>> {
        self.run(database, query).ok()
    }

    fn query_in(&self, database: &str, query: &str) -> Vec<Row> {
        let rows = self.run(database, query);
        rows.unwrap_or_else(|error| panic!("{query}: {error:?}"))
    }

    fn run(&self, database: &str, query: &str) -> Result<Vec<Row>, tokio_postgres::Error> {
        let port = self.server.port();
        let config = format!("host=127.0.0.1 port={port} user=postgres dbname={database}");
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(async {
            let (client, connection) = tokio_postgres::connect(&config, NoTls).await?;
            tokio::spawn(connection);
            client.query(query, &[]).await
        })
    }

    /// The first column of the only row.
    pub(crate) fn count(&self, query: &str) -> i64 {
        self.query(query)[0].get(0)
    }
}

/// Sends a batch again until it is delivered, as the host does.
pub(crate) fn deliver(exporter: &mut TestInstance, batch: &impl Batch) {
    wait_for("a delivered batch", || exporter.send(batch).ok());
}
