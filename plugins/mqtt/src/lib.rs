//! Exporters that publish to an MQTT broker.
//!
//! Promises: a row is delivered when the broker has acknowledged its message; the messages of
//! a topic are published in the order of their rows.

mod client;
mod config;
mod encode;
mod outcome;

use delfin_plugin_api::{
    AlertBatch, Context, Exporter, Failure, Host, Outcome, PerformanceBatch, export_plugin, log,
    message::MessageWriter,
};

use crate::{client::MqttClient, config::Config, encode::MqttBatch};

export_plugin! {
    "PerformanceExporterMqtt" => MqttExporter<PerformanceBatch>: "Publishes series to an MQTT broker",
    "AlertExporterMqtt" => MqttExporter<AlertBatch>: "Publishes alerts to an MQTT broker",
}

struct MqttExporter<B> {
    client: MqttClient,
    writer: MessageWriter<B>,
    host: Host,
}

impl<B: MqttBatch> Exporter for MqttExporter<B> {
    type Batch = B;
    type Config = Config<B>;

    const EXCLUSIVE: bool = false;

    /// Bounds the messages that are encoded before they are sent.
    const MAX_POINTS: Option<u64> = Some(200_000);

    fn check(config: Config<B>) -> Result<(), Failure> {
        MqttClient::new(config.connection).map(drop)
    }

    fn create(config: Config<B>, host: &Host) -> Result<Self, Failure> {
        Ok(Self {
            client: MqttClient::new(config.connection)?,
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
        let outcome = self
            .client
            .publish(&encoded.messages, batch.rows(), remaining);
        // Counted after delivery: a retry encodes the same rows again.
        if outcome.is_ok() {
            encoded.skipped.count(&self.host);
        }
        let unread = self.client.take_unread();
        if unread > 0 {
            self.host.count("messages_without_subscriber", unread);
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
