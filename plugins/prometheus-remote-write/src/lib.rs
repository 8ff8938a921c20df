//! An exporter that writes points to Prometheus with remote write.
//!
//! Promises: a row is delivered when the receiver has stored all its points; points that are
//! sent again are stored once; the points of a series are sent in their order.

mod client;
mod config;
pub mod encode;
mod outcome;
mod state;

use std::time::Instant;

use delfin_plugin_api::{
    Batch, Context, Exporter, Failure, Host, Outcome, PerformanceBatch, export_plugin, log,
};

use crate::{
    client::{RemoteWriteClient, Shards},
    config::Config,
};

export_plugin! {
    "PerformanceExporterPrometheusRemoteWrite" => RemoteWriteExporter: "Writes points to Prometheus, and to other receivers of remote write",
}

struct RemoteWriteExporter {
    client: RemoteWriteClient,
    shards: Shards,
    host: Host,
}

impl Exporter for RemoteWriteExporter {
    type Batch = PerformanceBatch;
    type Config = Config;

    const EXCLUSIVE: bool = false;

    /// As many points as eight requests of Prometheus have.
    const MAX_POINTS: Option<u64> = Some(16_000);

    fn check(config: Config) -> Outcome {
        RemoteWriteClient::new(config).map(drop)
    }

    fn create(config: Config, host: &Host) -> Result<Self, Failure> {
        config.http.warn_of_plain_credentials(&config.url.url);
        Ok(Self {
            shards: Shards::new(config.workers),
            client: RemoteWriteClient::new(config)?,
            host: host.clone(),
        })
    }

    fn export(&mut self, batch: &PerformanceBatch, context: &Context<'_>) -> Outcome {
        if context.cancelled() {
            return Err(Failure::retry("the host is stopping"));
        }
        let deadline = Instant::now() + context.remaining();
        let (outcome, skipped) = self.shards.send(batch, &self.client, deadline);
        for (counter, points) in [
            ("repeated_times", skipped.repeated_times),
            ("refused_points", skipped.refused_points),
        ] {
            if points > 0 {
                self.host.count(counter, points);
            }
        }
        log::debug!(rows = batch.rows(), items = batch.items(); "batch written");
        outcome
    }

    fn health(&mut self, context: &Context<'_>) -> Outcome {
        self.client.health(Instant::now() + context.remaining())
    }
}
