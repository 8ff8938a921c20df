//! Exporters that report alerts to services for incidents.
//!
//! Promises: a row is delivered when the service has accepted it; reports of one alert are sent in
//! their order; a service gets no more requests than its limit allows.

mod client;
mod config;
pub mod encode;
mod state;

use std::time::Instant;

use delfin_plugin_api::{
    AlertBatch, Batch, Context, Exporter, Failure, Host, Origin, Outcome, export_plugin, log,
    workers::{WorkItem, key_of, send_all},
};

use crate::{
    client::{
        IncidentClient,
        service::{IncidentService, Jira, PagerDuty, ServiceNow, Slack, Teams},
    },
    config::Config,
    encode::Incident,
};

export_plugin! {
    "AlertExporterPagerDuty" => IncidentExporter<PagerDuty>: "Triggers and resolves incidents in PagerDuty",
    "AlertExporterServiceNow" => IncidentExporter<ServiceNow>: "Sends alerts as events to ServiceNow Event Management",
    "AlertExporterJira" => IncidentExporter<Jira>: "Creates and resolves issues in Jira",
    "AlertExporterSlack" => IncidentExporter<Slack>: "Posts alerts to a channel of Slack",
    "AlertExporterTeams" => IncidentExporter<Teams>: "Posts alerts to a channel of Microsoft Teams",
}

struct IncidentExporter<S> {
    client: IncidentClient<S>,
    workers: usize,
}

impl<S: IncidentService> Exporter for IncidentExporter<S> {
    type Batch = AlertBatch;
    type Config = Config<S>;

    const EXCLUSIVE: bool = false;

    /// What a limit of a request a second allows in a call.
    const MAX_POINTS: Option<u64> = Some(S::MAX_ALERTS);

    fn check(config: Config<S>) -> Outcome {
        IncidentClient::new(config).map(drop)
    }

    fn create(config: Config<S>, _: &Host) -> Result<Self, Failure> {
        // Each service has a secret: in a header, in the URL or in the requests.
        config.http.warn_of_plain_requests(&config.url.url);
        Ok(Self {
            workers: config.workers,
            client: IncidentClient::new(config)?,
        })
    }

    fn export(&mut self, batch: &AlertBatch, context: &Context<'_>) -> Outcome {
        if context.cancelled() {
            return Err(Failure::retry("the host is stopping"));
        }
        if !S::HAS_KEYS && context.origin() == Origin::Resend {
            // A channel has the message already.
            return Ok(());
        }
        let deadline = Instant::now() + context.remaining();
        let items = items_of::<S>(batch, &self.client);
        let send = |item: &WorkItem<Vec<Incident<'_>>>| self.client.send(&item.content, deadline);
        let outcome = send_all(&items, self.workers, send);
        log::debug!(rows = batch.rows(), requests = items.len(); "alerts reported");
        outcome
    }

    fn health(&mut self, context: &Context<'_>) -> Outcome {
        self.client.health(context.remaining())
    }
}

/// The requests of a batch. Where a request has one alert, only those of the same alert wait for one
/// another.
fn items_of<'a, S: IncidentService>(
    batch: &'a AlertBatch,
    client: &IncidentClient<S>,
) -> Vec<WorkItem<Vec<Incident<'a>>>> {
    let incidents: Vec<_> = batch.alerts().map(|alert| client.incident(alert)).collect();
    let mut first_row = 0;
    let groups = incidents.chunks(S::ALERTS_IN_REQUEST).map(|group| {
        let rows = first_row..first_row + group.len();
        first_row = rows.end;
        let key = if S::ALERTS_IN_REQUEST == 1 {
            group.first().map_or(0, |incident| key_of(&incident.key))
        } else {
            0
        };
        WorkItem {
            rows: rows.collect(),
            key,
            content: group.to_vec(),
        }
    });
    groups.collect()
}
