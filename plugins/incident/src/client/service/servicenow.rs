//! ServiceNow: events of Event Management.

use delfin_plugin_api::{
    Outcome,
    http::{ClientSettings, Response},
    json::alert_object,
    setting::Mistakes,
};
use serde_json::{Value, json};

use super::IncidentService;
use crate::{
    client::ServiceConnection,
    config::ServiceSettings,
    encode::{Incident, Urgency},
};

const CREDENTIALS: &str =
    "write those of a user with the role `evt_mgmt_integration`, or `bearer_token` or `oauth2`";

#[derive(Debug)]
pub(crate) struct ServiceNow {
    /// The source of the events.
    source: String,
}

impl IncidentService for ServiceNow {
    const NAME: &'static str = "ServiceNow";
    const URL: &'static str =
        "write the address of the instance, such as `https://example.service-now.com`";
    const PATH: &'static str = "/api/global/em/jsonv2";
    const MAX_ALERTS: u64 = 1_000;
    const ALERTS_IN_REQUEST: usize = 200;
    const PER_MINUTE: u32 = 120;
    const HAS_KEYS: bool = true;

    fn read(
        settings: &mut ServiceSettings,
        http: &ClientSettings,
        mistakes: &mut Mistakes,
    ) -> Option<Self> {
        if !http.is_authorized() {
            mistakes.missing("username", CREDENTIALS);
        }
        let source = mistakes.text("source", settings.take("source"));
        Some(Self {
            source: source.unwrap_or_else(|| "delfin-host".to_owned()),
        })
    }

    /// A request without events, for which the user needs the same role. An instance that wants an event
    /// refuses it in the form of its errors.
    fn health(&self, connection: &ServiceConnection<'_>) -> Outcome {
        let response = connection.post(Self::PATH, &json!({ "records": [] }), true)?;
        connection.of_check::<Self>(&response, |response| match response.status() {
            400 => has_error(response),
            _ => is_accepted(response),
        })
    }

    fn report(&self, connection: &ServiceConnection<'_>, incidents: &[Incident<'_>]) -> Outcome {
        let records = incidents.iter().map(|incident| self.record(incident));
        let body = json!({ "records": records.collect::<Vec<_>>() });
        connection.report::<Self>(&body, is_accepted)
    }
}

/// `{"result":{"Default Bulk Endpoint":"1 events were inserted"}}`. An instance that hibernates answers with a page.
fn is_accepted(response: &Response) -> bool {
    let body: Option<Value> = response.json();
    body.is_some_and(|body| body.get("result").is_some() && body.get("error").is_none())
}

/// `{"error":{"message":"…","detail":"…"},"status":"failure"}`
fn has_error(response: &Response) -> bool {
    let body: Option<Value> = response.json();
    body.is_some_and(|body| body["error"]["message"].is_string())
}

impl ServiceNow {
    fn record(&self, incident: &Incident<'_>) -> Value {
        let alert = &incident.alert;
        let severity = match incident.urgency {
            _ if incident.has_ended => "0",
            Urgency::Critical => "1",
            Urgency::Major => "2",
            Urgency::Minor => "3",
            Urgency::Warning => "4",
            Urgency::Info => "5",
        };
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        // The form that ServiceNow reads, in UTC.
        let time = incident.time().unwrap_or_default().replace('T', " ");
        let time = time.get(..19).unwrap_or_default();
        json!({
            "source": self.source,
            "event_class": text(alert.vendor()),
            "node": incident.storage(),
            "resource": text(alert.location()),
            "metric_name": text(alert.alert_name().or(alert.alert_id())),
            "type": text(alert.alert_type()),
            "severity": severity,
            "description": format!("{}\n{}", incident.summary, text(alert.description())).trim_end(),
            "message_key": incident.key,
            "time_of_event": time,
            "resolution_state": if incident.has_ended { "Closing" } else { "New" },
            "additional_info": Value::Object(alert_object(*alert)).to_string(),
        })
    }
}
