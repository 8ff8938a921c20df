//! Exporters that send values and alerts to Zabbix.
//!
//! Promises: a row is delivered when Zabbix has accepted all its values; values that are sent again
//! have the same times; only the rows of refused values become dead letters.

mod client;
mod config;
pub mod encode;
mod outcome;
mod state;

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use delfin_plugin_api::{
    AlertBatch, Context, Exporter, Failure, Host, Origin, Outcome, PerformanceBatch,
    RowFailureKind, RowFailures, export_plugin, log,
    stream::deadline,
    workers::{WorkItem, send_all},
};

use crate::{
    client::ZabbixClient,
    config::Config,
    encode::{ValueBatch, ValueRows},
    outcome::refusal,
    state::{Discovery, RefusedItems},
};

export_plugin! {
    "PerformanceExporterZabbix" => ZabbixExporter<PerformanceBatch>: "Sends points to Zabbix as values of items",
    "AlertExporterZabbix" => ZabbixExporter<AlertBatch>: "Sends alerts to Zabbix, where triggers make problems of them",
}

struct ZabbixExporter<B> {
    client: ZabbixClient,
    config: Config<B>,
    values: ValueRows,
    discovery: Option<Discovery>,
    refused: RefusedItems,
    host: Host,
}

impl<B: ValueBatch> Exporter for ZabbixExporter<B> {
    type Batch = B;
    type Config = Config<B>;

    const EXCLUSIVE: bool = false;

    const MAX_POINTS: Option<u64> = Some(100_000);

    fn check(config: Config<B>) -> Outcome {
        ZabbixClient::new(&config.connection).map(drop)
    }

    fn create(config: Config<B>, host: &Host) -> Result<Self, Failure> {
        let discovery = config.discovery.as_ref();
        Ok(Self {
            client: ZabbixClient::new(&config.connection)?,
            discovery: discovery.map(|discovery| Discovery::new(discovery.timeout)),
            config,
            values: ValueRows::default(),
            refused: RefusedItems::default(),
            host: host.clone(),
        })
    }

    fn export(&mut self, batch: &B, context: &Context<'_>) -> Outcome {
        if context.cancelled() {
            return Err(Failure::retry("the host is stopping"));
        }
        if !B::HAS_DISCOVERY && context.origin() == Origin::Resend {
            // Zabbix has the problem already.
            return Ok(());
        }
        let deadline = deadline(context.remaining());
        self.values.clear();
        batch.encode(&self.config.items, &mut self.values);
        self.announce(batch, deadline)?;
        let outcome = self.send(deadline);
        match &outcome {
            // Counted after delivery: a retry encodes the same rows again.
            Ok(()) | Err(Failure::Partial { .. }) => self.count_skipped(),
            Err(_) => {}
        }
        log::debug!(rows = batch.rows(), bytes = self.values.text().len(); "batch sent");
        outcome
    }

    fn health(&mut self, context: &Context<'_>) -> Outcome {
        self.client.health(deadline(context.remaining()))
    }
}

impl<B: ValueBatch> ZabbixExporter<B> {
    /// Lists the series of hosts that have new ones.
    fn announce(&mut self, batch: &B, deadline: Instant) -> Outcome {
        let (Some(discovery), Some(config)) = (&mut self.discovery, &self.config.discovery) else {
            return Ok(());
        };
        discovery.begin(Instant::now());
        batch.discover(&self.values, discovery);
        for (host, list) in discovery.due() {
            let has_rule = self
                .client
                .announce([&host, &config.key], &list, deadline)?;
            discovery.announced(&host, has_rule);
            log::debug!(host = host.as_str(), has_rule; "series listed");
        }
        Ok(())
    }

    fn send(&mut self, deadline: Instant) -> Outcome {
        let refused = &self.refused;
        let items = self.values.requests(|item| refused.contains(item));
        let refused_rows = Mutex::new(HashSet::new());
        let (values, discovery, client) = (&self.values, &self.discovery, &self.client);
        let address = &self.config.connection.address;
        let refused = |rows: &[usize]| {
            let mut failures = RowFailures::new();
            for (number, &row) in rows.iter().enumerate() {
                let value = &values.rows()[row];
                let host = values.host(value.host);
                let is_awaited = discovery
                    .as_ref()
                    .is_some_and(|discovery| discovery.is_awaited(host, value.item));
                let reason = refusal(address, &values.item_of(value), is_awaited);
                let kind = if is_awaited {
                    RowFailureKind::Retry
                } else {
                    RowFailureKind::Rejected
                };
                failures.push(number..number + 1, kind, &reason);
            }
            let mut refused = refused_rows.lock().unwrap_or_else(PoisonError::into_inner);
            refused.extend(rows.iter().copied());
            failures.into_outcome()
        };
        let send = |item: &WorkItem<()>| client.send_rows(values, &item.rows, deadline, &refused);
        let outcome = send_all(&items, self.config.workers, send);
        let refused_rows = refused_rows
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        for (row, value) in self.values.rows().iter().enumerate() {
            self.refused.set(value.item, refused_rows.contains(&row));
        }
        outcome
    }

    fn count_skipped(&self) {
        self.values.skipped.count(&self.host);
        if self.values.outside_times > 0 {
            self.host
                .count("points_outside_time_range", self.values.outside_times);
        }
    }
}
