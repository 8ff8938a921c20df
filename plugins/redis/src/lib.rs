//! Exporters that add to streams of Redis.
//!
//! Promises: a row is delivered when the server has answered with the id of its message; the
//! messages of a stream are added in the order of their rows.

mod client;
mod config;
mod encode;
mod outcome;

use delfin_plugin_api::{AlertBatch, PerformanceBatch, export_plugin, message::MessageExporter};

use crate::config::Config;

export_plugin! {
    "PerformanceExporterRedis" => RedisExporter<PerformanceBatch>: "Adds series to streams of Redis",
    "AlertExporterRedis" => RedisExporter<AlertBatch>: "Adds alerts to streams of Redis",
}

type RedisExporter<B> = MessageExporter<Config<B>>;
