//! What a response means for each row.
//!
//! A request that succeeds has a status for each document. A row whose documents are not all stored
//! is sent again as a whole: those that are stored answer 409, because they exist.

use std::ops::Range;

use delfin_plugin_api::{
    Failure, Outcome, RowFailureKind, RowFailures, http::Response, text::excerpt,
};
use serde::Deserialize;

use crate::encode::BulkBody;

/// Room for the errors of some ten thousand documents.
pub(crate) const MAX_RESPONSE_BYTES: usize = 16 << 20;

const MAX_REASON: usize = 500;

/// The answer to `_bulk`.
#[derive(Deserialize)]
struct BulkAnswer {
    errors: bool,
    #[serde(default)]
    items: Vec<BulkItem>,
}

#[derive(Deserialize)]
struct BulkItem {
    create: DocumentAnswer,
}

#[derive(Deserialize)]
struct DocumentAnswer {
    status: u16,
    error: Option<DocumentError>,
}

#[derive(Deserialize)]
struct DocumentError {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    reason: String,
    caused_by: Option<Cause>,
}

#[derive(Deserialize)]
struct Cause {
    #[serde(default)]
    reason: String,
}

/// What becomes of a row.
enum RowAnswer<'a> {
    Stored,
    Refused(&'a DocumentAnswer),
    Busy(&'a DocumentAnswer),
    /// Not about the row: a privilege or an index is missing.
    Blocked(&'a DocumentAnswer),
}

/// The outcome for the rows of `body`; `url` names the node in messages.
pub(crate) fn of_response(response: &Response, body: &BulkBody, url: &str) -> Outcome {
    if !response.is_success() {
        return Err(response.failure(url));
    }
    if response.is_cut_off() {
        let message = response.message(url);
        return Err(Failure::retry(format!(
            "{message} (the response is cut off)"
        )));
    }
    let answer = response.body().map(serde_json::from_slice::<BulkAnswer>);
    match answer {
        Some(Ok(answer)) if answer.items.len() == body.documents() => of_items(&answer, body, url),
        Some(Ok(BulkAnswer {
            errors: false,
            items,
        })) if items.is_empty() => Ok(()),
        _ => Err(not_a_node(response, url)),
    }
}

/// The outcome of creating the index template.
pub(crate) fn of_template(response: &Response, url: &str) -> Outcome {
    let text = response.text();
    match response.status() {
        200..=299 if text.contains("acknowledged") => Ok(()),
        200..=299 => Err(not_a_node(response, url)),
        400 if text.contains("already exists") => Ok(()),
        // Otherwise these would be about rows.
        400 | 409 | 422 | 403 => Err(Failure::misconfigured(format!(
            "cannot create the index template: {} (create it yourself and set `template = false`, \
             or allow `manage_index_templates`)",
            response.message(url)
        ))),
        _ => Err(response.failure(url)),
    }
}

pub(crate) fn not_a_node(response: &Response, url: &str) -> Failure {
    Failure::misconfigured(format!(
        "{} (not a response of Elasticsearch or OpenSearch: check `url`, and whether a proxy asks \
         for a sign-in)",
        response.message(url)
    ))
}

fn of_items(answer: &BulkAnswer, body: &BulkBody, url: &str) -> Outcome {
    if !answer.errors {
        return Ok(());
    }
    let mut failures = RowFailures::new();
    let (mut rows, mut waiting) = (0, 0);
    let mut first_wait = None;
    for (row, documents) in body.documents_of_rows().enumerate() {
        let is_empty = documents.is_empty();
        rows += usize::from(!is_empty);
        match row_answer(answer, documents) {
            RowAnswer::Stored => {}
            RowAnswer::Refused(document) => {
                failures.push(row..row + 1, RowFailureKind::Rejected, &reason(document));
            }
            RowAnswer::Busy(document) | RowAnswer::Blocked(document) => {
                waiting += 1;
                first_wait.get_or_insert(document);
                failures.push(row..row + 1, RowFailureKind::Retry, &reason(document));
            }
        }
    }
    match first_wait {
        // Nothing is stored and nothing is refused, so the host waits.
        Some(document) if waiting == rows => Err(whole(document, url)),
        Some(_) | None => failures.into_outcome(),
    }
}

fn row_answer(answer: &BulkAnswer, documents: Range<usize>) -> RowAnswer<'_> {
    let mut found = RowAnswer::Stored;
    for item in &answer.items[documents] {
        let document = &item.create;
        match document.status {
            200..=299 | 409 => {}
            // The disk of a node is full: it accepts documents again once there is room.
            _ if is_block(document) => return RowAnswer::Busy(document),
            429 | 408 | 500..=u16::MAX => return RowAnswer::Busy(document),
            401 | 403 | 404 => return RowAnswer::Blocked(document),
            _ => found = RowAnswer::Refused(document),
        }
    }
    found
}

fn is_block(document: &DocumentAnswer) -> bool {
    let error = document.error.as_ref();
    error.is_some_and(|error| error.kind == "cluster_block_exception")
}

/// The failure of a request without a stored and without a refused document.
fn whole(document: &DocumentAnswer, url: &str) -> Failure {
    let message = format!("`{url}`: {}", reason(document));
    match document.status {
        _ if is_block(document) => Failure::Retry {
            message,
            after: None,
        },
        429 => Failure::Throttled {
            message,
            after: None,
        },
        401 | 403 => Failure::Unauthorized { message },
        404 => Failure::Misconfigured { message },
        _ => Failure::Retry {
            message,
            after: None,
        },
    }
}

fn reason(document: &DocumentAnswer) -> String {
    let status = document.status;
    let Some(error) = &document.error else {
        return format!("status {status}");
    };
    let cause = error
        .caused_by
        .as_ref()
        .map(|cause| format!(": {}", cause.reason));
    let text = format!(
        "{status} {}: {}{}",
        error.kind,
        error.reason,
        cause.unwrap_or_default()
    );
    excerpt(&text, MAX_REASON)
}
