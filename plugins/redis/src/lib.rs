//! Exporters that add to streams of Redis.
//!
//! Promises: a row is delivered when the server has answered with the id of its message; the
//! messages of a stream are added in the order of their rows.

mod client;
mod config;
mod encode;
mod outcome;

use delfin_plugin_api::{
    AlertBatch, Context, Exporter, Failure, Host, Outcome, PerformanceBatch, export_plugin, log,
    message::MessageWriter,
};

use crate::{client::RedisClient, config::Config, encode::RedisBatch};

export_plugin! {
    "PerformanceExporterRedis" => RedisExporter<PerformanceBatch>: "Adds series to streams of Redis",
    "AlertExporterRedis" => RedisExporter<AlertBatch>: "Adds alerts to streams of Redis",
}

struct RedisExporter<B> {
    client: RedisClient,
    writer: MessageWriter<B>,
    host: Host,
}

impl<B: RedisBatch> Exporter for RedisExporter<B> {
    type Batch = B;
    type Config = Config<B>;

    const EXCLUSIVE: bool = false;

    /// Bounds the messages that are encoded before they are sent.
    const MAX_POINTS: Option<u64> = Some(200_000);

    fn check(config: Config<B>) -> Result<(), Failure> {
        RedisClient::new(config.connection).map(drop)
    }

    fn create(config: Config<B>, host: &Host) -> Result<Self, Failure> {
        Ok(Self {
            client: RedisClient::new(config.connection)?,
            writer: MessageWriter::new(config.messages, host.exporter()),
            host: host.clone(),
        })
    }

    fn export(&mut self, batch: &B, context: &Context<'_>) -> Outcome {
        if batch.rows() == 0 {
            return Ok(());
        }
        if context.cancelled() {
            return Err(Failure::retry("the host is stopping"));
        }
        let encoded = self.writer.encode(batch, context)?;
        let remaining = context.remaining();
        let outcome = self.client.add(&encoded.messages, batch.rows(), remaining);
        // Counted after delivery: a retry encodes the same rows again.
        if outcome.is_ok() {
            encoded.skipped.count(&self.host);
        }
        log::debug!(rows = batch.rows(), items = batch.items(); "batch added");
        outcome
    }

    fn health(&mut self, context: &Context<'_>) -> Outcome {
        self.client.health(context.remaining())
    }

    fn close(&mut self, _: &Context<'_>) -> Outcome {
        self.client.close();
        Ok(())
    }
}
