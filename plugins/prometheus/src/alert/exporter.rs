//! The exporter of alert batches.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use delfin_plugin_api::{
    Alert, AlertBatch, Context, Exporter, Failure, Host, Outcome, RowFailure, log,
};

use super::{client::Client, config::Config};

/// Sends alerts to one Alertmanager or several.
///
/// It remembers nothing: the host sends active alerts again and again, which
/// keeps them firing, and Alertmanager knows them by their labels.
pub(crate) struct AlertExporterPrometheus {
    clients: Vec<Client>,
}

impl Exporter for AlertExporterPrometheus {
    type Batch = AlertBatch;
    type Config = Config;

    const EXCLUSIVE: bool = false;

    /// Well within the time after which Alertmanager takes a silent alert for
    /// resolved, `resolve_after`.
    const RESEND: Option<Duration> = Some(Duration::from_secs(60));

    fn create(config: Config, _: &Host) -> Result<Self, Failure> {
        Ok(Self {
            clients: Client::all(&config)?,
        })
    }

    fn export(&mut self, batch: &AlertBatch, context: &Context<'_>) -> Outcome {
        let alerts: Vec<Alert<'_>> = batch.alerts().collect();
        if alerts.is_empty() {
            return Ok(());
        }
        let deadline = Instant::now() + context.remaining();
        let mut refused = BTreeMap::new();
        let mut stopped: Option<(usize, Failure)> = None;
        for (index, client) in self.clients.iter().enumerate() {
            // One that hangs must leave time for those after it.
            let left = deadline.saturating_duration_since(Instant::now());
            let share = left / (self.clients.len() - index) as u32;
            let sent = client.send(&alerts, || !context.cancelled(), share);
            refused.extend(sent.refused);
            if let Some((row, failure)) = sent.stopped {
                log::debug!(row, reason:% = failure; "not all alerts were sent");
                stopped = match stopped {
                    Some((first, reason)) => Some((first.min(row), reason)),
                    None => Some((row, failure)),
                };
            }
        }
        outcome(alerts.len(), refused, stopped)
    }

    fn health(&mut self, context: &Context<'_>) -> Outcome {
        let share = context.remaining() / self.clients.len().max(1) as u32;
        self.clients
            .iter()
            .try_for_each(|client| client.health(share))
    }
}

/// What became of the alerts that all receivers together were sent.
fn outcome(
    alerts: usize,
    refused: BTreeMap<usize, String>,
    stopped: Option<(usize, Failure)>,
) -> Outcome {
    let end = match &stopped {
        // No alert is everywhere: the host shall know why, in full.
        Some((0, failure)) => return Err(failure.clone()),
        Some((row, _)) => *row,
        None => alerts,
    };
    let refused = refused.into_iter().filter(|&(row, _)| row < end);
    let mut rows: Vec<_> = refused
        .map(|(row, reason)| RowFailure {
            rows: row..row + 1,
            retry: false,
            reason,
        })
        .collect();
    if let Some((row, failure)) = stopped {
        rows.push(RowFailure {
            rows: row..alerts,
            retry: true,
            reason: failure.to_string(),
        });
    }
    if rows.is_empty() {
        return Ok(());
    }
    Err(Failure::Partial { rows })
}
