//! Exporters that write documents to Elasticsearch or OpenSearch.
//!
//! Promises: a row is delivered when all its documents are stored; a document that is sent again is
//! stored once in an index; only the rows of refused documents become dead letters.

mod client;
mod config;
pub mod encode;
mod outcome;

use std::marker::PhantomData;

use delfin_plugin_api::{
    AlertBatch, Context, Exporter, Failure, Host, Outcome, PerformanceBatch, export_plugin, log,
};

use crate::{
    client::ElasticsearchClient,
    config::Config,
    encode::{BulkBatch, BulkBody},
};

export_plugin! {
    "PerformanceExporterElasticsearch" => ElasticsearchExporter<PerformanceBatch>: "Writes points as documents to Elasticsearch or OpenSearch",
    "AlertExporterElasticsearch" => ElasticsearchExporter<AlertBatch>: "Writes alerts as documents to Elasticsearch or OpenSearch",
}

struct ElasticsearchExporter<B> {
    client: ElasticsearchClient,
    body: BulkBody,
    host: Host,
    batches: PhantomData<fn(B)>,
}

impl<B: BulkBatch> Exporter for ElasticsearchExporter<B> {
    type Batch = B;
    type Config = Config;

    const EXCLUSIVE: bool = false;

    /// About 5 MB, which is what Elasticsearch recommends for a request.
    const MAX_POINTS: Option<u64> = Some(10_000);

    fn check(config: Config) -> Outcome {
        ElasticsearchClient::new(config, B::TARGET).map(drop)
    }

    fn create(config: Config, host: &Host) -> Result<Self, Failure> {
        config.http.warn_of_plain_credentials(&config.url.url);
        Ok(Self {
            client: ElasticsearchClient::new(config, B::TARGET)?,
            body: BulkBody::default(),
            host: host.clone(),
            batches: PhantomData,
        })
    }

    fn export(&mut self, batch: &B, context: &Context<'_>) -> Outcome {
        if context.cancelled() {
            return Err(Failure::retry("the host is stopping"));
        }
        self.body.clear();
        let skipped = batch.encode(&mut self.body);
        let outcome = if self.body.documents() == 0 {
            Ok(())
        } else {
            self.client.write(&self.body, context.remaining())
        };
        match &outcome {
            // Counted after delivery: a retry encodes the same rows again.
            Ok(()) | Err(Failure::Partial { .. }) => skipped.count(&self.host),
            Err(_) => {}
        }
        log::debug!(rows = batch.rows(), documents = self.body.documents(); "batch written");
        outcome
    }

    fn health(&mut self, context: &Context<'_>) -> Outcome {
        self.client.health(context.remaining())
    }
}
