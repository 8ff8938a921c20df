//! Checks that a client may make a call.
//!
//! A call needs the scope that its description declares: see [`RouteScopes`]. A client shows a
//! token with that scope, in `Authorization: Bearer TOKEN`. Clients of the inputs of other monitoring systems
//! can show it as these do: as the password of a user, with `Token` of InfluxDB 2, or in the query of InfluxDB 1. While the state folder has no tokens,
//! every client of this machine may make every call. A program that uses the socket needs no token:
//! the mode of the socket has let it in.
//!
//! A request of a web page of another site is refused before: a browser adds no token by itself,
//! but without tokens it would use the address of this machine.

mod client;
mod scopes;

use std::borrow::Cow;

use axum::{
    extract::{MatchedPath, Request},
    http::{Uri, header::AUTHORIZATION},
    response::Response,
};
use base64::{Engine, engine::general_purpose::STANDARD};

use super::{error::ApiError, ingest::refusal, peer::Peer, state::Tokens};
use crate::access::AccessScope;

pub(super) use client::{ApiClient, AuditedClient};
pub(super) use scopes::RouteScopes;

const INFLUXDB_1_WRITE: &str = "/write";

/// The routes whose clients cannot always send `Bearer`. On others, a browser could send the password of a user by itself.
const INPUT_ROUTES: [&str; 5] = [
    "/api/v1/write",
    "/v1/metrics",
    "/api/v2/write",
    INFLUXDB_1_WRITE,
    "/v1/ingest/alertmanager",
];

/// Who may make which call.
#[derive(Debug)]
pub(super) struct AccessRules {
    pub(super) tokens: Tokens,
    pub(super) scopes: RouteScopes,
}

impl AccessRules {
    /// Checks that a client may make a call.
    ///
    /// # Errors
    ///
    /// The answer, with status 401 or 403.
    pub(super) fn check(&self, request: &Request) -> Result<(), Box<Response>> {
        let route = request.extensions().get::<MatchedPath>();
        let method = request.method();
        let route = route.map(MatchedPath::as_str);
        let needed = route.and_then(|route| Some((route, self.scopes.of(method, route)?)));
        let Some((route, needed)) = needed else {
            return Ok(());
        };
        let (client, checked) = self.tokens.check(request, needed);
        if needed == AccessScope::Admin
            && !method.is_safe()
            && let Some(audited) = request.extensions().get::<AuditedClient>()
        {
            audited.set(client);
        }
        checked.map_err(|error| Box::new(refusal(route, request.headers(), error)))
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
        let text = match shown_token(request) {
            Ok(text) => text,
            Err(error) => return (ApiClient::Unknown, Err(error)),
        };
        let Some(token) = tokens.as_ref().and_then(|tokens| tokens.find(&text)) else {
            let reason =
                "the token is unknown, or was revoked (`delfin-host tokens add` creates a token)";
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

/// The token that a request shows.
fn shown_token(request: &Request) -> Result<Cow<'_, str>, ApiError> {
    const MISSING: &str =
        "send `Authorization: Bearer TOKEN` (`delfin-host tokens add` creates a token)";
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("", MatchedPath::as_str);
    let mut values = request.headers().get_all(AUTHORIZATION).into_iter();
    let Some(value) = values.next() else {
        let in_query = (route == INFLUXDB_1_WRITE).then(|| password_of_query(request.uri()));
        let token = in_query.flatten().map(Cow::Owned);
        return token.ok_or(ApiError::Unauthorized { reason: MISSING });
    };
    let words = value.to_str().ok().filter(|_| values.next().is_none());
    let token = words.and_then(|words| {
        let (scheme, token) = words.split_once(' ')?;
        let token = token.trim();
        match scheme.to_ascii_lowercase().as_str() {
            "bearer" => Some(Cow::Borrowed(token)),
            "token" if INPUT_ROUTES.contains(&route) => Some(password(token).into()),
            "basic" if INPUT_ROUTES.contains(&route) => {
                let pair = String::from_utf8(STANDARD.decode(token).ok()?).ok()?;
                Some(password(&pair).to_owned().into())
            }
            _ => None,
        }
    });
    token.ok_or(ApiError::Unauthorized {
        reason: "`Authorization` is not `Bearer TOKEN`",
    })
}

/// What comes after the name of a user. It can have colons.
fn password(pair: &str) -> &str {
    pair.split_once(':').map_or(pair, |(_, password)| password)
}

fn password_of_query(uri: &Uri) -> Option<String> {
    let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri).ok()?;
    let mut pairs = pairs.0.into_iter();
    pairs.find_map(|(name, value)| (name == "p").then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_of_a_pair_can_have_colons() {
        for (pair, wanted) in [("user:a:b", "a:b"), ("secret", "secret"), (":x", "x")] {
            assert_eq!(password(pair), wanted);
        }
    }
}
