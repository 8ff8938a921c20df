//! Reads documents of a service, which promise less than their schema does.
//!
//! Promises: a value of a wrong type is an absent value; a link leads to the service itself.

use chrono::DateTime;
use serde_json::Value;

/// What every path of the protocol starts with.
const ROOT: &str = "/redfish/v1/";

/// The longest path that is followed.
const MAX_PATH: usize = 1024;

/// A text that is not empty, at a JSON pointer.
pub(crate) fn text<'a>(document: &'a Value, pointer: &str) -> Option<&'a str> {
    let text = document.pointer(pointer)?.as_str()?.trim();
    (!text.is_empty()).then_some(text)
}

/// A text that is not empty, as a value of a resource.
pub(crate) fn text_value(document: &Value, pointer: &str) -> Value {
    text(document, pointer).into()
}

/// A finite number of at least 0. Some services write numbers as texts.
pub(crate) fn number(document: &Value, pointer: &str) -> Option<f64> {
    plain_number(document.pointer(pointer)?)
}

/// As [`number`], of the value itself.
pub(crate) fn plain_number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::String(text) => text.trim().parse().ok()?,
        value => value.as_f64()?,
    };
    (number.is_finite() && number >= 0.0).then_some(number)
}

/// A whole number of at least 0.
pub(crate) fn whole(document: &Value, pointer: &str) -> Option<u64> {
    let value = document.pointer(pointer)?;
    // Beyond 2^53, a float is not exact.
    value
        .as_u64()
        .or_else(|| Some(number(document, pointer)? as u64))
}

pub(crate) fn flag(document: &Value, pointer: &str) -> Option<bool> {
    document.pointer(pointer)?.as_bool()
}

/// The elements of a list; none if it is no list.
pub(crate) fn list<'a>(document: &'a Value, pointer: &str) -> &'a [Value] {
    let list = document.pointer(pointer).and_then(Value::as_array);
    list.map_or(&[], Vec::as_slice)
}

/// The path that the property at a pointer links to.
pub(crate) fn link(document: &Value, pointer: &str) -> Option<String> {
    path_of(document.pointer(pointer)?)
}

/// The paths of a list of links.
pub(crate) fn links(document: &Value, pointer: &str) -> Vec<String> {
    list(document, pointer).iter().filter_map(path_of).collect()
}

/// The path of a document, or of a link to one.
pub(crate) fn path_of(value: &Value) -> Option<String> {
    normal_path(value.pointer("/@odata.id")?.as_str()?)
}

/// A path of the service without a slash at its end. `None` for everything else: a link must not
/// lead to another server, which would get the credentials.
pub(crate) fn normal_path(path: &str) -> Option<String> {
    let is_path = path.starts_with('/') && !path.starts_with("//") && path.len() <= MAX_PATH;
    let is_clean = path
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let is_plain = path
        .split('/')
        .all(|segment| !matches!(segment, "." | ".."));
    if !is_path || !is_clean || !is_plain {
        return None;
    }
    match path.trim_end_matches('/') {
        "" => None,
        path => Some(path.to_owned()),
    }
}

/// The id of a resource: its path without what all paths have. It is unique in the service,
/// which the property `Id` is not.
pub(crate) fn native_id(path: &str) -> &str {
    path.strip_prefix(ROOT).unwrap_or(path)
}

/// The last segment of a path.
pub(crate) fn last_segment(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Delfin's word for the status of a resource.
pub(crate) fn status(document: &Value) -> &'static str {
    let state = text(document, "/Status/State").unwrap_or_default();
    if matches!(
        state,
        "Absent" | "UnavailableOffline" | "StandbyOffline" | "Disabled"
    ) {
        return "offline";
    }
    let health = text(document, "/Status/Health").or(text(document, "/Status/HealthRollup"));
    let is_strained = matches!(state, "Degraded" | "Starting" | "InTest")
        || flag(document, "/FailurePredicted") == Some(true)
        || text(document, "/StatusIndicator").is_some_and(|light| {
            matches!(
                light,
                "Rebuild" | "PredictiveFailureAnalysis" | "InACriticalArray"
            )
        });
    match health {
        Some("Critical") => "abnormal",
        Some("Warning") => "degraded",
        Some("OK") | None if is_strained => "degraded",
        Some("OK") => "normal",
        None if matches!(state, "Enabled" | "StandbySpare") => "normal",
        Some(_) | None => "unknown",
    }
}

/// A time, in milliseconds since the Unix epoch.
pub(crate) fn time_ms(text: &str) -> Option<i64> {
    let time = DateTime::parse_from_rfc3339(text.trim()).ok()?;
    Some(time.timestamp_millis())
}

/// A duration of ISO 8601 with days, hours, minutes and seconds, as `P1DT2H3M4.5S`, in seconds.
pub(crate) fn duration_seconds(text: &str) -> Option<f64> {
    let mut rest = text.trim().strip_prefix('P')?;
    if rest.is_empty() {
        return None;
    }
    let mut seconds = 0.0;
    let mut is_time = false;
    while !rest.is_empty() {
        if let Some(time) = rest.strip_prefix('T') {
            if is_time || time.is_empty() {
                return None;
            }
            is_time = true;
            rest = time;
            continue;
        }
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        let unit = rest[end..].chars().next()?;
        seconds += number
            * match (is_time, unit) {
                (false, 'D') => 86_400.0,
                (true, 'H') => 3_600.0,
                (true, 'M') => 60.0,
                (true, 'S') => 1.0,
                _ => return None,
            };
        rest = &rest[end + unit.len_utf8()..];
    }
    Some(seconds)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn durations_and_times_are_read() {
        for (text, expected) in [
            ("PT0S", Some(0.0)),
            ("PT1H2M3.5S", Some(3723.5)),
            ("P1DT1S", Some(86_401.0)),
            ("P2D", Some(172_800.0)),
            ("", None),
            ("P", None),
            ("PT", None),
            ("PT5", None),
            ("P1Y", None),
            ("5S", None),
            ("PT1S ", Some(1.0)),
            ("PTé", None),
        ] {
            assert_eq!(duration_seconds(text), expected, "{text}");
        }
        assert_eq!(
            time_ms("2026-04-12T10:15:00+02:00"),
            Some(1_775_981_700_000)
        );
        assert_eq!(time_ms("2026-04-12T08:15:00Z"), Some(1_775_981_700_000));
        assert_eq!(time_ms("yesterday"), None);
    }

    #[test]
    fn a_link_stays_in_the_service() {
        for (path, expected) in [
            ("/redfish/v1/Chassis/1/", Some("/redfish/v1/Chassis/1")),
            (
                "/redfish/v1/Chassis?$skip=50",
                Some("/redfish/v1/Chassis?$skip=50"),
            ),
            ("http://192.0.2.9/redfish/v1", None),
            ("//192.0.2.9/redfish/v1", None),
            ("/\\192.0.2.9", None),
            ("/redfish/v1/../../admin", None),
            ("/a b", None),
            ("/", None),
            ("", None),
        ] {
            assert_eq!(normal_path(path).as_deref(), expected, "{path}");
        }
        assert_eq!(path_of(&json!({"@odata.id": 7})), None);
        assert_eq!(native_id("/redfish/v1/Chassis/1"), "Chassis/1");
    }

    #[test]
    fn a_value_of_a_wrong_type_is_absent() {
        let document = json!({
            "a": "7", "b": -1, "c": {}, "d": 9_007_199_254_740_993_u64, "e": " ", "f": 1e300,
        });
        assert_eq!(number(&document, "/a"), Some(7.0));
        assert_eq!(number(&document, "/b"), None);
        assert_eq!(number(&document, "/c"), None);
        assert_eq!(whole(&document, "/d"), Some(9_007_199_254_740_993));
        assert_eq!(text(&document, "/e"), None);
        assert_eq!(text(&document, "/b"), None);
        assert_eq!(whole(&document, "/f"), Some(u64::MAX));
        assert!(list(&document, "/c").is_empty());
    }

    #[test]
    fn status_is_the_worst_of_what_the_document_says() {
        for (document, expected) in [
            (
                json!({"Status": {"State": "Enabled", "Health": "OK"}}),
                "normal",
            ),
            (
                json!({"Status": {"State": "Enabled", "Health": "Warning"}}),
                "degraded",
            ),
            (
                json!({"Status": {"State": "Enabled", "Health": "Critical"}}),
                "abnormal",
            ),
            (
                json!({"Status": {"State": "Absent", "Health": "OK"}}),
                "offline",
            ),
            (json!({"Status": {"State": "StandbySpare"}}), "normal"),
            (
                json!({"Status": {"Health": "OK"}, "FailurePredicted": true}),
                "degraded",
            ),
            (
                json!({"Status": {"Health": "OK"}, "StatusIndicator": "Rebuild"}),
                "degraded",
            ),
            (json!({"Status": {"HealthRollup": "Critical"}}), "abnormal"),
            (json!({"Status": {"Health": "Purple"}}), "unknown"),
            (json!({"Status": "OK"}), "unknown"),
            (json!({}), "unknown"),
        ] {
            assert_eq!(status(&document), expected, "{document}");
        }
    }
}
