//! Exporters that insert batches into ClickHouse.
//!
//! Promises: a batch is inserted as the Arrow data that it is; a row is delivered when the server has
//! inserted it; rows that are sent again with the same others are inserted once.

mod client;
mod config;
pub mod encode;
mod outcome;

use std::marker::PhantomData;

use delfin_plugin_api::{
    AlertBatch, Context, Exporter, Failure, Host, Outcome, PerformanceBatch, export_plugin, log,
};

use crate::{client::ClickHouseClient, config::Config, encode::TableBatch};

export_plugin! {
    "PerformanceExporterClickHouse" => ClickHouseExporter<PerformanceBatch>: "Inserts series into a table of ClickHouse",
    "AlertExporterClickHouse" => ClickHouseExporter<AlertBatch>: "Inserts alerts into a table of ClickHouse",
}

struct ClickHouseExporter<B> {
    client: ClickHouseClient,
    exporter: String,
    batches: PhantomData<fn(B)>,
}

impl<B: TableBatch> Exporter for ClickHouseExporter<B> {
    type Batch = B;
    type Config = Config;

    const EXCLUSIVE: bool = false;

    /// ClickHouse inserts a million rows at once, and prefers few large requests.
    const MAX_POINTS: Option<u64> = Some(1_000_000);

    fn check(config: Config) -> Outcome {
        ClickHouseClient::new::<B>(config).map(drop)
    }

    fn create(config: Config, host: &Host) -> Result<Self, Failure> {
        config.http.warn_of_plain_credentials(&config.url.url);
        Ok(Self {
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
        let token = context.idempotency_key(&self.exporter);
        // Merged batches can have a text twice in their dictionaries, which ClickHouse refuses.
        let rows = if context.parts().len() > 1 {
            batch.with_unique_texts().map_err(Failure::rejected)?
        } else {
            batch.as_arrow().clone()
        };
        let outcome = self.client.insert(&rows, &token, context.remaining());
        log::debug!(rows = batch.rows(), items = batch.items(); "batch inserted");
        outcome
    }

    fn health(&mut self, context: &Context<'_>) -> Outcome {
        self.client.health(context.remaining())
    }
}
