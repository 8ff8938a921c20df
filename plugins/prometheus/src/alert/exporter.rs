//! The exporter of alert batches.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime},
};

use delfin_plugin_api::{
    AlertBatch, Batch, Context, Exporter, Failure, Host, Outcome, RowFailure, log,
};

use super::{
    client::Client,
    config::Config,
    known::{Known, News},
    payload::Posted,
};

/// Sends alerts to one Alertmanager or several.
///
/// It needs no memory: the host sends active alerts again and again, which keeps
/// them firing, and Alertmanager knows them by their labels. What it does remember
/// ends alerts at once whose labels have changed.
pub(crate) struct AlertExporterPrometheus {
    clients: Vec<Client>,
    resolve_after: Duration,
    known: Known,
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
            resolve_after: config.resolve_after,
            known: Known::default(),
        })
    }

    fn export(&mut self, batch: &AlertBatch, context: &Context<'_>) -> Outcome {
        if batch.rows() == 0 {
            return Ok(());
        }
        let (alerts, news) = self.to_post(batch);
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
        if stopped.is_none() {
            self.known.learn(news, self.resolve_after);
        }
        outcome(batch.rows(), refused, stopped)
    }

    fn health(&mut self, context: &Context<'_>) -> Outcome {
        let share = context.remaining() / self.clients.len().max(1) as u32;
        self.clients
            .iter()
            .try_for_each(|client| client.health(share))
    }
}

impl AlertExporterPrometheus {
    /// What a batch says, and the end of what no longer goes by its labels.
    fn to_post<'a>(&self, batch: &'a AlertBatch) -> (Vec<Posted<'a>>, News) {
        let now = SystemTime::now();
        let mut news = News::default();
        let mut posted = Vec::with_capacity(batch.rows());
        for (row, alert) in batch.alerts().enumerate() {
            let new = Posted::new((row, &alert), now, self.resolve_after);
            let replaced = self.known.replaced(&alert, &new, &mut news);
            posted.extend(replaced.map(|labels| Posted::end(row, labels, now)));
            posted.push(new);
        }
        (posted, news)
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
