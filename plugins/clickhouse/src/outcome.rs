//! What the responses of ClickHouse mean. Its exceptions have a code in a header.

use delfin_plugin_api::{Failure, Outcome, http::Response};

const CODE: &str = "x-clickhouse-exception-code";

/// The name in messages.
const PRODUCT: &str = "ClickHouse";

/// Exceptions about values: a value out of range, null in a column that has none, a constraint of
/// the table.
const VALUE_CODES: [u32; 4] = [321, 349, 469, 131];

/// Exceptions about the table, the settings or the privileges: no such column, a type that does not
/// fit, no such table or database, an unknown setting, data that the format does not have.
const SETTING_CODES: [u32; 16] = [
    16, 20, 27, 33, 47, 50, 53, 60, 62, 70, 73, 81, 115, 117, 164, 636,
];

/// Exceptions about the user: an unknown user, a wrong or a missing password, a missing privilege.
const USER_CODES: [u32; 5] = [192, 193, 194, 497, 516];

/// The outcome of an `INSERT`; `url` names the server in messages.
pub(crate) fn of_insert(response: &Response, url: &str) -> Outcome {
    if response.is_success() && response.header(CODE).is_none() {
        return match response.body() {
            Some(body) if body.trim_ascii().is_empty() => Ok(()),
            Some(_) => Err(response.foreign(url, PRODUCT)),
            None => Err(Failure::retry(format!(
                "{} (the response is cut off)",
                response.message(url)
            ))),
        };
    }
    Err(failure(response, url))
}

/// The outcome of a statement that creates a table.
pub(crate) fn of_statement(response: &Response, url: &str) -> Outcome {
    match of_insert(response, url) {
        Err(Failure::Rejected { message }) => Err(Failure::Misconfigured { message }),
        Err(Failure::Misconfigured { message }) => Err(Failure::misconfigured(format!(
            "{message} (or create the tables yourself and set `create_table = false`)"
        ))),
        other => other,
    }
}

/// The outcome of `SELECT 1`.
pub(crate) fn of_health(response: &Response, url: &str) -> Outcome {
    if !response.is_success() || response.header(CODE).is_some() {
        return Err(failure(response, url));
    }
    if response.text().trim() == "1" {
        return Ok(());
    }
    Err(response.foreign(url, PRODUCT))
}

fn failure(response: &Response, url: &str) -> Failure {
    let message = response.message(url);
    let code = response.header(CODE).and_then(|code| code.parse().ok());
    match code {
        Some(code) if VALUE_CODES.contains(&code) => Failure::Rejected { message },
        Some(code) if SETTING_CODES.contains(&code) => Failure::Misconfigured { message },
        Some(code) if USER_CODES.contains(&code) => Failure::Unauthorized { message },
        // The server is busy, full, read-only, or stops: this is not about rows, with any status.
        Some(_) => match response.failure(url) {
            throttled @ Failure::Throttled { .. } => throttled,
            _ => Failure::retry(message),
        },
        None => response.failure(url),
    }
}
