//! The alerts of a body: by a mapping, or of an item as it is.

use delfin_plugin_api::text::excerpt;
use serde_json::Value;

use super::{
    mapping::{WebhookItem, WebhookMappings},
    path::text_of,
};
use crate::{alert::RECEIVED_BY, notification::NotificationAlert};

/// The longest name of an alert, in characters.
const MAX_NAME: usize = 200;
/// The most members of an item that become texts of a raw alert.
const MAX_MEMBERS: usize = 256;
/// The most characters of a member in a raw alert.
const MAX_TEXT: usize = 4_096;
/// Members whose text names a raw alert, the best first.
const NAMES: [&str; 6] = ["alert_name", "name", "title", "summary", "message", "event"];

/// The alerts of a body: one for each item.
#[must_use]
pub fn webhook_alerts(
    body: &Value,
    mappings: &WebhookMappings,
    received_ms: i64,
) -> Vec<NotificationAlert> {
    let items = mappings.apply(body).into_iter();
    let alerts = items.map(|(item, rule)| {
        let mut alert = match rule {
            Some(rule) => NotificationAlert::mapped(rule, &item, received_ms),
            None => raw(item, received_ms),
        };
        alert.add_default("alert_name", || "webhook".to_owned());
        alert.add_default("alert_id", || "webhook".to_owned());
        alert.add_defaults();
        alert.add(RECEIVED_BY, "webhook".to_owned());
        alert
    });
    alerts.collect()
}

/// An alert with the members of the item. The same item again is the same alert.
fn raw(WebhookItem { item, .. }: WebhookItem<'_>, received_ms: i64) -> NotificationAlert {
    let mut alert = NotificationAlert::raw(received_ms);
    let name = NAMES
        .iter()
        .find_map(|name| item.get(name).and_then(Value::as_str));
    if let Some(name) = name.filter(|name| !name.is_empty()) {
        alert.add("alert_name", excerpt(name, MAX_NAME));
    }
    let text = item.to_string();
    alert.add("description", excerpt(&text, MAX_TEXT));
    alert.add("match_key", format!("webhook/{}", excerpt(&text, MAX_NAME)));
    let members = item.as_object().into_iter().flatten();
    for (name, value) in members.take(MAX_MEMBERS) {
        if let Some(text) = text_of(value) {
            alert.add(&format!("webhook_{name}"), excerpt(&text, MAX_TEXT));
        }
    }
    alert
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use serde_json::json;

    use super::*;

    fn text<'a>(alert: &'a NotificationAlert, column: &str) -> Option<&'a str> {
        let mut texts = alert.texts.iter();
        texts.find_map(|(key, text)| (key == column).then_some(&**text))
    }

    fn built_in() -> WebhookMappings {
        WebhookMappings::load(Path::new("/nonexistent")).unwrap()
    }

    #[test]
    fn the_alerts_of_an_alertmanager_are_alerts_and_recoveries() {
        let alert = |name: &str, status: &str| {
            json!({"status": status, "labels": {"alertname": name, "severity": "critical", "instance": "array-7"},
                "annotations": {"summary": "pool is full"}, "startsAt": "2023-11-14T22:13:20Z",
                "endsAt": "2023-11-14T23:13:20Z", "fingerprint": format!("f-{name}")})
        };
        let body = json!({"version": "4", "status": "firing", "receiver": "delfin", "commonLabels": {},
            "alerts": [alert("Pool", "firing"), alert("Fan", "resolved")]});
        let found = webhook_alerts(&body, &built_in(), 7);
        let names: Vec<_> = found
            .iter()
            .map(|alert| text(alert, "alert_name"))
            .collect();
        assert_eq!(names, [Some("Pool"), Some("Fan")]);
        assert_eq!(text(&found[0], "severity"), Some("Critical"));
        assert_eq!(text(&found[0], "category"), Some("Fault"));
        assert_eq!(text(&found[0], "description"), Some("pool is full"));
        assert_eq!(text(&found[0], "match_key"), Some("f-Pool"));
        assert_eq!(found[0].occur_time_ms, 1_700_000_000_000);
        assert_eq!(text(&found[1], "category"), Some("Recovery"));
    }

    #[test]
    fn the_events_of_redfish_are_alerts() {
        let body = json!({"@odata.type": "#Event.v1_7_0.Event", "Id": "1", "Name": "Event Array", "Events": [
            {"EventId": "ABC", "Severity": "Warning", "Message": "drive failed", "MessageId": "Drive.1.0.Failed",
             "EventTimestamp": "2023-11-14T22:13:20Z", "OriginOfCondition": {"@odata.id": "/redfish/v1/Drives/3"}},
            {"EventId": "ABD", "MessageSeverity": "Critical", "Message": "drive is missing", "MessageId": "Drive.1.0.Missing"}
        ]});
        let found = webhook_alerts(&body, &built_in(), 7);
        assert_eq!(text(&found[0], "alert_id"), Some("Drive.1.0.Failed"));
        assert_eq!(text(&found[0], "severity"), Some("Warning"));
        assert_eq!(text(&found[0], "location"), Some("/redfish/v1/Drives/3"));
        assert_eq!(text(&found[1], "severity"), Some("Critical"));
        assert_eq!(found[1].occur_time_ms, 7);
    }

    #[test]
    fn a_body_that_no_rule_knows_is_raw_and_none_is_dropped() {
        let check = |body: Value, names: &[&str]| {
            let found = webhook_alerts(&body, &built_in(), 7);
            let found: Vec<_> = found
                .iter()
                .map(|alert| text(alert, "alert_name").unwrap())
                .collect();
            assert_eq!(found, names, "{body}");
        };
        check(json!({"title": "Fan failed", "unit": 3}), &["Fan failed"]);
        check(
            json!([{"message": "a"}, 7, null]),
            &["a", "webhook", "webhook"],
        );
        check(json!("text"), &["webhook"]);
        check(json!([]), &[]);
        check(json!({"alerts": [], "status": "firing"}), &[]);
        check(json!({"alerts": [], "Events": [7]}), &["webhook"]);
        check(json!({"alerts": "none"}), &["webhook"]);
        check(json!({"items": []}), &["webhook"]);
        let raw = &webhook_alerts(&json!({"title": "Fan failed", "unit": 3}), &built_in(), 7)[0];
        assert_eq!(text(raw, "webhook_unit"), Some("3"));
        assert_eq!(text(raw, "category"), Some("NotSpecified"));
    }

    #[test]
    fn a_rule_for_one_item_leaves_the_others_of_its_list_raw() {
        let folder = tempfile::tempdir().unwrap();
        let rules = r#"
            [[webhook]]
            list = "data.events"
            when = { kind = "disk" }
            alert_name = "Disk ${slot} of ${array}"
        "#;
        fs::write(folder.path().join("acme.toml"), rules).unwrap();
        let mappings = WebhookMappings::load(folder.path()).unwrap();
        let body = json!({"array": "a7", "data": {"events": [{"kind": "disk", "slot": 3}, {"kind": "fan", "name": "Fan"}]}});
        let found = webhook_alerts(&body, &mappings, 7);
        assert_eq!(text(&found[0], "alert_name"), Some("Disk 3 of a7"));
        assert_eq!(text(&found[1], "alert_name"), Some("Fan"));
        assert_eq!(found[1].rule, None);
    }
}
