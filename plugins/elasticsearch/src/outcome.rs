//! What a response means for each row.
//!
//! A request that succeeds has a status for each document. A row whose documents are not all stored
//! is sent again as a whole: those that are stored answer 409, because they exist.

use std::ops::Range;

use delfin_plugin_api::{
    Failure, Outcome, RowFailureKind, RowFailures, http::Response, text::excerpt,
};
use serde::Deserialize;
use serde_json::Value;

use crate::encode::BulkBody;

/// The name in messages.
const PRODUCT: &str = "Elasticsearch or OpenSearch";

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
    match response.json::<BulkAnswer>() {
        Some(answer) if answer.items.len() == body.documents() => of_items(&answer, body, url),
        Some(BulkAnswer {
            errors: false,
            items,
        }) if items.is_empty() => Ok(()),
        _ => Err(response.foreign(url, PRODUCT)),
    }
}

/// The answer to a question for the node itself. The credentials may be for documents only, so an
/// error with the status 403 is right.
pub(crate) fn of_health(response: &Response, url: &str) -> Outcome {
    let body: Option<Value> = response.json();
    let has = |pointer| {
        body.as_ref()
            .is_some_and(|body| body.pointer(pointer).is_some())
    };
    match response.status() {
        403 if has("/error") || has("/message") || has("/Message") => Ok(()),
        200..=299 if has("/version/number") => Ok(()),
        200..=299 => Err(response.foreign(url, PRODUCT)),
        _ => Err(response.failure(url)),
    }
}

/// The outcome of creating the index template.
pub(crate) fn of_template(response: &Response, url: &str) -> Outcome {
    let text = response.text();
    match response.status() {
        200..=299 if text.contains("acknowledged") => Ok(()),
        200..=299 => Err(response.foreign(url, PRODUCT)),
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
