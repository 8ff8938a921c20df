//! Microsoft Teams: cards for a workflow that receives webhook requests.

use delfin_plugin_api::{
    Outcome,
    http::{Client, ClientSettings},
    setting::Mistakes,
    text::excerpt_lines,
};
use serde_json::{Value, json};

use super::{IncidentService, is_text};
use crate::{
    client::ServiceConnection,
    config::ServiceSettings,
    encode::{Incident, Urgency, non_empty},
};

/// Limits in characters, so that a message stays below the 28 KB that Teams accepts.
const MAX_DESCRIPTION: usize = 1_000;
const MAX_FACT: usize = 200;
const MAX_TITLE: usize = 300;

#[derive(Debug)]
pub(crate) struct Teams;

impl IncidentService for Teams {
    const NAME: &'static str = "Microsoft Teams";
    const URL: &'static str =
        "write the URL of a workflow that posts webhook requests to a channel";
    const MAX_ALERTS: u64 = 40;
    const ALERTS_IN_REQUEST: usize = 2;
    const PER_MINUTE: u32 = 120;
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
        let elements: Vec<_> = incidents.iter().flat_map(elements).collect();
        let body = json!({
            "type": "message",
            "attachments": [{
                "contentType": "application/vnd.microsoft.card.adaptive",
                "contentUrl": null,
                "content": {
                    "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                    "type": "AdaptiveCard",
                    "version": "1.4",
                    "body": elements,
                },
            }],
        });
        // Workflows answer 202 without a body, and some gateways `1`.
        connection.report::<Self>(&body, |response| is_text(response, &["", "1"]))
    }
}

fn elements(incident: &Incident<'_>) -> Vec<Value> {
    let alert = &incident.alert;
    let (color, mark) = match incident.urgency {
        _ if incident.has_ended => ("Good", "Ended: "),
        Urgency::Critical | Urgency::Major => ("Attention", ""),
        Urgency::Minor | Urgency::Warning => ("Warning", ""),
        Urgency::Info => ("Default", ""),
    };
    let title = format!("{mark}{}", shown(&incident.summary, MAX_TITLE));
    let mut elements = vec![json!({
        "type": "TextBlock", "text": title, "weight": "Bolder", "color": color, "wrap": true,
    })];
    if let Some(text) = non_empty(alert.description()) {
        let text = shown(text, MAX_DESCRIPTION);
        elements.push(json!({ "type": "TextBlock", "text": text, "wrap": true }));
    }
    let facts = [
        ("Storage", Some(incident.storage())),
        ("Location", alert.location()),
        ("Severity", alert.severity()),
        ("Advice", alert.recovery_advice()),
    ];
    let facts = facts.into_iter().filter_map(|(title, text)| {
        let text = non_empty(text)?;
        Some(json!({ "title": title, "value": shown(text, MAX_FACT) }))
    });
    elements.push(json!({ "type": "FactSet", "facts": facts.collect::<Vec<_>>() }));
    elements
}

/// A text without the Markdown of cards. There, a line ends with a paragraph.
fn shown(text: &str, max_chars: usize) -> String {
    let lines = excerpt_lines(text, max_chars).into_iter();
    let lines = lines.filter(|line| !line.trim().is_empty());
    lines
        .map(|line| escaped(&line))
        .collect::<Vec<_>>()
        .join("\n\n")
}

fn escaped(line: &str) -> String {
    let mut escaped = String::new();
    let line = line.trim_start();
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    for (at, c) in line.char_indices() {
        // The beginning of a list: `- `, `+ ` or `1. `.
        let is_list = (at == 0 && "-+".contains(c)) || (at == digits && digits > 0 && c == '.');
        if is_list || "\\*_[]()`#~".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}
