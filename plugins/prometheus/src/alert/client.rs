//! Sends alerts to one Alertmanager.
//!
//! Promises: alerts that it does not reject are stored there; rejected alerts are
//! found one by one; a call takes no longer than the time that it is given.

use std::time::{Duration, Instant};

use delfin_plugin_api::{
    Failure,
    http::{Client, redact_url},
};

use super::{
    config::AlertConfig,
    encode::PostedAlert,
    outcome::{self, PostResult},
};

/// Alerts per request; Prometheus sends as many.
const MAX_ALERTS: usize = 256;

pub(super) struct AlertmanagerClient {
    url: String,
    /// The URL for messages.
    name: String,
    http: Client,
}

/// How far a batch was sent.
#[derive(Debug, Default)]
pub(super) struct SendProgress {
    /// Rejected rows and their reasons.
    pub(super) rejected: Vec<(usize, String)>,
    /// The first row that was not sent, and why; `None` if all were sent.
    pub(super) stopped: Option<(usize, Failure)>,
}

impl AlertmanagerClient {
    /// A client for each address in `config`.
    pub(super) fn all(config: &AlertConfig) -> Result<Vec<Self>, Failure> {
        let http = Client::new(&config.http)?;
        let client = |url: &String| Self {
            url: url.clone(),
            name: redact_url(url),
            http: http.clone(),
        };
        Ok(config.urls.iter().map(client).collect())
    }

    /// Sends alerts in order, until one request fails or `goes_on` returns `false`.
    pub(super) fn send(
        &self,
        alerts: &[PostedAlert<'_>],
        goes_on: impl Fn() -> bool,
        time: Duration,
    ) -> SendProgress {
        let deadline = Instant::now() + time;
        let mut progress = SendProgress::default();
        for alerts in alerts.chunks(MAX_ALERTS) {
            let first = alerts[0].row();
            let sent = if goes_on() {
                self.send_request(alerts, deadline, &mut progress.rejected)
            } else {
                Err(Failure::retry("the host is stopping"))
            };
            if let Err(failure) = sent {
                // The host sends these rows again, so none of them is rejected yet.
                progress.rejected.retain(|&(row, _)| row < first);
                progress.stopped = Some((first, failure));
                break;
            }
        }
        progress
    }

    /// Sends an empty list, which the receiver accepts if it would accept alerts.
    pub(super) fn health(&self, time: Duration) -> Result<(), Failure> {
        match self.post(b"[]", Instant::now() + time)? {
            PostResult::Accepted => Ok(()),
            PostResult::Rejected(reason) => Err(Failure::misconfigured(reason)),
        }
    }

    /// Sends alerts, and finds the rejected ones by bisection.
    ///
    /// Alertmanager stores the valid alerts of a request even if it rejects others,
    /// and does not say which it rejects. So each half is sent again, until rejected
    /// alerts are alone. Sending a valid alert twice does no harm.
    fn send_request(
        &self,
        alerts: &[PostedAlert<'_>],
        deadline: Instant,
        rejected: &mut Vec<(usize, String)>,
    ) -> Result<(), Failure> {
        let body = serde_json::to_vec(alerts).map_err(Failure::rejected)?;
        let PostResult::Rejected(reason) = self.post(&body, deadline)? else {
            return Ok(());
        };
        if let [alert] = alerts {
            rejected.push((alert.row(), reason));
            return Ok(());
        }
        let (first, second) = alerts.split_at(alerts.len() / 2);
        self.send_request(first, deadline, rejected)?;
        self.send_request(second, deadline, rejected)
    }

    fn post(&self, body: &[u8], deadline: Instant) -> Result<PostResult, Failure> {
        let left = deadline.saturating_duration_since(Instant::now());
        let response = self
            .http
            .post(&format!("{}/api/v2/alerts", self.url))
            .header("content-type", "application/json")
            .send(body, left);
        match response {
            Ok(response) => outcome::of_response(&response, &self.name),
            // Not uncertain: an alert that is sent twice is still one alert.
            Err(error) => Err(error.repeatable_failure(&self.name)),
        }
    }
}
