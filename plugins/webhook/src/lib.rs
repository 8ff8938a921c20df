//! Exporters that post each batch to a URL, as JSON.
//!
//! Promises: the same rows have the same idempotency key in every attempt; a row
//! that the receiver names in its answer gets the result that the answer gives it.

mod client;
mod config;
pub mod encode;
mod outcome;

use std::{marker::PhantomData, time::Instant};

use delfin_plugin_api::{
    AlertBatch, Context, Exporter, Failure, Host, Outcome, PerformanceBatch, export_plugin,
    json::JsonBatch,
    log,
    workers::{Shard, ShardLimits, StorageShards},
};

use crate::{client::WebhookClient, config::Config};

export_plugin! {
    "PerformanceExporterWebhook" => WebhookExporter<PerformanceBatch>: "Posts each batch of series to a URL, as JSON",
    "AlertExporterWebhook" => WebhookExporter<AlertBatch>: "Posts each batch of alerts to a URL, as JSON",
}

/// A batch is one request by default, which is the simplest for a receiver.
const REQUEST_LIMITS: ShardLimits = ShardLimits {
    workers: 1,
    min_items: 0,
    max_items: u64::MAX,
};

struct WebhookExporter<B> {
    client: WebhookClient,
    shards: StorageShards,
    host: Host,
    batches: PhantomData<fn(B)>,
}

impl<B: JsonBatch> Exporter for WebhookExporter<B> {
    type Batch = B;
    type Config = Config;

    const EXCLUSIVE: bool = false;

    fn check(config: Config) -> Outcome {
        WebhookClient::new(config).map(drop)
    }

    fn create(config: Config, host: &Host) -> Result<Self, Failure> {
        config.http.warn_of_plain_credentials(&config.url.url);
        Ok(Self {
            shards: StorageShards::new(ShardLimits {
                workers: config.workers,
                ..REQUEST_LIMITS
            }),
            client: WebhookClient::new(config)?,
            host: host.clone(),
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
        let (client, host) = (&self.client, &self.host);
        let post = |shard: &Shard<'_, B>| client.post(shard, host, deadline);
        let outcome = self.shards.send(batch, context, post);
        log::debug!(rows = batch.rows(), items = batch.items(); "batch posted");
        outcome
    }

    fn health(&mut self, context: &Context<'_>) -> Outcome {
        self.client.health(context.remaining())
    }
}
