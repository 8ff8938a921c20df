//! What the services have in common, and how they differ.

mod jira;
mod pagerduty;
mod servicenow;
mod slack;
mod teams;

use std::fmt;

use delfin_plugin_api::{
    Outcome,
    http::{ClientSettings, Response},
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

    /// A secret apart from the settings of the HTTP client: a service may repeat it
    /// in a response. Empty if there is nothing.
    fn secret<'a>(&'a self, _url: &'a str) -> &'a str {
        ""
    }

    /// Reports the alerts of one request.
    fn report(&self, connection: &ServiceConnection<'_>, incidents: &[Incident<'_>]) -> Outcome;
}

/// The path and the query of the URL of a webhook, which are its secret.
fn secret_path(url: &str) -> &str {
    let host = url.find("://").map_or(0, |scheme| scheme + 3);
    let path = url[host..].find(['/', '?']);
    path.map_or("", |path| &url[host + path..])
}

/// The response has no content but white space, or this text.
fn is_text(response: &Response, texts: &[&str]) -> bool {
    let body = response.body().map(<[u8]>::trim_ascii);
    body.is_some_and(|body| texts.iter().any(|text| text.as_bytes() == body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_and_the_query_of_a_webhook_are_its_secret() {
        let check = |url, secret| assert_eq!(secret_path(url), secret);
        check(
            "https://hooks.slack.com/services/T0/B0/x",
            "/services/T0/B0/x",
        );
        check("https://example.com:443/w?sig=x", "/w?sig=x");
        check("https://example.com?sig=x", "?sig=x");
        check("https://example.com", "");
    }
}
