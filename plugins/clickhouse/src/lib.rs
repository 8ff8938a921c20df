//! Exporters that insert batches into ClickHouse.
//!
//! Promises: a batch is inserted as the Arrow data that it is; a row is delivered when the server has
//! inserted it; rows that are sent again with the same others are inserted once.

mod client;
mod config;
pub mod encode;
mod outcome;

use std::{marker::PhantomData, time::Instant};

use delfin_plugin_api::{
    AlertBatch, Context, Exporter, Failure, Host, Outcome, PerformanceBatch, export_plugin, log,
    workers::{Shard, ShardLimits, StorageShards},
};

use crate::{client::ClickHouseClient, config::Config, encode::TableBatch};

export_plugin! {
    "PerformanceExporterClickHouse" => ClickHouseExporter<PerformanceBatch>: "Inserts series into a table of ClickHouse",
    "AlertExporterClickHouse" => ClickHouseExporter<AlertBatch>: "Inserts alerts into a table of ClickHouse",
}

/// ClickHouse inserts a million points at once, and prefers few large requests: each makes a part of
/// the table.
const REQUEST_LIMITS: ShardLimits = ShardLimits {
    workers: 1,
    min_items: 0,
    max_items: 1_000_000,
};

struct ClickHouseExporter<B> {
    client: ClickHouseClient,
    shards: StorageShards,
    exporter: String,
    batches: PhantomData<fn(B)>,
}

impl<B: TableBatch> Exporter for ClickHouseExporter<B> {
    type Batch = B;
    type Config = Config;

    const EXCLUSIVE: bool = false;

    const MAX_POINTS: Option<u64> = Some(REQUEST_LIMITS.max_items);

    fn check(config: Config) -> Outcome {
        ClickHouseClient::new::<B>(config).map(drop)
    }

    fn create(config: Config, host: &Host) -> Result<Self, Failure> {
        config.http.warn_of_plain_credentials(&config.url.url);
        Ok(Self {
            shards: StorageShards::new(ShardLimits {
                workers: config.workers,
                ..REQUEST_LIMITS
            }),
            client: ClickHouseClient::new::<B>(config)?,
            exporter: host.exporter().to_owned(),
            batches: PhantomData,
        })
    }

    fn export(&mut self, batch: &B, context: &Context<'_>) -> Outcome {
        if batch.rows() == 0 {
            return Ok(());
        }
        if context.cancelled() {
            return Err(Failure::retry("the host is stopping"));
        }
        let deadline = Instant::now() + context.remaining();
        self.client.create_tables(deadline)?;
        let is_merged = context.parts().len() > 1;
        let (client, exporter) = (&self.client, &self.exporter);
        let insert = |shard: &Shard<'_, B>| {
            let token = shard.idempotency_key(exporter);
            // Merged batches can have a text twice in their dictionaries, which ClickHouse refuses.
            if is_merged {
                let rows = shard.batch.with_unique_texts();
                let rows = rows.map_err(Failure::rejected)?;
                return client.insert(&rows, &token, deadline);
            }
            client.insert(shard.batch.as_arrow(), &token, deadline)
        };
        let outcome = self.shards.send(batch, context, insert);
        log::debug!(rows = batch.rows(), items = batch.items(); "batch inserted");
        outcome
    }

    fn health(&mut self, context: &Context<'_>) -> Outcome {
        self.client.health(context.remaining())
    }
}
