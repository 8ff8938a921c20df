//! The payload of Alertmanager, checked before rules make alerts of it: what is wrong with it would otherwise become an
//! alert of another form.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::notification::parse_time;

/// Of Alertmanager since 0.5, and of Grafana.
const VERSIONS: [&str; 2] = ["4", "1"];
const STATUSES: [&str; 2] = ["firing", "resolved"];

/// What is wrong with an alert: the field, and the reason with the remedy.
pub type AlertProblem = (&'static str, String);

/// Alerts that cannot be used, by their positions, from 0.
pub type InvalidAlerts = BTreeMap<usize, AlertProblem>;

/// Takes the alerts out of a payload that cannot be used.
///
/// # Errors
///
/// The body is not a payload of Alertmanager: the reason, with the remedy.
pub fn take_invalid_alerts(body: &mut Value) -> Result<InvalidAlerts, String> {
    let remedy = "send the payload of a `webhook_configs` receiver, version 4";
    let members = body.as_object_mut();
    let members = members.ok_or_else(|| format!("it is not an object ({remedy})"))?;
    match members.get("version") {
        Some(Value::String(version)) if VERSIONS.contains(&&**version) => {}
        Some(version) => return Err(format!("the version `{version}` is unknown ({remedy})")),
        None => return Err(format!("`version` is missing ({remedy})")),
    }
    let Some(Value::Array(alerts)) = members.get_mut("alerts") else {
        return Err(format!("`alerts` is not an array ({remedy})"));
    };
    let mut invalid = InvalidAlerts::new();
    let mut index = 0;
    alerts.retain(|alert| {
        let problem = problem(alert);
        let is_valid = problem.is_none();
        invalid.extend(problem.map(|problem| (index, problem)));
        index += 1;
        is_valid
    });
    Ok(invalid)
}

fn problem(alert: &Value) -> Option<AlertProblem> {
    let status = alert["status"].as_str().unwrap_or_default();
    if !STATUSES.contains(&status) {
        return Some(("status", "is neither `firing` nor `resolved`".to_owned()));
    }
    let name = alert["labels"]["alertname"].as_str().unwrap_or_default();
    if name.is_empty() {
        return Some((
            "labels",
            "`alertname` is missing (add the label)".to_owned(),
        ));
    }
    let start = alert["startsAt"].as_str().unwrap_or_default();
    if parse_time(start).is_none() {
        let reason = "is not a time (write it as in `2023-11-14T22:13:20Z`)";
        return Some(("startsAt", reason.to_owned()));
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_body_that_is_no_payload_is_refused_with_its_reason() {
        for (mut body, wanted) in [
            (json!([]), "it is not an object"),
            (json!({}), "`version` is missing"),
            (json!({"version": "3"}), "the version `\"3\"` is unknown"),
            (json!({"version": 4}), "the version `4` is unknown"),
            (json!({"version": "4"}), "`alerts` is not an array"),
        ] {
            let remedy = "(send the payload of a `webhook_configs` receiver, version 4)";
            let error = take_invalid_alerts(&mut body).unwrap_err();
            assert_eq!(error, format!("{wanted} {remedy}"), "{body}");
        }
    }

    #[test]
    fn alerts_that_cannot_be_used_are_taken_out_with_their_places() {
        let alert = |status: &str, name: &str, start: &str| json!({"status": status, "labels": {"alertname": name}, "startsAt": start});
        let start = "2023-11-14T22:13:20.123Z";
        let mut body = json!({"version": "4", "alerts": [
            alert("firing", "a", "yesterday"), alert("resolved", "b", start), 7,
            alert("open", "c", start), alert("firing", "", start), alert("firing", "d", start),
        ]});
        let invalid = take_invalid_alerts(&mut body).unwrap();
        let places = invalid.iter().map(|(index, (field, _))| (*index, *field));
        let wanted = [(0, "startsAt"), (2, "status"), (3, "status"), (4, "labels")];
        assert_eq!(places.collect::<Vec<_>>(), wanted);
        let names = body["alerts"].as_array().unwrap().iter();
        let names = names.map(|alert| &alert["labels"]["alertname"]);
        assert_eq!(names.collect::<Vec<_>>(), ["b", "d"]);
    }
}
