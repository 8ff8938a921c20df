//! Exporters that write to InfluxDB, in line protocol.
//!
//! Promises: a row is delivered when the server has stored all its points; rows that are
//! sent again overwrite the same points.

mod client;
mod config;
pub mod encode;
mod outcome;

use std::marker::PhantomData;

use delfin_plugin_api::{
    AlertBatch, Context, Exporter, Failure, Host, Outcome, PerformanceBatch, export_plugin, log,
};

use crate::{
    client::InfluxClient,
    config::Config,
    encode::{LineBatch, LineBuffer},
};

export_plugin! {
    "PerformanceExporterInfluxDB" => InfluxExporter<PerformanceBatch>: "Writes points to InfluxDB, and to other servers that take line protocol",
    "AlertExporterInfluxDB" => InfluxExporter<AlertBatch>: "Writes alerts to InfluxDB as points with text fields",
}

struct InfluxExporter<B> {
    client: InfluxClient,
    lines: LineBuffer,
    host: Host,
    batches: PhantomData<fn(B)>,
}

impl<B: LineBatch> Exporter for InfluxExporter<B> {
    type Batch = B;
    type Config = Config;

    const EXCLUSIVE: bool = false;

    /// InfluxDB recommends at most 5,000 to 10,000 lines in a request.
    const MAX_POINTS: Option<u64> = Some(10_000);

    fn create(config: Config, host: &Host) -> Result<Self, Failure> {
        config.http.warn_of_plain_credentials(&config.write_url);
        Ok(Self {
            client: InfluxClient::new(config)?,
            lines: LineBuffer::default(),
            host: host.clone(),
            batches: PhantomData,
        })
    }

    fn export(&mut self, batch: &B, context: &Context<'_>) -> Outcome {
        if context.cancelled() {
            return Err(Failure::retry("the host is stopping"));
        }
        self.lines.clear();
        let parts: Vec<_> = context.parts().collect();
        let skipped = batch.encode(&parts, &mut self.lines);
        let outcome = if self.lines.is_empty() {
            Ok(())
        } else {
            self.client
                .write(&self.lines, B::PRECISION, context.remaining())
        };
        match &outcome {
            // Counted after delivery: a retry encodes the same rows again.
            Ok(()) | Err(Failure::Partial { .. }) => skipped.count(&self.host),
            Err(_) => {}
        }
        log::debug!(rows = batch.rows(), items = batch.items(); "batch written");
        outcome
    }

    fn health(&mut self, context: &Context<'_>) -> Outcome {
        self.client.health(context.remaining())
    }
}
