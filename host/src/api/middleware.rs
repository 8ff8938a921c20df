//! What every request gets: an id, a log line, and an answer if its handler panics.

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderName, HeaderValue, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use uuid::Uuid;

use super::error::{ApiError, LogDetail};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-compute-request-id");

/// Runs the handler of a request, and answers with 500 if it panics.
pub(super) async fn answer(request: Request, next: Next) -> Response {
    let id = format!("req-{}", Uuid::now_v7());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    // A task of its own catches a panic of the handler. It also runs to its end when the
    // client has gone, so that a batch on its way into the journal gets there.
    let answered = tokio::spawn(next.run(request)).await;
    let mut response = answered.unwrap_or_else(|error| {
        let log = error.to_string();
        ApiError::Internal { log }.into_response()
    });
    let route = route.as_ref().map_or("-", MatchedPath::as_str);
    let status = response.status();
    let log_detail = response.extensions_mut().remove::<LogDetail>();
    match log_detail {
        Some(LogDetail(reason)) if status == StatusCode::INTERNAL_SERVER_ERROR => {
            log::error!(request = id, method:%, route, status = status.as_u16(); "request failed: {reason}");
        }
        Some(LogDetail(reason)) => {
            log::warn!(request = id, method:%, route, status = status.as_u16(); "request refused: {reason}");
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
