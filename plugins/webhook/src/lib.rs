//! Exporters that post each batch to a URL, as JSON.
//!
//! Promises: the same rows have the same idempotency key in every attempt; a row
//! that the receiver names in its answer gets the result that the answer gives it.

mod client;
mod config;
pub mod encode;
mod outcome;

use std::marker::PhantomData;

use delfin_plugin_api::{
    AlertBatch, Context, Exporter, Failure, Host, Outcome, PerformanceBatch, export_plugin,
    json::JsonBatch, log,
};

use crate::{
    client::{WebhookClient, idempotency_key},
    config::Config,
    encode::encode,
};

export_plugin! {
    "PerformanceExporterWebhook" => WebhookExporter<PerformanceBatch>: "Posts each batch of series to a URL, as JSON",
    "AlertExporterWebhook" => WebhookExporter<AlertBatch>: "Posts each batch of alerts to a URL, as JSON",
}

/// Bytes of the body buffer to keep from one batch to the next.
const BUFFER_BYTES: usize = 8 << 20;

struct WebhookExporter<B> {
    client: WebhookClient,
    body: Vec<u8>,
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
            client: WebhookClient::new(config)?,
            body: Vec::new(),
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
        self.body.clear();
        self.body.shrink_to(BUFFER_BYTES);
        let skipped = encode(batch, &mut self.body);
        let key = idempotency_key(context.parts());
        let outcome = self
            .client
            .post(&self.body, &key, batch.rows(), context.remaining());
        match &outcome {
            // Counted after delivery: a retry encodes the same rows again, and
            // what it leaves out must be counted once.
            Ok(()) | Err(Failure::Partial { .. }) => skipped.count(&self.host),
            Err(_) => {}
        }
        log::debug!(rows = batch.rows(), items = batch.items(), key; "batch posted");
        outcome
    }

    fn health(&mut self, context: &Context<'_>) -> Outcome {
        self.client.health(context.remaining())
    }
}
