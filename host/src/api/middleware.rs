//! What every request gets: an id, a log line, an answer if its handler panics, and an audit record
//! if it changes the host.

use std::sync::Arc;

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use delfin_plugin_api::text::excerpt;
use log::Level;
use uuid::Uuid;

use super::{
    authorize::AuditedClient,
    completion::CompletedFuture,
    error::{ApiError, LogDetail},
    peer::Peer,
};
use crate::{
    audit::{AuditLog, AuditRecord},
    logging::LogLimiter,
    panics::{self, ContainedFuture},
};

/// Paths of the API are short; an id in one can be any text.
const MAX_AUDITED_CHARS: usize = 200;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-compute-request-id");

/// The log of requests, and of changes. The reason of requests that were refused or failed is
/// logged once a minute, with the number of further requests.
#[derive(Clone, Debug, Default)]
pub(super) struct RequestLog {
    refusals: Arc<LogLimiter>,
    audit: AuditLog,
}

/// Runs the handler of a request, and answers with 500 if it panics.
pub(super) async fn answer(
    State(log): State<RequestLog>,
    request: Request,
    next: Next,
) -> Response {
    let id = format!("req-{}", Uuid::now_v7());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    // It runs to its end also when the client has gone, so that a batch on its way into the
    // journal gets there.
    let mut response = CompletedFuture::new(log.clone().run(id.clone(), request, next)).await;
    let route = route.as_ref().map_or("-", MatchedPath::as_str);
    let status = response.status();
    match response.extensions_mut().remove::<LogDetail>() {
        Some(detail) => {
            if let Some((level, what)) = log.admit(&detail, status) {
                log::log!(level, request = id, method:%, route, status = status.as_u16(); "{what}: {}", detail.reason);
            } else {
                log::debug!(request = id, method:%, route, status = status.as_u16(); "request refused again: {}", detail.reason);
            }
        }
        None => {
            log::debug!(request = id, method:%, route, status = status.as_u16(); "request answered");
        }
    }
    if let Ok(id) = HeaderValue::try_from(id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

impl RequestLog {
    pub(super) fn new(audit: AuditLog) -> Self {
        Self {
            refusals: Arc::default(),
            audit,
        }
    }

    /// Runs the handler of a request, and writes an audit record if it changes the host.
    async fn run(self, id: String, mut request: Request, next: Next) -> Response {
        let client = AuditedClient::default();
        request.extensions_mut().insert(client.clone());
        let from = request.extensions().get::<Peer>().copied();
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let answered = ContainedFuture::new(next.run(request)).caught().await;
        let response = answered.unwrap_or_else(panicked);
        if let Some(client) = client.get() {
            let what = format!("{method} {}", uri.path());
            let record = AuditRecord {
                who: client.to_string(),
                from: from.map_or_else(|| "-".to_owned(), |peer| peer.to_string()),
                what: excerpt(&what, MAX_AUDITED_CHARS),
                outcome: response.status().as_str().to_owned(),
                request: Some(id),
            };
            let written = panics::spawn_blocking(move || self.audit.record(&record));
            // A panic is in the log.
            drop(written.await);
        }
        response
    }

    /// The level and the beginning of the record; `None` if it is not logged.
    fn admit(&self, detail: &LogDetail, status: StatusCode) -> Option<(Level, &'static str)> {
        let kind = detail.kind;
        let level = if detail.is_fault {
            Level::Error
        } else {
            Level::Warn
        };
        let what = if status == StatusCode::INTERNAL_SERVER_ERROR {
            "request failed"
        } else {
            "request refused"
        };
        let report = move |requests| {
            log::log!(level, kind, requests; "further requests were refused or failed for the same reason in the last minute");
        };
        let is_logged = self.refusals.admit_or_report(kind, &detail.reason, report);
        is_logged.then_some((level, what))
    }
}

fn panicked() -> Response {
    let log = "its handler panicked".to_owned();
    ApiError::Internal { log }.into_response()
}
