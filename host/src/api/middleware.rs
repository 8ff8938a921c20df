//! What every request gets: an id, a log line, and an answer if its handler panics.

use std::{sync::Arc, time::Instant};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use log::Level;
use tokio::time::sleep_until;
use uuid::Uuid;

use super::error::{ApiError, LogDetail};
use crate::{
    logging::{Admission, LogLimiter},
    panics::ContainedFuture,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-compute-request-id");

/// The log of requests that were refused or failed: a reason is logged once a minute, with
/// the number of further requests.
#[derive(Clone, Debug, Default)]
pub(super) struct RefusalLog(Arc<LogLimiter>);

/// Runs the handler of a request, and answers with 500 if it panics.
pub(super) async fn answer(
    State(refusals): State<RefusalLog>,
    request: Request,
    next: Next,
) -> Response {
    let id = format!("req-{}", Uuid::now_v7());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    // A task of its own catches a panic of the handler. It also runs to its end when the
    // client has gone, so that a batch on its way into the journal gets there.
    let answered = tokio::spawn(ContainedFuture::new(next.run(request))).await;
    let mut response = answered.unwrap_or_else(|_| {
        let log = "its handler panicked".to_owned();
        ApiError::Internal { log }.into_response()
    });
    let route = route.as_ref().map_or("-", MatchedPath::as_str);
    let status = response.status();
    match response.extensions_mut().remove::<LogDetail>() {
        Some(detail) => {
            if let Some((level, what)) = refusals.admit(&detail, status) {
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

impl RefusalLog {
    /// The level and the begin of the record; `None` if it is not logged.
    fn admit(&self, detail: &LogDetail, status: StatusCode) -> Option<(Level, &'static str)> {
        let failed = status == StatusCode::INTERNAL_SERVER_ERROR;
        let (level, what) = if failed {
            (Level::Error, "request failed")
        } else {
            (Level::Warn, "request refused")
        };
        let LogDetail { kind, reason } = detail;
        match self.0.admit(kind, reason, Instant::now()) {
            Admission::Logged { .. } => Some((level, what)),
            Admission::FirstSuppressed { end } => {
                tokio::spawn(self.clone().report(kind, level, end));
                None
            }
            Admission::Suppressed => None,
        }
    }

    /// Logs at the end of an interval how many requests were not logged.
    async fn report(self, kind: &'static str, level: Level, end: Instant) {
        sleep_until(end.into()).await;
        let requests = self.0.take_suppressed(kind);
        if requests > 0 {
            log::log!(level, kind, requests; "further requests were refused or failed for the same reason in the last minute");
        }
    }
}
