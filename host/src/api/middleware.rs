//! Around every request: its id, its line in the log, and the end of a panic.

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderName, HeaderValue, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use uuid::Uuid;

use super::error::{ApiError, ForLog};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-compute-request-id");

/// Answers a request, whatever becomes of its handler.
pub(super) async fn answer(request: Request, next: Next) -> Response {
    let id = format!("req-{}", Uuid::now_v7());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    // In a task of its own a panic ends here, and so does nothing else: a batch
    // on its way into the journal gets there though its sender has gone.
    let answered = tokio::spawn(next.run(request)).await;
    let mut response = answered.unwrap_or_else(|error| {
        let log = error.to_string();
        ApiError::Internal { log }.into_response()
    });
    let route = route.as_ref().map_or("-", MatchedPath::as_str);
    let status = response.status();
    let detail = response.extensions_mut().remove::<ForLog>();
    match detail {
        Some(ForLog(reason)) if status == StatusCode::INTERNAL_SERVER_ERROR => {
            log::error!(request = id, method:%, route, status = status.as_u16(); "request failed: {reason}");
        }
        Some(ForLog(reason)) => {
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
