//! Slack: messages of an incoming webhook.

use delfin_plugin_api::{
    Outcome,
    http::{Client, ClientSettings},
    setting::Mistakes,
    text::excerpt_lines,
};
use serde_json::json;

use super::{IncidentService, is_text};
use crate::{
    client::ServiceConnection,
    config::ServiceSettings,
    encode::{Incident, Urgency},
};

/// The longest description in a message. Ten of them are below Slack's limit of a message.
const MAX_DESCRIPTION: usize = 2_000;

#[derive(Debug)]
pub(crate) struct Slack;

impl IncidentService for Slack {
    const NAME: &'static str = "Slack";
    const URL: &'static str = "write the URL of an incoming webhook of Slack";
    const MAX_ALERTS: u64 = 100;
    const ALERTS_IN_REQUEST: usize = 10;
    const PER_MINUTE: u32 = 55;
    const HAS_KEYS: bool = false;

    fn read(_: &mut ServiceSettings, _: &ClientSettings, _: &mut Mistakes) -> Option<Self> {
        Some(Self)
    }

    fn hide_secret(&self, http: Client, url: &str) -> Client {
        http.hiding_path_of(url)
    }

    fn health(&self, connection: &ServiceConnection<'_>) -> Outcome {
        connection.options::<Self>()
    }

    fn report(&self, connection: &ServiceConnection<'_>, incidents: &[Incident<'_>]) -> Outcome {
        let texts: Vec<_> = incidents.iter().map(text).collect();
        // Links in texts of devices are not looked up.
        let body =
            json!({ "text": texts.join("\n"), "unfurl_links": false, "unfurl_media": false });
        connection.report::<Self>(&body, |response| is_text(response, &["ok"]))
    }
}

fn text(incident: &Incident<'_>) -> String {
    let mark = match incident.urgency {
        _ if incident.has_ended => ":white_check_mark: Ended: ",
        Urgency::Critical | Urgency::Major => ":red_circle: ",
        Urgency::Minor | Urgency::Warning => ":large_yellow_circle: ",
        Urgency::Info => ":large_blue_circle: ",
    };
    let mut text = format!(
        "{mark}*{}*",
        escaped(&incident.summary.replace('*', "\u{2217}"))
    );
    if let Some(description) = incident.alert.description().filter(|text| !text.is_empty()) {
        text.push('\n');
        let lines = excerpt_lines(description, MAX_DESCRIPTION);
        text.push_str(&escaped(&lines.join("\n")));
    }
    text
}

/// Without links, mentions and commands of Slack.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
