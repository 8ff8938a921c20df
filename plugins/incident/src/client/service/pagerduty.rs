//! PagerDuty: events of the Events API v2.

use delfin_plugin_api::{
    Outcome,
    http::{Client, ClientSettings, Response},
    json::alert_object,
    setting::{Mistakes, Secret},
};
use serde_json::{Value, json};

use super::IncidentService;
use crate::{
    client::ServiceConnection,
    config::ServiceSettings,
    encode::{Incident, Urgency, non_empty},
};

const ROUTING_KEY: &str = "write the integration key of the service in PagerDuty";

#[derive(Debug)]
pub(crate) struct PagerDuty {
    routing_key: Secret,
}

impl IncidentService for PagerDuty {
    const NAME: &'static str = "PagerDuty";
    const DEFAULT_URL: Option<&'static str> = Some("https://events.pagerduty.com/v2/enqueue");
    const URL: &'static str =
        "write `https://events.eu.pagerduty.com/v2/enqueue` for the region EU";
    const MAX_ALERTS: u64 = 40;
    const WORKERS: usize = 4;
    const PER_MINUTE: u32 = 110;
    const HAS_KEYS: bool = true;

    fn read(
        settings: &mut ServiceSettings,
        _: &ClientSettings,
        mistakes: &mut Mistakes,
    ) -> Option<Self> {
        let key = settings.take("routing_key");
        if key.is_none() {
            mistakes.missing("routing_key", ROUTING_KEY);
        }
        let routing_key = mistakes.secret("routing_key", key)?;
        Some(Self { routing_key })
    }

    fn hide_secret(&self, http: Client, _url: &str) -> Client {
        http.hiding(self.routing_key.reveal())
    }

    /// An event without content, which PagerDuty refuses with its reasons.
    fn health(&self, connection: &ServiceConnection<'_>) -> Outcome {
        let response = connection.post(Self::PATH, &json!({}), true)?;
        connection.of_check::<Self>(&response, names_errors)
    }

    fn report(&self, connection: &ServiceConnection<'_>, incidents: &[Incident<'_>]) -> Outcome {
        // A request has one event.
        incidents
            .iter()
            .try_for_each(|incident| connection.report::<Self>(&self.event(incident), is_accepted))
    }
}

impl PagerDuty {
    fn event(&self, incident: &Incident<'_>) -> Value {
        let mut event = json!({
            "routing_key": self.routing_key.reveal(),
            "event_action": if incident.has_ended { "resolve" } else { "trigger" },
            "dedup_key": incident.key,
        });
        if !incident.has_ended {
            event["client"] = json!("delfin-host");
            event["payload"] = payload(incident);
        }
        event
    }
}

fn is_accepted(response: &Response) -> bool {
    let body: Option<Value> = response.json();
    body.is_some_and(|body| body["status"] == "success")
}

/// `{"status":"invalid event","message":"Event object is invalid","errors":["…"]}`
fn names_errors(response: &Response) -> bool {
    let body: Option<Value> = response.json();
    body.is_some_and(|body| body["status"].is_string() && body["errors"].is_array())
}

fn payload(incident: &Incident<'_>) -> Value {
    let alert = &incident.alert;
    let severity = match incident.urgency {
        Urgency::Critical => "critical",
        Urgency::Major => "error",
        Urgency::Minor | Urgency::Warning => "warning",
        Urgency::Info => "info",
    };
    let mut payload = json!({
        "summary": incident.summary,
        "source": incident.storage(),
        "severity": severity,
        "custom_details": alert_object(*alert),
    });
    for (key, text) in [
        ("timestamp", incident.time()),
        ("component", non_empty(alert.location()).map(str::to_owned)),
        ("group", non_empty(alert.storage_id()).map(str::to_owned)),
        ("class", non_empty(alert.alert_type()).map(str::to_owned)),
    ] {
        if let Some(text) = text {
            payload[key] = text.into();
        }
    }
    payload
}
