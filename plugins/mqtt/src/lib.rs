//! Exporters that publish to an MQTT broker.
//!
//! Promises: a row is delivered when the broker has acknowledged its message; the messages of
//! a topic are published in the order of their rows.

mod client;
mod config;
mod encode;
mod outcome;

use delfin_plugin_api::{AlertBatch, PerformanceBatch, export_plugin, message::MessageExporter};

use crate::config::Config;

export_plugin! {
    "PerformanceExporterMqtt" => MqttExporter<PerformanceBatch>: "Publishes series to an MQTT broker",
    "AlertExporterMqtt" => MqttExporter<AlertBatch>: "Publishes alerts to an MQTT broker",
}

type MqttExporter<B> = MessageExporter<Config<B>>;
