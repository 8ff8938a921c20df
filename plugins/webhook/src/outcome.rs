//! What a response means for each row.
//!
//! A receiver may name rows by their index in the array, those that it rejects
//! and those that it wants to get again:
//! `{"rejected":[{"index":3,"error":"…"}],"retry":[{"index":7,"error":"…"}]}`.
//!
//! Promises: a row is delivered only under a 2xx status and only if the response
//! does not name it; a row is rejected only if the response names it, or if the
//! response names no row and its status rejects the request.

use delfin_plugin_api::{Failure, Outcome, RowFailures, http::Response, log, text::excerpt};
use serde::Deserialize;

/// Characters to keep of what a receiver says about a row.
const MAX_REASON: usize = 500;

const MULTI_STATUS: u16 = 207;

/// Bytes to read of a response about that many rows.
pub(crate) fn max_response_bytes(rows: usize) -> usize {
    64 * 1024 + 512 * rows
}

/// The outcome for `rows` rows; `url` names the receiver in messages.
pub(crate) fn of_response(response: &Response, rows: usize, url: &str) -> Outcome {
    let named = NamedRows::read(response, rows);
    if response.is_success() {
        return of_success(response, named, url);
    }
    match (response.failure(url), named) {
        // The response says nothing about the other rows, so they are not known
        // to be delivered: send them again.
        (Failure::Rejected { message }, NamedRows::Some(named)) => {
            let mut failures = RowFailures::new();
            for (row, named) in named.iter().enumerate() {
                let (retry, reason) = match named {
                    Some(result) => (result.retry, &result.reason),
                    None => (true, &message),
                };
                failures.push(row..row + 1, retry, reason);
            }
            failures.into_outcome()
        }
        (failure, _) => Err(failure),
    }
}

fn of_success(response: &Response, named: NamedRows, url: &str) -> Outcome {
    match named {
        NamedRows::Some(named) => {
            let mut failures = RowFailures::new();
            for (row, named) in named.iter().enumerate() {
                if let Some(RowResponse { retry, reason }) = named {
                    failures.push(row..row + 1, *retry, reason);
                }
            }
            failures.into_outcome()
        }
        NamedRows::None => Ok(()),
        // The status says that the result differs from row to row.
        NamedRows::Invalid | NamedRows::Absent if response.status() == MULTI_STATUS => {
            let message = response.message(url);
            Err(Failure::Uncertain {
                message: format!("{message} (the response does not name rows in a known form)"),
            })
        }
        NamedRows::Invalid => {
            log::warn!(
                url, status = response.status();
                "the receiver names rows that were not sent, all rows count as delivered"
            );
            Ok(())
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
    /// The response names a row that was not sent, or one row twice.
    Invalid,
    /// The response has neither list.
    Absent,
}

/// A row that is not delivered.
#[derive(Clone)]
struct RowResponse {
    retry: bool,
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
        let body = response
            .body()
            .and_then(|body| serde_json::from_slice::<ResponseBody>(body).ok());
        let (rejected, again) = match body {
            None
            | Some(ResponseBody {
                rejected: None,
                retry: None,
            }) => return Self::Absent,
            Some(ResponseBody { rejected, retry }) => {
                (rejected.unwrap_or_default(), retry.unwrap_or_default())
            }
        };
        if rejected.is_empty() && again.is_empty() {
            return Self::None;
        }
        let mut named = vec![None; rows];
        for (items, retry) in [(rejected, false), (again, true)] {
            for ResponseRow { index, error } in items {
                match named.get_mut(index) {
                    Some(row @ None) => {
                        let reason = reason(&error, retry);
                        *row = Some(RowResponse { retry, reason });
                    }
                    Some(Some(_)) | None => return Self::Invalid,
                }
            }
        }
        Self::Some(named)
    }
}

fn reason(error: &str, retry: bool) -> String {
    let error = error.trim();
    match (error.is_empty(), retry) {
        (true, true) => "the receiver asks to retry it".to_owned(),
        (true, false) => "the receiver rejects it".to_owned(),
        (false, _) => excerpt(error, MAX_REASON),
    }
}
