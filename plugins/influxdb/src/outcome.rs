//! What a response means for each row.
//!
//! A server stores the valid lines of a request even if it refuses others. InfluxDB 3 names
//! the lines that it refuses. Earlier versions name some or none, so the host finds them by
//! sending smaller requests: a point that is written again overwrites itself.

use std::collections::BTreeMap;

use delfin_plugin_api::{
    Failure, Outcome, RowFailureKind, RowFailures, http::Response, text::excerpt,
};
use serde::Deserialize;
use serde_json::Value;

use crate::encode::LineBuffer;

pub(crate) const MAX_RESPONSE_BYTES: usize = 1 << 20;

/// The number of refused lines that InfluxDB 3 names at most.
const MAX_NAMED_LINES: usize = 100;
const MAX_REASON: usize = 500;

/// The name in messages.
const PRODUCT: &str = "InfluxDB";

/// The body of InfluxDB 3 about a request with lines that it refuses.
#[derive(Deserialize)]
struct PartialWrite {
    error: String,
    data: Vec<RefusedLine>,
}

#[derive(Deserialize)]
struct RefusedLine {
    /// From 1.
    line_number: usize,
    error_message: String,
}

/// The outcome for the rows of `lines`; `url` names the server in messages.
pub(crate) fn of_response(response: &Response, lines: &LineBuffer, url: &str) -> Outcome {
    if let Some(refused) = refused_rows(response, lines) {
        return refused.into_outcome();
    }
    stored(response, url)
}

/// The outcome of a request without lines. Some versions of InfluxDB refuse it because it has none,
/// which is an answer about the request: it keeps no rows back.
pub(crate) fn of_health(response: &Response, url: &str) -> Outcome {
    if response.status() != 400 {
        return stored(response, url);
    }
    if is_of_influxdb(response) {
        return Ok(());
    }
    Err(response.foreign_health(url, PRODUCT))
}

/// Whether an error comes from a server that takes line protocol: InfluxDB names its version, and
/// version 2 and QuestDB have a code and a message.
fn is_of_influxdb(response: &Response) -> bool {
    let body: Option<Value> = response.json();
    let has = |key: &str| body.as_ref().is_some_and(|body| body[key].is_string());
    response.header("x-influxdb-version").is_some() || (has("code") && has("message"))
}

/// A server that has stored all lines says nothing.
fn stored(response: &Response, url: &str) -> Outcome {
    if !response.is_success() {
        return Err(response.failure(url));
    }
    if response.is_cut_off() {
        return Err(Failure::retry(format!(
            "{} (the response is cut off)",
            response.message(url)
        )));
    }
    if response
        .body()
        .is_some_and(|body| body.trim_ascii().is_empty())
    {
        return Ok(());
    }
    Err(response.foreign(url, PRODUCT))
}

/// The rows that the response names as refused, if it names all of them.
fn refused_rows(response: &Response, lines: &LineBuffer) -> Option<RowFailures> {
    if !matches!(response.status(), 201 | 400 | 422) {
        return None;
    }
    let body: PartialWrite = response.json()?;
    let is_partial = body.error.contains("partial write");
    if !is_partial || body.data.is_empty() || body.data.len() >= MAX_NAMED_LINES {
        return None;
    }
    let mut rows = BTreeMap::new();
    for line in body.data {
        let row = lines.row_of_line(line.line_number.checked_sub(1)?)?;
        rows.entry(row).or_insert(line.error_message);
    }
    let mut failures = RowFailures::new();
    for (row, reason) in rows {
        failures.push(
            row..row + 1,
            RowFailureKind::Rejected,
            &excerpt(&reason, MAX_REASON),
        );
    }
    Some(failures)
}
