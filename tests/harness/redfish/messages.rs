//! Log entries and events.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::array;

/// The time this many minutes ago, as the specification writes it.
#[must_use]
pub fn ago(minutes: u64) -> String {
    let time = SystemTime::now() - Duration::from_secs(minutes * 60);
    DateTime::<Utc>::from(time).to_rfc3339()
}

/// A log entry of the array's own registry, about a fan.
#[must_use]
pub fn fan(name: &str, minutes: u64) -> Value {
    json!({
        "EntryType": "Event",
        "Created": ago(minutes),
        "MessageId": format!("AcmeStorage.1.2.{name}"),
        "MessageArgs": ["2"],
        "Links": {"OriginOfCondition": {"@odata.id": format!("{}/Metrics", array::DRIVE)}},
    })
}

/// A server-sent event about the health of a volume.
#[must_use]
pub fn event(name: &str, severity: &str, id: u32) -> Vec<u8> {
    let event = json!({
        "@odata.type": "#Event.v1_11_0.Event",
        "Id": id.to_string(),
        "Events": [{
            "EventId": id.to_string(),
            "EventTimestamp": ago(0),
            "MessageId": format!("ResourceEvent.1.3.{name}"),
            "MessageSeverity": severity,
            "Message": "The health of the volume has changed.",
            "OriginOfCondition": {"@odata.id": array::VOLUME},
        }],
    });
    format!(": keep-alive\r\nid: {id}\r\ndata: {event}\r\n\r\n").into_bytes()
}
