//! Checks that a client may make a call.
//!
//! A call needs the scope that its description declares: see [`RouteScopes`]. A client shows a
//! token with that scope, in `Authorization: Bearer TOKEN`. While the state folder has no tokens,
//! every client of this machine may make every call.
//!
//! A request of a web page of another site is refused before: a browser adds no token by itself,
//! but without tokens it would use the address of this machine.

mod scopes;

use std::sync::Arc;

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, header::AUTHORIZATION},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{error::ApiError, extract::body};
use crate::access::{Scope, TokenStore};

pub(super) use scopes::RouteScopes;

/// The tokens, and whether clients need one although none exists.
#[derive(Clone, Debug)]
pub(super) struct Tokens {
    store: Arc<TokenStore>,
    /// Other machines reach the API, and `api.allow_unauthenticated` is not set.
    is_exposed: bool,
}

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
    match rules.check(&request) {
        Ok(()) => next.run(request).await,
        Err(error) => {
            let (head, content) = request.into_parts();
            body::discard_later(&head.headers, content);
            error.into_response()
        }
    }
}

impl AccessRules {
    fn check(&self, request: &Request) -> Result<(), ApiError> {
        let route = request.extensions().get::<MatchedPath>();
        let needed = route.and_then(|route| self.scopes.of(request.method(), route.as_str()));
        match needed {
            Some(needed) => self.tokens.check(request.headers(), needed),
            None => Ok(()),
        }
    }
}

impl Tokens {
    pub(super) fn new(store: Arc<TokenStore>, is_exposed: bool) -> Self {
        Self { store, is_exposed }
    }

    fn check(&self, headers: &HeaderMap, needed: Scope) -> Result<(), ApiError> {
        if !self.is_exposed && !self.store.exist() {
            return Ok(());
        }
        let token = self.store.find(bearer_token(headers)?);
        let token = token.ok_or(ApiError::Unauthorized {
            reason: "the token is unknown, or was revoked",
        })?;
        if token.scopes.iter().any(|scope| scope.includes(needed)) {
            return Ok(());
        }
        Err(ApiError::ScopeMissing {
            detail: format!("token `{}` does not have the scope `{needed}`", token.name),
        })
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
