//! Web pages of other sites that the operator allows to use the API (CORS).
//!
//! `api.cors_origins` names them. A browser asks first (`OPTIONS`), and gives an answer to the page
//! only if it names the page's origin. Such a page sends its token itself: the browser adds
//! nothing.

use std::sync::Arc;

use axum::{
    extract::Request,
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
        header::{
            ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
            ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
            ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
        },
    },
    response::{IntoResponse, Response},
};

const METHODS: HeaderValue = HeaderValue::from_static("GET, PUT, POST, DELETE");

/// What a page may read of an answer, in addition to its body.
const EXPOSED: HeaderValue =
    HeaderValue::from_static("Location, Retry-After, WWW-Authenticate, X-Compute-Request-Id");

/// How long a browser need not ask again, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// `api.cors_origins`.
#[derive(Clone, Debug)]
pub(super) struct CorsOrigins(pub(super) Arc<[String]>);

/// Marks a request of an allowed page.
#[derive(Clone, Copy, Debug)]
pub(super) struct AllowedOrigin;

impl CorsOrigins {
    /// The origin of a request, if it is allowed.
    pub(super) fn find(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let mut values = headers.get_all(ORIGIN).into_iter();
        let origin = values.next()?;
        let is_allowed = self.0.iter().any(|allowed| origin == allowed.as_str());
        (is_allowed && values.next().is_none()).then(|| origin.clone())
    }
}

/// Lets a page of an allowed origin read an answer.
pub(super) fn show(response: &mut Response, origin: HeaderValue) {
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    headers.append(VARY, HeaderValue::from(ORIGIN));
}

/// Whether a browser asks if a page may send a request.
pub(super) fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to a browser that asks.
pub(super) fn preflight(asked: &HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    if let Some(names) = asked.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
        let name: HeaderName = ACCESS_CONTROL_REQUEST_HEADERS;
        headers.append(VARY, HeaderValue::from(name));
    }
    response
}
