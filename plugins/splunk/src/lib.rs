//! Exporters that send to the HTTP event collector of Splunk.
//!
//! Promises: a row is delivered when Splunk acknowledges that all its events are indexed, unless the
//! settings say otherwise; what is not acknowledged in time is sent again.

mod client;
mod config;
pub mod encode;
mod outcome;
mod state;

use std::{marker::PhantomData, time::Instant};

use delfin_plugin_api::{
    AlertBatch, Context, Exporter, Failure, Host, Outcome, PerformanceBatch, export_plugin, log,
    workers::{Shard, ShardLimits, StorageShards},
};

use crate::{client::SplunkClient, config::Config, encode::EventBatch};

export_plugin! {
    "PerformanceExporterSplunk" => SplunkExporter<PerformanceBatch>: "Sends points as metrics to Splunk",
    "AlertExporterSplunk" => SplunkExporter<AlertBatch>: "Sends alerts as events to Splunk",
}

/// A worker sends all that it has before it asks for acknowledgements. The encoder cuts requests by
/// their bytes.
const WORK_LIMITS: ShardLimits = ShardLimits {
    workers: 4,
    min_items: 0,
    max_items: u64::MAX,
};

struct SplunkExporter<B> {
    client: SplunkClient,
    shards: StorageShards,
    host: Host,
    batches: PhantomData<fn(B)>,
}

impl<B: EventBatch> Exporter for SplunkExporter<B> {
    type Batch = B;
    type Config = Config;

    const EXCLUSIVE: bool = false;

    /// Some fifty requests, which wait for their acknowledgement together.
    const MAX_POINTS: Option<u64> = Some(200_000);

    fn check(config: Config) -> Outcome {
        SplunkClient::new(config).map(drop)
    }

    fn create(config: Config, host: &Host) -> Result<Self, Failure> {
        config.http.warn_of_plain_credentials(&config.url.url);
        Ok(Self {
            shards: StorageShards::new(ShardLimits {
                workers: config.workers,
                ..WORK_LIMITS
            }),
            client: SplunkClient::new(config)?,
            host: host.clone(),
            batches: PhantomData,
        })
    }

    fn export(&mut self, batch: &B, context: &Context<'_>) -> Outcome {
        if context.cancelled() {
            return Err(Failure::retry("the host is stopping"));
        }
        let deadline = Instant::now() + context.remaining();
        self.client.begin(Instant::now());
        let (client, host) = (&self.client, &self.host);
        let is_stopping = || context.cancelled();
        let send = |shard: &Shard<'_, B>| {
            let (outcome, skipped) = client.send(&shard.batch, deadline, &is_stopping);
            match &outcome {
                // Counted after delivery: a retry encodes the same rows again.
                Ok(()) | Err(Failure::Partial { .. }) => skipped.count(host),
                Err(_) => {}
            }
            outcome
        };
        let outcome = self.shards.send(batch, context, send);
        log::debug!(rows = batch.rows(), items = batch.items(); "batch sent");
        outcome
    }

    fn health(&mut self, context: &Context<'_>) -> Outcome {
        self.client.health(context.remaining())
    }
}
