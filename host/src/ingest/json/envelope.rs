//! Alerts in an object: `{"complete_for": "STORAGE_ID", "alerts": [...]}`.

use std::ops::Range;

use super::extent::value_length;
use crate::ingest::{
    IngestError,
    rules::{MAX_LABELS, excerpt},
};

/// The parts of such an object.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct AlertEnvelope {
    pub(super) complete_for: Option<String>,
    /// Where the array is in the text.
    pub(super) alerts: Range<usize>,
}

/// The object in `text` from `start` on; `None` if the text is not one with an array `alerts`.
/// No alert has that field: its value would not be an array.
pub(super) fn find(text: &str, start: usize) -> Result<Option<AlertEnvelope>, IngestError> {
    let Some(members) = members(text, start) else {
        return Ok(None);
    };
    let is_array = |value: &Range<usize>| text[value.clone()].starts_with('[');
    let alerts = members.iter().find(|(key, _)| key == "alerts");
    let Some((_, alerts)) = alerts.filter(|(_, value)| is_array(value)) else {
        return Ok(None);
    };
    let mut envelope = AlertEnvelope {
        alerts: alerts.clone(),
        ..AlertEnvelope::default()
    };
    for (key, value) in members {
        match key.as_str() {
            "alerts" => {}
            "complete_for" => {
                let id = serde_json::from_str(&text[value]).map_err(|_| IngestError::Envelope {
                    reason: "`complete_for` is not a text".to_owned(),
                })?;
                envelope.complete_for = id;
            }
            other => {
                let reason = format!("unknown field `{}`", excerpt(other));
                return Err(IngestError::Envelope { reason });
            }
        }
    }
    Ok(Some(envelope))
}

/// The members of an object that is the whole text; `None` also if it has more members than
/// an alert can have.
fn members(text: &str, start: usize) -> Option<Vec<(String, Range<usize>)>> {
    let mut at = skip_space(text, start);
    let mut members = Vec::new();
    at = skip(text, at, '{')?;
    loop {
        let key_end = at + value_length(&text[at..])?;
        let key = serde_json::from_str(&text[at..key_end]).ok()?;
        at = skip(text, skip_space(text, key_end), ':')?;
        let end = at + value_length(&text[at..])?;
        if members.len() == MAX_LABELS {
            return None;
        }
        members.push((key, at..end));
        let next = skip_space(text, end);
        match skip(text, next, ',') {
            Some(next) => at = next,
            None => {
                let end = skip(text, next, '}')?;
                return (end == text.len()).then_some(members);
            }
        }
    }
}

/// The position behind a character and the space after it.
fn skip(text: &str, at: usize, mark: char) -> Option<usize> {
    let is_next = text[at..].starts_with(mark);
    is_next.then(|| skip_space(text, at + mark.len_utf8()))
}

fn skip_space(text: &str, at: usize) -> usize {
    let rest = text[at..].trim_start_matches([' ', '\t', '\n', '\r']);
    text.len() - rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_with_an_array_of_alerts_is_an_envelope() {
        let text = "\n{ \"complete_for\" : \"s\\u0031\", \"alerts\": [{\"alert_id\": NaN}] } ";
        let envelope = find(text, 0).unwrap().unwrap();
        assert_eq!(envelope.complete_for.as_deref(), Some("s1"));
        assert_eq!(&text[envelope.alerts], "[{\"alert_id\": NaN}]");
        for text in [
            "",
            "[]",
            "{}",
            "{\"alert_id\": 1}",
            "{\"alerts\": 1}",
            "{\"alerts\": []",
            "{\"alerts\": []}\n{\"alert_id\": 1}",
        ] {
            assert_eq!(find(text, 0).unwrap(), None, "{text}");
        }
        let many = format!("{{{}\"alerts\": []}}", "\"a\": 1, ".repeat(MAX_LABELS));
        assert_eq!(find(&many, 0).unwrap(), None);
        for (text, reason) in [
            (
                "{\"alerts\": [], \"complete\": 1}",
                "unknown field `complete`",
            ),
            ("{\"alerts\": [], \"complete_for\": 1}", "is not a text"),
        ] {
            let error = find(text, 0).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
