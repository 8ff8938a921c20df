//! Exporters that post each batch to a URL, as JSON.
//!
//! Promises: the same rows bear the same key, however often they are posted; of
//! rows that the receiver names, each meets with what it says of it.

mod config;
mod encode;
mod key;
mod receiver;
mod signature;
mod verdict;

use std::marker::PhantomData;

use delfin_plugin_api::{
    AlertBatch, Context, Exporter, Failure, Host, Outcome, PerformanceBatch, export_plugin, log,
};

use crate::{config::Config, encode::Encode, receiver::Receiver};

export_plugin! {
    "PerformanceExporterWebhook" => WebhookExporter<PerformanceBatch>: "Posts each batch of series to a URL, as JSON",
    "AlertExporterWebhook" => WebhookExporter<AlertBatch>: "Posts each batch of alerts to a URL, as JSON",
}

/// What a long batch needs is given back before the next one.
const KEPT: usize = 8 << 20;

struct WebhookExporter<B> {
    receiver: Receiver,
    body: Vec<u8>,
    host: Host,
    batches: PhantomData<fn(B)>,
}

impl<B: Encode> Exporter for WebhookExporter<B> {
    type Batch = B;
    type Config = Config;

    const EXCLUSIVE: bool = false;

    fn create(config: Config, host: &Host) -> Result<Self, Failure> {
        if config.tells_credentials() {
            log::warn!(
                url = config.shown;
                "credentials are sent unencrypted to another machine (use https)"
            );
        }
        Ok(Self {
            receiver: Receiver::new(config)?,
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
            return Err(Failure::retry("the host is about to stop"));
        }
        self.body.clear();
        self.body.shrink_to(KEPT);
        let skipped = batch.encode(&mut self.body);
        let key = key::of(context.parts());
        let outcome = self
            .receiver
            .post(&self.body, &key, batch.rows(), context.remaining());
        match &outcome {
            // Only now it is known that they went without.
            Ok(()) | Err(Failure::Partial { .. }) => skipped.count(&self.host),
            Err(_) => {}
        }
        log::debug!(rows = batch.rows(), items = batch.items(), key; "batch posted");
        outcome
    }

    fn health(&mut self, context: &Context<'_>) -> Outcome {
        self.receiver.health(context.remaining())
    }
}
