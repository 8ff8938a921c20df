//! Exporters that publish to NATS JetStream.
//!
//! Promises: a row is delivered when a stream has acknowledged its message; a message that
//! is sent again has the same id, by which the stream drops it.

mod client;
mod config;
mod encode;
mod outcome;

use delfin_plugin_api::{
    AlertBatch, Context, Exporter, Failure, Host, Outcome, PerformanceBatch, export_plugin, log,
    message::MessageWriter,
};

use crate::{client::NatsClient, config::Config, encode::NatsBatch};

export_plugin! {
    "PerformanceExporterNats" => NatsExporter<PerformanceBatch>: "Publishes series to a stream of NATS JetStream",
    "AlertExporterNats" => NatsExporter<AlertBatch>: "Publishes alerts to a stream of NATS JetStream",
}

struct NatsExporter<B> {
    client: NatsClient,
    encoder: MessageWriter<B>,
    host: Host,
}

impl<B: NatsBatch> Exporter for NatsExporter<B> {
    type Batch = B;
    type Config = Config<B>;

    const EXCLUSIVE: bool = false;

    /// Bounds the messages that are encoded before they are sent.
    const MAX_POINTS: Option<u64> = Some(200_000);

    fn check(config: Config<B>) -> Result<(), Failure> {
        let tls = config.connection.tls.map(|tls| tls.config());
        tls.transpose().map(drop)
    }

    fn create(config: Config<B>, host: &Host) -> Result<Self, Failure> {
        Ok(Self {
            client: NatsClient::new(config.connection, host)?,
            encoder: MessageWriter::new(config.messages, host.exporter()),
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
        let encoded = self.encoder.encode(batch, context)?;
        let outcome = self
            .client
            .publish(encoded.messages, batch.rows(), context.remaining());
        // Counted after delivery: a retry encodes the same rows again.
        if outcome.is_ok() {
            encoded.skipped.count(&self.host);
        }
        log::debug!(rows = batch.rows(), items = batch.items(); "batch published");
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
