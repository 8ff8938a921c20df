//! What a response means for each row.
//!
//! A receiver may name rows by their index in the array, those that it rejects
//! and those that it wants to get again:
//! `{"rejected":[{"index":3,"error":"…"}],"retry":[{"index":7,"error":"…"}]}`.
//!
//! Promises: a row is delivered only under a 2xx status, only if the receiver itself
//! responds, and only if the response does not name the row; a row is rejected only if the response names it, or if the
//! response names no row and its status rejects the request.

use delfin_plugin_api::{
    Failure, Outcome, RowFailureKind, RowFailures, http::Response, text::excerpt,
};
use serde::Deserialize;
use serde_json::Value;

/// The receiver in messages.
pub(crate) const PRODUCT: &str = "the webhook";

/// Characters to keep of what a receiver says about a row.
const MAX_REASON: usize = 500;
/// Reasons of rows that a response names without one.
const REJECTED: &str = "the receiver rejects it";
const RETRY: &str = "the receiver asks to retry it";

const MULTI_STATUS: u16 = 207;

/// Bytes to read of a response about that many rows.
pub(crate) fn max_response_bytes(rows: usize) -> usize {
    64 * 1024 + 512 * rows
}

/// The form of the receiver's responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResponseFormat {
    /// Any text, but no web page.
    Any,
    /// JSON that reports no error, or no body.
    Json,
}

/// The outcome for `rows` rows; `url` names the receiver in messages.
pub(crate) fn of_response(
    response: &Response,
    rows: usize,
    format: ResponseFormat,
    url: &str,
) -> Outcome {
    let named = NamedRows::read(response, rows);
    if response.is_success() {
        if response.is_web_page() {
            return Err(response.foreign(url, PRODUCT));
        }
        if let Some(reason) = contradiction(response, format) {
            let message = response.message(url);
            return Err(Failure::misconfigured(format!("{message} ({reason})")));
        }
        return of_success(response, named, url);
    }
    match (response.failure(url), named) {
        // The response says nothing about the other rows, so they are not known
        // to be delivered: send them again.
        (Failure::Rejected { message }, NamedRows::Some(named)) => {
            let mut failures = RowFailures::new();
            for (row, named) in named.iter().enumerate() {
                let (kind, reason) = match named {
                    Some(result) => (result.kind, &result.reason),
                    None => (RowFailureKind::Retry, &message),
                };
                failures.push(row..row + 1, kind, reason);
            }
            failures.into_outcome()
        }
        (failure, _) => Err(failure),
    }
}

/// Why a 2xx response is not one that `response_format` allows, with the remedy.
fn contradiction(response: &Response, format: ResponseFormat) -> Option<&'static str> {
    let body = response.body()?;
    if format == ResponseFormat::Any || body.trim_ascii().is_empty() {
        return None;
    }
    match serde_json::from_slice::<Value>(body) {
        Err(_) => Some("not JSON, as `response_format` requires: check `url`"),
        Ok(_) => response
            .reports_error()
            .then_some("reports an error: check the receiver"),
    }
}

fn of_success(response: &Response, named: NamedRows, url: &str) -> Outcome {
    let uncertain = |reason: &str| {
        let message = response.message(url);
        Err(Failure::Uncertain {
            message: format!("{message} ({reason})"),
        })
    };
    match named {
        NamedRows::Some(named) => {
            let mut failures = RowFailures::new();
            for (row, named) in named.iter().enumerate() {
                if let Some(RowResponse { kind, reason }) = named {
                    failures.push(row..row + 1, *kind, reason);
                }
            }
            failures.into_outcome()
        }
        NamedRows::None => Ok(()),
        // The receiver has not taken every row, and which ones it has taken is unknown.
        NamedRows::Unknown(reason) => uncertain(reason),
        // The status says that the result differs from row to row.
        NamedRows::Absent if response.status() == MULTI_STATUS => {
            uncertain("the response does not name rows in a known form")
        }
        NamedRows::Absent => Ok(()),
    }
}

/// The rows that a response names.
enum NamedRows {
    /// The result of each row that the response names; it names at least one.
    Some(Vec<Option<RowResponse>>),
    /// The response has a list, and all its lists are empty.
    None,
    /// The response names rows, or may do so in the part that is missing, and which ones is
    /// unknown.
    Unknown(&'static str),
    /// The response has neither list.
    Absent,
}

/// A row that is not delivered.
#[derive(Clone)]
struct RowResponse {
    kind: RowFailureKind,
    reason: String,
}

#[derive(Deserialize)]
struct ResponseBody {
    rejected: Option<Vec<ResponseRow>>,
    retry: Option<Vec<ResponseRow>>,
}

#[derive(Deserialize)]
struct ResponseRow {
    index: usize,
    #[serde(default)]
    error: String,
}

impl NamedRows {
    fn read(response: &Response, rows: usize) -> Self {
        if response.is_cut_off() {
            return Self::Unknown("the response is cut off");
        }
        let body = response.body().map(serde_json::from_slice::<ResponseBody>);
        let (rejected, again) = match body {
            None if has_lists(response.beginning()) => {
                return Self::Unknown("the response names more rows than fit");
            }
            Some(Err(error)) if error.is_eof() && has_lists(response.beginning()) => {
                return Self::Unknown("the response ends while it names rows");
            }
            None
            | Some(
                Err(_)
                | Ok(ResponseBody {
                    rejected: None,
                    retry: None,
                }),
            ) => return Self::Absent,
            Some(Ok(ResponseBody { rejected, retry })) => {
                (rejected.unwrap_or_default(), retry.unwrap_or_default())
            }
        };
        if rejected.is_empty() && again.is_empty() {
            return Self::None;
        }
        let mut named = vec![None; rows];
        let lists = [
            (rejected, RowFailureKind::Rejected, REJECTED),
            (again, RowFailureKind::Retry, RETRY),
        ];
        for (items, kind, default_reason) in lists {
            for ResponseRow { index, error } in items {
                match named.get_mut(index) {
                    Some(row @ None) => {
                        let reason = reason(&error, default_reason);
                        *row = Some(RowResponse { kind, reason });
                    }
                    Some(Some(_)) => return Self::Unknown("the response names a row twice"),
                    None => return Self::Unknown("the response names a row that was not sent"),
                }
            }
        }
        Self::Some(named)
    }
}

/// Whether the beginning of a JSON text has the key of a list of rows.
fn has_lists(beginning: &[u8]) -> bool {
    let text = String::from_utf8_lossy(beginning);
    let keys = ["\"rejected\"", "\"retry\""];
    text.trim_start().starts_with('{') && keys.iter().any(|key| text.contains(key))
}

fn reason(error: &str, default: &str) -> String {
    match error.trim() {
        "" => default.to_owned(),
        error => excerpt(error, MAX_REASON),
    }
}
