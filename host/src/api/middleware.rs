//! What every request gets: an id, a log line, the checks of its page and its client, an answer if its handler
//! panics, and an audit record if it changes the host.

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
    authorize::{AccessRules, AuditedClient},
    completion::CompletedFuture,
    cors::{self, AllowedOrigin, CorsOrigins},
    error::{ApiError, LogDetail},
    peer::Peer,
    state::AllowedHosts,
};
use crate::{
    audit::{AuditLog, AuditRecord},
    logging::LogLimiter,
    panics::{self, ContainedFuture},
};

/// Paths of the API are short; an id in one can be any text.
const MAX_AUDITED_CHARS: usize = 200;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-compute-request-id");

/// What every request passes on its way to its handler. One layer, because each costs a request several
/// allocations.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) log: RequestLog,
    pub(super) cors_origins: CorsOrigins,
    pub(super) hosts: AllowedHosts,
    pub(super) access: AccessRules,
}

/// The log of requests, and of changes. The reason of requests that were refused or failed is
/// logged once a minute, with the number of further requests.
#[derive(Debug)]
pub(super) struct RequestLog {
    refusals: Arc<LogLimiter>,
    audit: AuditLog,
}

/// Runs the handler of a request, and answers with 500 if it panics.
pub(super) async fn answer(
    State(gate): State<Arc<Gate>>,
    request: Request,
    next: Next,
) -> Response {
    let id = format!("req-{}", Uuid::now_v7());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    // It runs to its end also when the client has gone, so that a batch on its way into the
    // journal gets there.
    let mut response = CompletedFuture::new(Arc::clone(&gate).run(id.clone(), request, next)).await;
    let route = route.as_ref().map_or("-", MatchedPath::as_str);
    let status = response.status();
    match response.extensions_mut().remove::<LogDetail>() {
        Some(detail) => {
            if let Some((level, what)) = gate.log.admit(&detail, status) {
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

impl Gate {
    /// Runs the handler of a request, and writes an audit record if it changes the host.
    async fn run(self: Arc<Self>, id: String, mut request: Request, next: Next) -> Response {
        let client = AuditedClient::default();
        request.extensions_mut().insert(client.clone());
        let from = request.extensions().get::<Peer>().copied();
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let answered = ContainedFuture::new(Arc::clone(&self).handle(request, next))
            .caught()
            .await;
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
            let audit = self.log.audit.clone();
            let written = panics::spawn_blocking(move || audit.record(&record));
            // A panic is in the log.
            drop(written.await);
        }
        response
    }

    /// Answers a browser that asks, and a request that is not allowed; runs the handler of others.
    async fn handle(self: Arc<Self>, mut request: Request, next: Next) -> Response {
        let Some(origin) = self.cors_origins.find(request.headers()) else {
            return self.handle_allowed(request, next).await;
        };
        let mut response = if cors::is_preflight(&request) {
            cors::preflight(request.headers())
        } else {
            request.extensions_mut().insert(AllowedOrigin);
            self.handle_allowed(request, next).await
        };
        cors::show(&mut response, origin);
        response
    }

    async fn handle_allowed(&self, request: Request, next: Next) -> Response {
        if let Err(error) = self.hosts.check(&request) {
            return error.into_response();
        }
        match self.access.check(&request) {
            Ok(()) => next.run(request).await,
            Err(refused) => *refused,
        }
    }
}

impl RequestLog {
    pub(super) fn new(audit: AuditLog) -> Self {
        Self {
            refusals: Arc::default(),
            audit,
        }
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
