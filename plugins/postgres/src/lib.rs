//! Exporters that write to PostgreSQL.
//!
//! Promises: a batch is written in one transaction, and is delivered when the transaction
//! is committed; rows that are written again change nothing.

mod client;
mod config;
pub mod encode;
mod outcome;

use std::marker::PhantomData;

use delfin_plugin_api::{
    AlertBatch, Context, Exporter, Failure, Host, Outcome, PerformanceBatch, RowFailures,
    export_plugin, log,
};

use crate::{
    client::PostgresClient,
    config::Config,
    encode::{CopyBatch, CopyTables},
};

export_plugin! {
    "PerformanceExporterPostgres" => PostgresExporter<PerformanceBatch>: "Writes points to tables of PostgreSQL or TimescaleDB",
    "AlertExporterPostgres" => PostgresExporter<AlertBatch>: "Keeps a table of alerts and their state in PostgreSQL",
}

struct PostgresExporter<B> {
    client: PostgresClient,
    tables: CopyTables,
    batches: PhantomData<fn(B)>,
}

impl<B: CopyBatch> Exporter for PostgresExporter<B> {
    type Batch = B;
    type Config = Config;

    const EXCLUSIVE: bool = false;

    /// Bounds the time of a transaction.
    const MAX_POINTS: Option<u64> = Some(100_000);

    fn check(config: Config) -> Result<(), Failure> {
        config.connector().map(drop)
    }

    fn create(config: Config, host: &Host) -> Result<Self, Failure> {
        Ok(Self {
            client: PostgresClient::new(config, host)?,
            tables: CopyTables::default(),
            batches: PhantomData,
        })
    }

    fn export(&mut self, batch: &B, context: &Context<'_>) -> Outcome {
        if context.cancelled() {
            return Err(Failure::retry("the host is stopping"));
        }
        if self.client.open(B::STATEMENTS, context.remaining())? {
            // The database may be another one than that of the last connection.
            self.tables.forget_series();
        }
        let parts: Vec<_> = context.parts().collect();
        let mut refused = RowFailures::new();
        self.tables.clear();
        batch.encode(&parts, &mut self.tables, &mut refused);
        if !self.tables.is_empty() {
            self.client
                .write(&mut self.tables, B::STATEMENTS, context.remaining())?;
        }
        log::debug!(rows = batch.rows(), items = batch.items(); "batch written");
        refused.into_outcome()
    }

    fn health(&mut self, context: &Context<'_>) -> Outcome {
        self.client.health(context.remaining())
    }

    fn close(&mut self, _: &Context<'_>) -> Outcome {
        self.client.close();
        Ok(())
    }
}
