//! The exporter of alert batches: alerts for Alertmanager.

mod client;
mod config;
pub mod encode;
mod outcome;
mod state;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime},
};

use delfin_plugin_api::{AlertBatch, Batch, Context, Exporter, Failure, Host, Outcome, log};

use self::{
    client::AlertmanagerClient,
    config::AlertConfig,
    encode::PostedAlert,
    state::{SentAlerts, SentUpdate},
};

/// Sends alerts to one Alertmanager or several.
///
/// The host resends active alerts, which keeps them firing in Alertmanager. The
/// exporter remembers only the labels of sent alerts: when the labels of an alert
/// change, it ends the alert with the old ones at once.
pub(crate) struct AlertExporterPrometheus {
    clients: Vec<AlertmanagerClient>,
    /// The extra fields that are labels.
    labels: Vec<String>,
    resolve_after: Duration,
    sent: SentAlerts,
}

impl Exporter for AlertExporterPrometheus {
    type Batch = AlertBatch;
    type Config = AlertConfig;

    const EXCLUSIVE: bool = false;

    /// A fifth of the default of `resolve_after`, so that a few resends may fail before
    /// an active alert ends.
    const RESEND: Option<Duration> = Some(Duration::from_secs(60));

    fn check(config: AlertConfig) -> Outcome {
        AlertmanagerClient::all(&config)?;
        Ok(())
    }

    fn create(config: AlertConfig, _: &Host) -> Result<Self, Failure> {
        for url in &config.urls {
            config.http.warn_of_plain_credentials(url);
        }
        Ok(Self {
            clients: AlertmanagerClient::all(&config)?,
            labels: config.labels,
            resolve_after: config.resolve_after,
            sent: SentAlerts::default(),
        })
    }

    fn export(&mut self, batch: &AlertBatch, context: &Context<'_>) -> Outcome {
        if batch.rows() == 0 {
            return Ok(());
        }
        let (alerts, update) = self.to_post(batch);
        let deadline = Instant::now() + context.remaining();
        let mut rejected = BTreeMap::new();
        let mut stopped: Option<(usize, Failure)> = None;
        for (index, client) in self.clients.iter().enumerate() {
            // A client that hangs must leave time for those after it.
            let left = deadline.saturating_duration_since(Instant::now());
            let share = left / (self.clients.len() - index) as u32;
            let progress = client.send(&alerts, || !context.cancelled(), share);
            rejected.extend(progress.rejected);
            if let Some((row, failure)) = progress.stopped {
                log::debug!(row, reason:% = failure; "sending stopped, retrying the other alerts");
                stopped = match stopped {
                    Some((first, reason)) => Some((first.min(row), reason)),
                    None => Some((row, failure)),
                };
            }
        }
        if stopped.is_none() {
            self.sent.apply(update, self.resolve_after);
        }
        outcome::of_rows(batch.rows(), &rejected, stopped)
    }

    fn health(&mut self, context: &Context<'_>) -> Outcome {
        let share = context.remaining() / self.clients.len().max(1) as u32;
        self.clients
            .iter()
            .try_for_each(|client| client.health(share))
    }
}

impl AlertExporterPrometheus {
    /// The alerts of a batch, and an end for each alert whose labels have changed.
    fn to_post<'a>(&self, batch: &'a AlertBatch) -> (Vec<PostedAlert<'a>>, SentUpdate) {
        let now = SystemTime::now();
        let mut update = SentUpdate::default();
        let mut posted = Vec::with_capacity(batch.rows());
        for (row, alert) in batch.alerts().enumerate() {
            let new = PostedAlert::new((row, &alert), &self.labels, now, self.resolve_after);
            let replaced = self.sent.replaced_labels(&alert, &new, &mut update);
            posted.extend(replaced.map(|labels| PostedAlert::end(row, labels, now)));
            posted.push(new);
        }
        (posted, update)
    }
}

#[cfg(test)]
mod tests;
