//! Exporters that write to InfluxDB, in line protocol.
//!
//! Promises: a row is delivered when the server has stored all its points; rows that are
//! sent again overwrite the same points.

mod client;
mod config;
pub mod encode;
mod outcome;

use std::{marker::PhantomData, time::Instant};

use delfin_plugin_api::{
    AlertBatch, Context, Exporter, Failure, Host, Outcome, PerformanceBatch, export_plugin, log,
    workers::{Shard, ShardLimits, StorageShards},
};

use crate::{client::InfluxClient, config::Config, encode::LineBatch};

export_plugin! {
    "PerformanceExporterInfluxDB" => InfluxExporter<PerformanceBatch>: "Writes points to InfluxDB, and to other servers that take line protocol",
    "AlertExporterInfluxDB" => InfluxExporter<AlertBatch>: "Writes alerts to InfluxDB as points with text fields",
}

/// InfluxDB recommends 5,000 to 10,000 lines in a request.
const REQUEST_LIMITS: ShardLimits = ShardLimits {
    workers: 4,
    min_items: 5_000,
    max_items: 10_000,
};

struct InfluxExporter<B> {
    client: InfluxClient,
    shards: StorageShards,
    host: Host,
    batches: PhantomData<fn(B)>,
}

impl<B: LineBatch> Exporter for InfluxExporter<B> {
    type Batch = B;
    type Config = Config;

    const EXCLUSIVE: bool = false;

    /// As many as eight requests have.
    const MAX_POINTS: Option<u64> = Some(80_000);

    fn check(config: Config) -> Outcome {
        InfluxClient::new(config).map(drop)
    }

    fn create(config: Config, host: &Host) -> Result<Self, Failure> {
        config.http.warn_of_plain_credentials(&config.write_url);
        Ok(Self {
            shards: StorageShards::new(ShardLimits {
                workers: config.workers,
                ..REQUEST_LIMITS
            }),
            client: InfluxClient::new(config)?,
            host: host.clone(),
            batches: PhantomData,
        })
    }

    fn export(&mut self, batch: &B, context: &Context<'_>) -> Outcome {
        if context.cancelled() {
            return Err(Failure::retry("the host is stopping"));
        }
        let deadline = Instant::now() + context.remaining();
        let (client, host) = (&self.client, &self.host);
        let write = |shard: &Shard<'_, B>| client.write(shard, host, deadline);
        let outcome = self.shards.send(batch, context, write);
        log::debug!(rows = batch.rows(), items = batch.items(); "batch written");
        outcome
    }

    fn health(&mut self, context: &Context<'_>) -> Outcome {
        self.client.health(context.remaining())
    }
}
