//! Exporters that write documents to Elasticsearch or OpenSearch.
//!
//! Promises: a row is delivered when all its documents are stored; a document that is sent again is
//! stored once in an index; only the rows of refused documents become dead letters.

mod client;
mod config;
pub mod encode;
mod outcome;

use std::{marker::PhantomData, time::Instant};

use delfin_plugin_api::{
    AlertBatch, Context, Exporter, Failure, Host, Outcome, PerformanceBatch, export_plugin, log,
    workers::{Shard, ShardLimits, StorageShards},
};

use crate::{client::ElasticsearchClient, config::Config, encode::BulkBatch};

export_plugin! {
    "PerformanceExporterElasticsearch" => ElasticsearchExporter<PerformanceBatch>: "Writes points as documents to Elasticsearch or OpenSearch",
    "AlertExporterElasticsearch" => ElasticsearchExporter<AlertBatch>: "Writes alerts as documents to Elasticsearch or OpenSearch",
}

/// 10,000 documents are about 5 MB, which is what Elasticsearch recommends for a request.
const REQUEST_LIMITS: ShardLimits = ShardLimits {
    workers: 4,
    min_items: 5_000,
    max_items: 10_000,
};

struct ElasticsearchExporter<B> {
    client: ElasticsearchClient,
    shards: StorageShards,
    host: Host,
    batches: PhantomData<fn(B)>,
}

impl<B: BulkBatch> Exporter for ElasticsearchExporter<B> {
    type Batch = B;
    type Config = Config;

    const EXCLUSIVE: bool = false;

    /// As many as eight requests have.
    const MAX_POINTS: Option<u64> = Some(80_000);

    fn check(config: Config) -> Outcome {
        ElasticsearchClient::new(config, B::TARGET).map(drop)
    }

    fn create(config: Config, host: &Host) -> Result<Self, Failure> {
        config.http.warn_of_plain_credentials(&config.url.url);
        Ok(Self {
            shards: StorageShards::new(ShardLimits {
                workers: config.workers,
                ..REQUEST_LIMITS
            }),
            client: ElasticsearchClient::new(config, B::TARGET)?,
            host: host.clone(),
            batches: PhantomData,
        })
    }

    fn export(&mut self, batch: &B, context: &Context<'_>) -> Outcome {
        if context.cancelled() {
            return Err(Failure::retry("the host is stopping"));
        }
        let deadline = Instant::now() + context.remaining();
        self.client.create_template(deadline)?;
        let (client, host) = (&self.client, &self.host);
        let write = |shard: &Shard<'_, B>| client.write(&shard.batch, host, deadline);
        let outcome = self.shards.send(batch, context, write);
        log::debug!(rows = batch.rows(), items = batch.items(); "batch written");
        outcome
    }

    fn health(&mut self, context: &Context<'_>) -> Outcome {
        self.client.health(context.remaining())
    }
}
