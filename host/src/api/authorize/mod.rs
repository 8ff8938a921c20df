//! Checks that a client may make a call.
//!
//! A call needs the scope that its description declares: see [`RouteScopes`]. A client shows a
//! token with that scope, in `Authorization: Bearer TOKEN`. While the state folder has no tokens,
//! every client of this machine may make every call. A program that uses the socket needs no token:
//! the mode of the socket has let it in.
//!
//! A request of a web page of another site is refused before: a browser adds no token by itself,
//! but without tokens it would use the address of this machine.

mod client;
mod scopes;

use std::sync::Arc;

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, header::AUTHORIZATION},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{error::ApiError, extract::body, peer::Peer, state::Tokens};
use crate::access::AccessScope;

pub(super) use client::{ApiClient, AuditedClient};
pub(super) use scopes::RouteScopes;

/// What [`authorize`] needs.
#[derive(Clone, Debug)]
pub(super) struct AccessRules {
    pub(super) tokens: Tokens,
    pub(super) scopes: Arc<RouteScopes>,
}

/// Answers a request with 401 or 403 if its client may not make the call.
pub(super) async fn authorize(
    State(rules): State<AccessRules>,
    request: Request,
    next: Next,
) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let method = request.method();
    let needed = route.and_then(|route| rules.scopes.of(method, route.as_str()));
    let Some(needed) = needed else {
        return next.run(request).await;
    };
    let (client, checked) = rules.tokens.check(&request, needed);
    if needed == AccessScope::Admin
        && !method.is_safe()
        && let Some(audited) = request.extensions().get::<AuditedClient>()
    {
        audited.set(client);
    }
    match checked {
        Ok(()) => next.run(request).await,
        Err(error) => {
            let (head, content) = request.into_parts();
            body::discard_later(&head.headers, content);
            error.into_response()
        }
    }
}

impl Tokens {
    fn check(&self, request: &Request, needed: AccessScope) -> (ApiClient, Result<(), ApiError>) {
        if let Some(Peer::Local { uid }) = request.extensions().get() {
            return (ApiClient::User { uid: *uid }, Ok(()));
        }
        let tokens = self.store.current();
        if !self.is_exposed && tokens.is_none() {
            return (ApiClient::Anonymous, Ok(()));
        }
        let text = match bearer_token(request.headers()) {
            Ok(text) => text,
            Err(error) => return (ApiClient::Unknown, Err(error)),
        };
        let Some(token) = tokens.as_ref().and_then(|tokens| tokens.find(text)) else {
            let reason = "the token is unknown, or was revoked";
            return (ApiClient::Unknown, Err(ApiError::Unauthorized { reason }));
        };
        let name = token.name.clone();
        let is_allowed = token.scopes.iter().any(|scope| scope.includes(needed));
        let checked = is_allowed.then_some(()).ok_or(ApiError::ScopeMissing {
            detail: format!("token `{name}` does not have the scope `{needed}`"),
        });
        (ApiClient::Token { name }, checked)
    }
}

fn bearer_token(headers: &HeaderMap) -> Result<&str, ApiError> {
    const MISSING: &str =
        "send `Authorization: Bearer TOKEN` (`delfin-host tokens add` creates a token)";
    let mut values = headers.get_all(AUTHORIZATION).into_iter();
    let value = values.next();
    let value = value.ok_or(ApiError::Unauthorized { reason: MISSING })?;
    let words = value.to_str().ok().filter(|_| values.next().is_none());
    let token = words.and_then(|words| {
        let (scheme, token) = words.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("Bearer")
            .then_some(token.trim())
    });
    token.ok_or(ApiError::Unauthorized {
        reason: "`Authorization` is not `Bearer TOKEN`",
    })
}
