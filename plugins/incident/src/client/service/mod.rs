//! What the services have in common, and how they differ.

mod jira;
mod pagerduty;
mod servicenow;
mod slack;
mod teams;

use std::fmt;

use delfin_plugin_api::{
    Outcome,
    http::{Client, ClientSettings, Response},
    setting::Mistakes,
};

pub(crate) use self::{
    jira::Jira, pagerduty::PagerDuty, servicenow::ServiceNow, slack::Slack, teams::Teams,
};
use crate::{client::ServiceConnection, config::ServiceSettings, encode::Incident};

/// A service for incidents.
pub(crate) trait IncidentService: fmt::Debug + Sized + Send + Sync + 'static {
    /// The name in messages.
    const NAME: &'static str;

    /// The URL of the service, if all customers have the same.
    const DEFAULT_URL: Option<&'static str> = None;

    /// What to write as `url`.
    const URL: &'static str;

    /// What follows the URL.
    const PATH: &'static str = "";

    /// The most alerts in a call: what the limit of requests lets through in some seconds.
    const MAX_ALERTS: u64;

    /// The most alerts in a request.
    const ALERTS_IN_REQUEST: usize = 1;

    /// Requests at the same time, by default.
    const WORKERS: usize = 1;

    /// Requests in a minute, by default: less than the service allows.
    const PER_MINUTE: u32;

    /// Whether a report that comes twice changes nothing. Otherwise active alerts that are sent
    /// again are not reported.
    const HAS_KEYS: bool;

    /// Reads the settings of the service alone. `None` with a mistake.
    fn read(
        settings: &mut ServiceSettings,
        http: &ClientSettings,
        mistakes: &mut Mistakes,
    ) -> Option<Self>;

    /// Hides a secret that is not among the settings of the HTTP client: a service may repeat it in a
    /// response.
    fn hide_secret(&self, http: Client, _url: &str) -> Client {
        http
    }

    /// Checks that the service answers, with a request that changes nothing there.
    fn health(&self, connection: &ServiceConnection<'_>) -> Outcome;

    /// Reports the alerts of one request.
    fn report(&self, connection: &ServiceConnection<'_>, incidents: &[Incident<'_>]) -> Outcome;
}

/// The response has no content but white space, or this text.
fn is_text(response: &Response, texts: &[&str]) -> bool {
    let body = response.body().map(<[u8]>::trim_ascii);
    body.is_some_and(|body| texts.iter().any(|text| text.as_bytes() == body))
}
