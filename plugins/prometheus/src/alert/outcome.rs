//! What the responses of Alertmanager mean for the rows.

use std::collections::BTreeMap;

use delfin_plugin_api::{Failure, Outcome, RowFailureKind, RowFailures, http::Response};
use serde::Deserialize;

/// The name in messages.
const PRODUCT: &str = "Alertmanager";

/// The result of one request.
pub(super) enum PostResult {
    Accepted,
    /// At least one alert of the request is invalid. Alertmanager does not say which.
    Rejected(String),
}

/// The result of a response; `url` names the receiver in messages.
///
/// # Errors
///
/// Failures that concern the receiver rather than the alerts.
pub(super) fn of_response(response: &Response, url: &str) -> Result<PostResult, Failure> {
    if response.is_success() {
        return of_success(response, url).map(|()| PostResult::Accepted);
    }
    match response.failure(url) {
        Failure::Rejected { message } if response.is_json() => Ok(PostResult::Rejected(message)),
        Failure::TooLarge { message } => Ok(PostResult::Rejected(message)),
        // Alertmanager rejects alerts in JSON. Other 400s are about the request: a
        // server that speaks https, for example, answers so to http.
        Failure::Rejected { .. } => Err(response.foreign(url, PRODUCT)),
        other => Err(other),
    }
}

/// Alertmanager accepts alerts with an empty body; its first API, which gateways still
/// imitate, with `{"status":"success"}`. Anything else comes from a server in between,
/// such as a sign-in proxy, and the alerts have not arrived.
fn of_success(response: &Response, url: &str) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct Receipt {
        status: String,
    }
    if response.is_cut_off() {
        // Not uncertain: an alert that is sent twice is still one alert.
        return Err(Failure::retry(format!(
            "{} (the response is cut off)",
            response.message(url)
        )));
    }
    let body = response.body();
    let is_empty = body.is_some_and(|body| body.trim_ascii().is_empty());
    let receipt = || response.json::<Receipt>();
    if is_empty || receipt().is_some_and(|receipt| receipt.status == "success") {
        return Ok(());
    }
    Err(response.foreign(url, PRODUCT))
}

/// The outcome of `rows` rows that were sent to all receivers. `rejected` has the
/// reason of each rejected row. `stopped` is the first row that some receiver did
/// not get: no row from there on counts as delivered.
pub(super) fn of_rows(
    rows: usize,
    rejected: &BTreeMap<usize, String>,
    stopped: Option<(usize, Failure)>,
) -> Outcome {
    let end = match &stopped {
        // Nothing is delivered, so the failure is that of the whole batch.
        Some((0, failure)) => return Err(failure.clone()),
        Some((row, _)) => *row,
        None => rows,
    };
    let mut failures = RowFailures::new();
    for (row, reason) in rejected.range(..end) {
        failures.push(*row..*row + 1, RowFailureKind::Rejected, reason);
    }
    if let Some((row, failure)) = stopped {
        failures.push(row..rows, RowFailureKind::Retry, &failure.to_string());
    }
    failures.into_outcome()
}
