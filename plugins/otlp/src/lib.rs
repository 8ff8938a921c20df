//! Exporters that send metrics and logs over OTLP, the protocol of OpenTelemetry.
//!
//! Promises: a row is delivered when the receiver has accepted all its points, or its alert; each
//! storage is a resource.

mod client;
mod config;
pub mod encode;
mod outcome;

use std::{marker::PhantomData, time::Instant};

use delfin_plugin_api::{
    AlertBatch, Context, Exporter, Failure, Host, Outcome, PerformanceBatch, export_plugin, log,
    workers::{Shard, ShardLimits, StorageShards},
};

use crate::{
    client::{OtlpClient, check},
    config::Config,
    encode::OtlpBatch,
};

export_plugin! {
    "PerformanceExporterOtlp" => OtlpExporter<PerformanceBatch>: "Sends points over OTLP as metrics, to an OpenTelemetry Collector or another receiver",
    "AlertExporterOtlp" => OtlpExporter<AlertBatch>: "Sends alerts over OTLP as logs, to an OpenTelemetry Collector or another receiver",
}

/// A Collector puts about as many points into a request by default.
const REQUEST_LIMITS: ShardLimits = ShardLimits {
    workers: 4,
    min_items: 4_000,
    max_items: 8_000,
};

struct OtlpExporter<B> {
    client: OtlpClient,
    shards: StorageShards,
    host: Host,
    batches: PhantomData<fn(B)>,
}

impl<B: OtlpBatch> Exporter for OtlpExporter<B> {
    type Batch = B;
    type Config = Config;

    const EXCLUSIVE: bool = false;

    /// As many as eight requests have.
    const MAX_POINTS: Option<u64> = Some(64_000);

    fn check(config: Config) -> Outcome {
        check(&config)
    }

    fn create(config: Config, host: &Host) -> Result<Self, Failure> {
        config.http.warn_of_plain_credentials(&config.url.url);
        Ok(Self {
            shards: StorageShards::new(ShardLimits {
                workers: config.workers,
                ..REQUEST_LIMITS
            }),
            client: OtlpClient::new::<B>(config, host)?,
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
        let send = |shard: &Shard<'_, B>| client.send(&shard.batch, host, deadline);
        let outcome = self.shards.send(batch, context, send);
        log::debug!(rows = batch.rows(), items = batch.items(); "batch sent");
        outcome
    }

    fn health(&mut self, context: &Context<'_>) -> Outcome {
        self.client.health(Instant::now() + context.remaining())
    }
}
