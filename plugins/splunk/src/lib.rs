//! Exporters that send to the HTTP event collector of Splunk.
//!
//! Promises: a row is delivered when Splunk acknowledges that all its events are indexed, unless the
//! settings say otherwise; what is not acknowledged in time is sent again.

mod client;
mod config;
pub mod encode;
mod outcome;
mod state;

use std::{marker::PhantomData, time::Instant};

use delfin_plugin_api::{
    AlertBatch, Context, Exporter, Failure, Host, Outcome, PerformanceBatch, export_plugin, log,
    workers::combine_outcomes,
};

use crate::{
    client::SplunkClient,
    config::Config,
    encode::{EventBatch, EventRequests},
};

export_plugin! {
    "PerformanceExporterSplunk" => SplunkExporter<PerformanceBatch>: "Sends points as metrics to Splunk",
    "AlertExporterSplunk" => SplunkExporter<AlertBatch>: "Sends alerts as events to Splunk",
}

struct SplunkExporter<B> {
    client: SplunkClient,
    config: Config,
    requests: EventRequests,
    host: Host,
    batches: PhantomData<fn(B)>,
}

impl<B: EventBatch> Exporter for SplunkExporter<B> {
    type Batch = B;
    type Config = Config;

    const EXCLUSIVE: bool = false;

    /// Some fifty requests, which wait for their acknowledgement together.
    const MAX_POINTS: Option<u64> = Some(200_000);

    fn check(config: Config) -> Outcome {
        SplunkClient::new(&config).map(drop)
    }

    fn create(config: Config, host: &Host) -> Result<Self, Failure> {
        config.http.warn_of_plain_credentials(&config.url.url);
        Ok(Self {
            client: SplunkClient::new(&config)?,
            config,
            requests: EventRequests::default(),
            host: host.clone(),
            batches: PhantomData,
        })
    }

    fn export(&mut self, batch: &B, context: &Context<'_>) -> Outcome {
        if context.cancelled() {
            return Err(Failure::retry("the host is stopping"));
        }
        let deadline = Instant::now() + context.remaining();
        self.requests.clear();
        let skipped = batch.encode(&self.config.metadata, &mut self.requests);
        let is_stopping = || context.cancelled();
        let outcomes = self.client.send(&self.requests, deadline, &is_stopping);
        let rows: Vec<Vec<usize>> = self.requests.rows().map(Iterator::collect).collect();
        let outcome = combine_outcomes(rows.iter().map(Vec::as_slice).zip(outcomes));
        match &outcome {
            // Counted after delivery: a retry encodes the same rows again.
            Ok(()) | Err(Failure::Partial { .. }) => skipped.count(&self.host),
            Err(_) => {}
        }
        log::debug!(rows = batch.rows(), requests = rows.len(); "batch sent");
        outcome
    }

    fn health(&mut self, context: &Context<'_>) -> Outcome {
        self.client.health(context.remaining())
    }
}
