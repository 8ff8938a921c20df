//! Inserts rows over HTTP, after it has created the tables.

use std::time::{Duration, Instant};

use delfin_plugin_api::{
    Failure, Outcome,
    arrow_array::RecordBatch,
    arrow_stream::write_stream,
    http::{BodyCompressor, Client, query_value},
    workers::BufferPool,
};

use crate::{
    config::Config,
    encode::{TableBatch, quoted},
    outcome,
};

/// The server answers after the rows are inserted, also if its default is to insert later.
const SETTINGS: &str = "async_insert=0&wait_end_of_query=1&insert_deduplicate=1";

pub(crate) struct ClickHouseClient {
    http: Client,
    /// A stream, and the same compressed.
    buffers: BufferPool<(Vec<u8>, BodyCompressor)>,
    base: String,
    redacted_url: String,
    insert_url: String,
    /// Statements to run before the first insert.
    statements: Vec<String>,
}

impl ClickHouseClient {
    /// A client for the table of a kind. Connects with the first request.
    pub(crate) fn new<B: TableBatch>(config: Config) -> Result<Self, Failure> {
        let table = config.table.as_deref().unwrap_or(B::TABLE);
        let in_database = |name: &str| format!("{}.{}", quoted(&config.database), quoted(name));
        let (table, view) = (in_database(table), in_database(&format!("{table}_points")));
        let statements = if config.create_table {
            B::statements(&table, &view)
        } else {
            Vec::new()
        };
        let insert = format!("INSERT INTO {table} ({}) FORMAT ArrowStream", B::columns());
        let base = &config.url.url;
        let compression = config.compression;
        let buffers = move || (Vec::new(), BodyCompressor::new(compression));
        Ok(Self {
            http: Client::new(&config.http)?,
            buffers: BufferPool::new(buffers),
            insert_url: format!("{base}/?{SETTINGS}&query={}", query_value(&insert)),
            base: base.clone(),
            redacted_url: config.url.redacted,
            statements,
        })
    }

    /// Creates the tables before the first insert, unless the operator has created them.
    pub(crate) fn create_tables(&mut self, deadline: Instant) -> Outcome {
        for statement in &self.statements {
            let request = self.http.post(&format!("{}/", self.base));
            let response = request.send(statement.as_bytes(), left(deadline));
            let response =
                response.map_err(|error| error.repeatable_failure(&self.redacted_url))?;
            outcome::of_statement(&response, &self.redacted_url)?;
        }
        self.statements.clear();
        Ok(())
    }

    /// Inserts rows. `token` is the same if the same rows are inserted again.
    pub(crate) fn insert(&self, rows: &RecordBatch, token: &str, deadline: Instant) -> Outcome {
        let token = query_value(token);
        let url = format!("{}&insert_deduplication_token={token}", self.insert_url);
        let response = self.buffers.with(|(stream, compressor)| {
            write_stream(rows, stream)?;
            let request = self
                .http
                .post(&url)
                .header("content-type", "application/vnd.apache.arrow.stream");
            Ok::<_, Failure>(request.send_compressed(stream, compressor, left(deadline)))
        })?;
        // Not uncertain: rows with the same token are there once.
        let response = response.map_err(|error| error.repeatable_failure(&self.redacted_url))?;
        outcome::of_insert(&response, &self.redacted_url)
    }

    /// Runs a query that needs no privilege.
    pub(crate) fn health(&self, time: Duration) -> Outcome {
        let request = self.http.post(&format!("{}/", self.base));
        let response = request.send(b"SELECT 1", time);
        let response = response.map_err(|error| error.repeatable_failure(&self.redacted_url))?;
        outcome::of_health(&response, &self.redacted_url)
    }
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}
