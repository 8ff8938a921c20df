//! What the responses of Splunk mean.

use std::collections::HashMap;

use delfin_plugin_api::{Failure, Outcome, RowFailureKind, RowFailures, http::Response};
use serde::Deserialize;
use serde_json::Value;

use crate::{encode::EventRequest, state::AckId};

/// The name in messages.
const PRODUCT: &str = "Splunk";

/// The answer to events.
#[derive(Deserialize)]
struct EventAnswer {
    code: u32,
    #[serde(rename = "ackId")]
    ack_id: Option<AckId>,
    #[serde(rename = "invalid-event-number")]
    invalid_event: Option<usize>,
}

#[derive(Deserialize)]
struct AckAnswer {
    acks: HashMap<String, bool>,
}

/// Codes about an event: its format, a missing or blank event, its fields.
const EVENT_CODES: [u32; 4] = [6, 12, 13, 15];

/// Codes about the index, which is the same for all events, the channel or the token, with the
/// status 400.
const SETTING_CODES: [u32; 5] = [7, 10, 11, 14, 16];

/// The acknowledgement to wait for after a request was accepted; `None` if the token has none.
pub(crate) fn of_response(
    response: &Response,
    request: &EventRequest<'_>,
    url: &str,
) -> Result<Option<AckId>, Failure> {
    if response.is_cut_off() && response.is_success() {
        let message = format!("{} (the response is cut off)", response.message(url));
        return Err(Failure::Uncertain { message });
    }
    match response.json::<EventAnswer>() {
        Some(answer) if response.is_success() && answer.code == 0 => Ok(answer.ack_id),
        None | Some(_) if response.is_success() => Err(response.foreign(url, PRODUCT)),
        Some(answer) if response.status() == 400 => Err(refused(&answer, response, request, url)),
        // Not of Splunk, so it is not about the events.
        None if response.status() == 400 => Err(response.foreign(url, PRODUCT)),
        None | Some(_) => Err(response.failure(url)),
    }
}

/// The acknowledgements that have come.
pub(crate) fn of_acks(response: &Response, url: &str) -> Result<Vec<AckId>, Failure> {
    if response.status() == 400 {
        return Err(Failure::misconfigured(format!(
            "{} (allow indexer acknowledgement for the token, or set `acknowledgement = false`)",
            response.message(url)
        )));
    }
    if !response.is_success() {
        return Err(response.failure(url));
    }
    let Some(answer) = response.json::<AckAnswer>() else {
        return Err(response.foreign(url, PRODUCT));
    };
    let acks = answer.acks.into_iter().filter(|(_, has_come)| *has_come);
    Ok(acks.filter_map(|(id, _)| id.parse().ok()).collect())
}

/// The answer to a question for the health of the collector: a code and a text.
pub(crate) fn of_health(response: &Response, url: &str) -> Outcome {
    if !response.is_success() {
        return Err(response.failure(url));
    }
    match response.json::<Value>() {
        Some(health) if health["code"].is_u64() && health["text"].is_string() => Ok(()),
        Some(_) | None => Err(response.foreign(url, PRODUCT)),
    }
}

fn refused(
    answer: &EventAnswer,
    response: &Response,
    request: &EventRequest<'_>,
    url: &str,
) -> Failure {
    let message = response.message(url);
    if SETTING_CODES.contains(&answer.code) {
        return Failure::Misconfigured { message };
    }
    let row = answer
        .invalid_event
        .and_then(|event| request.row_of_event(event));
    let Some(row) = row.filter(|_| EVENT_CODES.contains(&answer.code)) else {
        return Failure::Rejected { message };
    };
    // Splunk has read the events before, but it acknowledges none of them.
    let mut failures = RowFailures::new();
    if row > 0 {
        failures.push(
            0..row,
            RowFailureKind::Retry,
            "sent with a row that Splunk refuses",
        );
    }
    failures.push(row..row + 1, RowFailureKind::Rejected, &message);
    if row + 1 < request.row_count() {
        let rest = row + 1..request.row_count();
        failures.push(
            rest,
            RowFailureKind::Retry,
            "sent with a row that Splunk refuses",
        );
    }
    failures
        .into_outcome()
        .err()
        .unwrap_or(Failure::Rejected { message })
}
