//! Exporters that publish to NATS JetStream.
//!
//! Promises: a row is delivered when a stream has acknowledged its message; a message that
//! is sent again has the same id, by which the stream drops it.

mod client;
mod config;
mod encode;
mod outcome;

use delfin_plugin_api::{AlertBatch, PerformanceBatch, export_plugin, message::MessageExporter};

use crate::config::Config;

export_plugin! {
    "PerformanceExporterNats" => NatsExporter<PerformanceBatch>: "Publishes series to a stream of NATS JetStream",
    "AlertExporterNats" => NatsExporter<AlertBatch>: "Publishes alerts to a stream of NATS JetStream",
}

type NatsExporter<B> = MessageExporter<Config<B>>;
