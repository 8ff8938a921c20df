//! Exporters that forward batches to the ingest of another host.
//!
//! Promises: rows are delivered when the other host has them on its disk; a batch that is sent
//! again is stored once; the batches of a storage are sent in their order.

mod client;
mod config;
mod outcome;

use std::{marker::PhantomData, time::Instant};

use delfin_plugin_api::{
    AlertBatch, Batch, Context, Exporter, Failure, Host, Outcome, PerformanceBatch, export_plugin,
    log,
    workers::{WorkItem, key_of, send_all},
};

use crate::{
    client::{ForwardClient, ForwardedPart},
    config::Config,
};

export_plugin! {
    "PerformanceExporterDelfinHost" => ForwardExporter<PerformanceBatch>: "Forwards points to another delfin-host",
    "AlertExporterDelfinHost" => ForwardExporter<AlertBatch>: "Forwards alerts to another delfin-host",
}

struct ForwardExporter<B> {
    client: ForwardClient,
    workers: usize,
    batches: PhantomData<fn(B)>,
}

impl<B: Batch> Exporter for ForwardExporter<B> {
    type Batch = B;
    type Config = Config;

    const EXCLUSIVE: bool = false;

    /// Half of the points that a body of 64 MiB holds before compression.
    const MAX_POINTS: Option<u64> = Some(2_000_000);

    fn check(config: Config) -> Outcome {
        ForwardClient::new(config, B::KIND).map(drop)
    }

    fn create(config: Config, _: &Host) -> Result<Self, Failure> {
        config.http.warn_of_plain_credentials(&config.url.url);
        Ok(Self {
            workers: config.workers,
            client: ForwardClient::new(config, B::KIND)?,
            batches: PhantomData,
        })
    }

    fn export(&mut self, batch: &B, context: &Context<'_>) -> Outcome {
        if context.cancelled() {
            return Err(Failure::retry("the host is stopping"));
        }
        let deadline = Instant::now() + context.remaining();
        let items = parts_of(context);
        let send = |item: &WorkItem<ForwardedPart<'_>>| {
            self.client.send(batch.as_arrow(), &item.content, deadline)
        };
        let outcome = send_all(&items, self.workers, send);
        log::debug!(rows = batch.rows(), items = batch.items(), requests = items.len(); "batch forwarded");
        outcome
    }

    fn health(&mut self, context: &Context<'_>) -> Outcome {
        self.client.health(context.remaining())
    }
}

/// Each accepted batch is a request of its own, so that the other host accepts the same batches. A
/// batch of several storages comes before and after those of each, so then all keep their order.
fn parts_of<'a>(context: &'a Context<'_>) -> Vec<WorkItem<ForwardedPart<'a>>> {
    let is_mixed = context.parts().any(|part| part.storage_id.is_none());
    let parts = context.parts().map(|part| WorkItem {
        rows: (part.first_row..part.first_row + part.rows).collect(),
        key: if is_mixed { 0 } else { key_of(part.storage_id) },
        content: ForwardedPart {
            part,
            origin: context.origin(),
        },
    });
    parts.collect()
}
