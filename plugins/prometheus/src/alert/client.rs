//! One Alertmanager.
//!
//! Promises: what it does not refuse it has got; which alerts it refuses is
//! found out one by one; nothing lasts longer than the caller has time.
//!
//! Sending twice does no harm there, so an answer that is lost is tried again.

use std::time::{Duration, Instant};

use delfin_plugin_api::{
    Failure,
    http::{self, ClientSettings, ErrorKind, Response},
};

use super::{config::Config, payload::Posted};

/// As many as Prometheus itself sends at once.
const BATCH: usize = 256;
const USER_AGENT: &str = concat!("delfin-exporter-prometheus/", env!("CARGO_PKG_VERSION"));

/// An Alertmanager.
pub(super) struct Client {
    url: String,
    http: http::Client,
}

/// How far alerts got.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// The rows that were refused, and why.
    pub(super) refused: Vec<(usize, String)>,
    /// The first row that was not sent, and why; none, if all were.
    pub(super) stopped: Option<(usize, Failure)>,
}

enum Verdict {
    Stored,
    Refused(String),
}

impl Client {
    /// A client for each address that `config` names.
    pub(super) fn all(config: &Config) -> Result<Vec<Self>, Failure> {
        let http = http::Client::new(&ClientSettings {
            user_agent: USER_AGENT.to_owned(),
            authorization: config.authorization.clone(),
            tls: config.tls.clone(),
            proxy: None,
        })?;
        let client = |url: &String| Self {
            url: url.clone(),
            http: http.clone(),
        };
        Ok(config.urls.iter().map(client).collect())
    }

    /// Sends alerts, in order, as far as it goes.
    pub(super) fn send(
        &self,
        alerts: &[Posted<'_>],
        goes_on: impl Fn() -> bool,
        time: Duration,
    ) -> Sent {
        let deadline = Instant::now() + time;
        let mut sent = Sent::default();
        for alerts in alerts.chunks(BATCH) {
            let first = alerts[0].row();
            let tried = if goes_on() {
                self.send_some(alerts, deadline, &mut sent.refused)
            } else {
                Err(Failure::retry("the host is about to stop"))
            };
            if let Err(failure) = tried {
                sent.refused.retain(|&(row, _)| row < first);
                sent.stopped = Some((first, failure));
                break;
            }
        }
        sent
    }

    /// Whether alerts would be taken: sends none.
    pub(super) fn health(&self, time: Duration) -> Result<(), Failure> {
        match self.post(b"[]", Instant::now() + time)? {
            Verdict::Stored => Ok(()),
            Verdict::Refused(words) => Err(Failure::misconfigured(words)),
        }
    }

    /// Alertmanager keeps the good ones of alerts of which it refuses some, and
    /// does not say which: halves are sent until those stand alone.
    fn send_some(
        &self,
        alerts: &[Posted<'_>],
        deadline: Instant,
        refused: &mut Vec<(usize, String)>,
    ) -> Result<(), Failure> {
        let body = serde_json::to_vec(alerts).map_err(Failure::rejected)?;
        let Verdict::Refused(words) = self.post(&body, deadline)? else {
            return Ok(());
        };
        if let [alert] = alerts {
            refused.push((alert.row(), words));
            return Ok(());
        }
        let (these, those) = alerts.split_at(alerts.len() / 2);
        self.send_some(these, deadline, refused)?;
        self.send_some(those, deadline, refused)
    }

    fn post(&self, body: &[u8], deadline: Instant) -> Result<Verdict, Failure> {
        let left = deadline.saturating_duration_since(Instant::now());
        let answered = self
            .http
            .post(&format!("{}/api/v2/alerts", self.url))
            .header("content-type", "application/json")
            .send(body, left);
        match answered {
            Ok(answer) => self.verdict(&answer),
            // It may be there, and once more does no harm.
            Err(error) if error.kind == ErrorKind::NoResponse => {
                Err(Failure::retry(format!("`{}`: {error}", self.url)))
            }
            Err(error) => Err(error.failure(&self.url)),
        }
    }

    fn verdict(&self, answer: &Response) -> Result<Verdict, Failure> {
        if answer.is_success() {
            return Ok(Verdict::Stored);
        }
        match answer.failure(&self.url) {
            Failure::Rejected { message } if answer.is_json() => Ok(Verdict::Refused(message)),
            Failure::TooLarge { message } => Ok(Verdict::Refused(message)),
            // Such as the answer to http where https is spoken: it is about no alert.
            Failure::Rejected { message } => Err(Failure::misconfigured(format!(
                "{message} (no answer of Alertmanager's: check the address)"
            ))),
            other => Err(other),
        }
    }
}
