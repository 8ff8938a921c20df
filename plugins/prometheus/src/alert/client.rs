//! One Alertmanager.
//!
//! Promises: what it does not refuse it has got; which alerts it refuses is
//! found out one by one; nothing lasts longer than the caller has time.
//!
//! Sending twice does no harm there, so an answer that is lost is tried again.

use std::{
    fs,
    io::{self, Read},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use delfin_plugin_api::{
    Failure,
    http::{self, NoAnswer},
};
use ureq::{
    Agent, Body,
    http::{
        Response,
        header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER},
    },
    tls::{PemItem, RootCerts, TlsConfig, parse_pem},
};

use super::{
    config::{Authorization, Config},
    payload::Posted,
};

/// As many as Prometheus itself sends at once.
const BATCH: usize = 256;
const CONNECT: Duration = Duration::from_secs(5);
/// How much of an answer is worth showing.
const MAX_WORDS: u64 = 500;
const USER_AGENT: &str = concat!("delfin-exporter-prometheus/", env!("CARGO_PKG_VERSION"));

/// An Alertmanager.
pub(super) struct Client {
    url: String,
    agent: Agent,
    authorization: Option<Authorization>,
}

/// How far alerts got.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// The rows that were refused, and why.
    pub(super) refused: Vec<(usize, String)>,
    /// The first row that was not sent, and why; none, if all were.
    pub(super) stopped: Option<(usize, Failure)>,
}

enum Answer {
    Stored,
    Refused(String),
}

impl Client {
    /// A client for each address that `config` names.
    pub(super) fn all(config: &Config) -> Result<Vec<Self>, Failure> {
        let mut settings = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .user_agent(USER_AGENT);
        if let Some(path) = &config.ca_certificate {
            let roots = read_roots(path).map_err(Failure::misconfigured)?;
            settings = settings.tls_config(TlsConfig::builder().root_certs(roots).build());
        }
        let agent = settings.build().new_agent();
        let client = |url: &String| Self {
            url: url.clone(),
            agent: agent.clone(),
            authorization: config.authorization.clone(),
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
            Answer::Stored => Ok(()),
            Answer::Refused(words) => Err(Failure::misconfigured(words)),
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
        let Answer::Refused(words) = self.post(&body, deadline)? else {
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

    fn post(&self, body: &[u8], deadline: Instant) -> Result<Answer, Failure> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let late = format!("no time left to send to `{}`", self.url);
            return Err(NoAnswer::NotSent.failure(late));
        }
        let mut request = self
            .agent
            .post(format!("{}/api/v2/alerts", self.url))
            .header(CONTENT_TYPE, "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.header());
        }
        let request = request
            .config()
            .timeout_global(Some(left))
            .timeout_connect(Some(left.min(CONNECT)))
            .build();
        let mut response = request.send(body).map_err(|error| self.no_answer(&error))?;
        self.answer(&mut response)
    }

    fn answer(&self, response: &mut Response<Body>) -> Result<Answer, Failure> {
        let status = response.status().as_u16();
        if response.status().is_success() {
            return Ok(Answer::Stored);
        }
        let header = |name| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let retry_after = header(RETRY_AFTER).map(str::to_owned);
        let json = header(CONTENT_TYPE).is_some_and(|kind| kind.starts_with("application/json"));
        let words = format!("`{}` answers {status}: {}", self.url, words(response));
        match status {
            400 | 422 if json => Ok(Answer::Refused(words)),
            413 => Ok(Answer::Refused(words)),
            // Such as the answer to http where https is spoken: it is about no alert.
            400..=499 => match http::failure(status, retry_after.as_deref(), &words) {
                Failure::Rejected { .. } => Err(Failure::misconfigured(format!(
                    "{words} (no answer of Alertmanager's: check the address)"
                ))),
                other => Err(other),
            },
            _ => Err(http::failure(status, retry_after.as_deref(), words)),
        }
    }

    fn no_answer(&self, error: &ureq::Error) -> Failure {
        let message = format!("`{}`: {error}", self.url);
        if is_tls(error) {
            return NoAnswer::Untrusted.failure(message);
        }
        match error {
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => NoAnswer::BadAddress.failure(message),
            // Whatever else it is, it was not an answer, and once more does no harm.
            _ => Failure::retry(message),
        }
    }
}

fn is_tls(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) => true,
        ureq::Error::Io(error) => error
            .get_ref()
            .is_some_and(|inner| inner.is::<rustls::Error>()),
        _ => false,
    }
}

/// The beginning of an answer, on one line.
fn words(response: &mut Response<Body>) -> String {
    let mut bytes = Vec::new();
    let body = response.body_mut().as_reader().take(MAX_WORDS);
    if let Err(error) = { body }.read_to_end(&mut bytes) {
        return format!("({error})");
    }
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim().trim_matches('"');
    text.replace(|c: char| c.is_control(), " ")
}

fn read_roots(path: &Path) -> Result<RootCerts, String> {
    let unusable = |reason: &dyn std::fmt::Display| {
        format!("cannot use `ca_certificate` `{}`: {reason}", path.display())
    };
    let pem = fs::read(path).map_err(|error: io::Error| unusable(&error))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| unusable(&error))? {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        return Err(unusable(&"it holds no certificate"));
    }
    Ok(RootCerts::Specific(Arc::new(certificates)))
}
