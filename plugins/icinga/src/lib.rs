//! Exporters that send points and alerts to Icinga as check results.
//!
//! Promises: a row is delivered when Icinga has processed all its results; results of a service are
//! sent in their order; only the rows of a service that does not exist become dead letters.

mod client;
mod config;
pub mod encode;
mod outcome;

use std::time::Instant;

use delfin_plugin_api::{
    AlertBatch, Context, Exporter, Failure, Host, Outcome, PerformanceBatch, export_plugin, log,
    workers::{WorkItem, send_all},
};

use crate::{
    client::IcingaClient,
    config::Config,
    encode::{CheckResults, ResultBatch, ServiceResults},
};

export_plugin! {
    "PerformanceExporterIcinga" => IcingaExporter<PerformanceBatch>: "Sends points to Icinga as performance data of services",
    "AlertExporterIcinga" => IcingaExporter<AlertBatch>: "Sends alerts to Icinga as states of services",
}

struct IcingaExporter<B> {
    client: IcingaClient,
    config: Config<B>,
    results: CheckResults,
    host: Host,
}

impl<B: ResultBatch> Exporter for IcingaExporter<B> {
    type Batch = B;
    type Config = Config<B>;

    const EXCLUSIVE: bool = false;

    const MAX_POINTS: Option<u64> = Some(B::MAX_ITEMS);

    fn check(config: Config<B>) -> Outcome {
        IcingaClient::new(&config.connection).map(drop)
    }

    fn create(config: Config<B>, host: &Host) -> Result<Self, Failure> {
        let connection = &config.connection;
        connection
            .http
            .warn_of_plain_credentials(&connection.url.url);
        Ok(Self {
            client: IcingaClient::new(connection)?,
            config,
            results: CheckResults::default(),
            host: host.clone(),
        })
    }

    fn export(&mut self, batch: &B, context: &Context<'_>) -> Outcome {
        if context.cancelled() {
            return Err(Failure::retry("the host is stopping"));
        }
        let deadline = Instant::now() + context.remaining();
        self.results.clear();
        let skipped = batch.encode(&self.config.names, &mut self.results);
        let items = self.results.take_services();
        let (client, results) = (&self.client, &self.results);
        let send = |item: &WorkItem<ServiceResults>| client.send(results, item, deadline);
        let outcome = send_all(&items, self.config.workers, send);
        match &outcome {
            // Counted after delivery: a retry encodes the same rows again.
            Ok(()) | Err(Failure::Partial { .. }) => skipped.count(&self.host),
            Err(_) => {}
        }
        log::debug!(rows = batch.rows(), services = items.len(); "batch sent");
        outcome
    }

    fn health(&mut self, context: &Context<'_>) -> Outcome {
        self.client.health(context.remaining())
    }
}
