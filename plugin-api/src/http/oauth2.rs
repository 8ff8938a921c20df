//! OAuth 2.0 client credentials (RFC 6749, section 4.4).
//!
//! Promises: a token is used until shortly before it expires, and fetched once for all threads;
//! neither the secret nor a token is in a message or a debug form.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::Value;
use ureq::http::{HeaderValue, Request};

use super::{
    ErrorKind, RequestError, Response, check_url, client::hide_credentials, query_value, redact_url,
};
use crate::{
    redact::Redactor,
    setting::{Mistakes, Secret},
};

const TABLE: &str = "write a table with `token_url`, `client_id` and `client_secret`";
const SENT_IN: &str = "write `header` or `body`";

/// A token is replaced this long before it expires, or in the second half of its life.
const MARGIN: Duration = Duration::from_secs(60);

/// The settings of client credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuth2Settings {
    /// The URL of the token endpoint.
    pub token_url: String,
    /// The id of the client.
    pub client_id: String,
    /// The secret of the client.
    pub client_secret: Secret,
    /// The scopes to ask for, separated by spaces. `None`: those of the client.
    pub scope: Option<String>,
    /// Whether the id and the secret are in the body of the request instead of its header.
    pub is_sent_in_body: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenOAuth2 {
    token_url: Option<Value>,
    client_id: Option<Value>,
    client_secret: Option<Value>,
    scope: Option<Value>,
    sent_in: Option<Value>,
}

impl OAuth2Settings {
    /// Reads the setting `oauth2`, a table. `None` if it is not set, or with a mistake.
    pub fn read(value: Option<Value>, mistakes: &mut Mistakes) -> Option<Self> {
        let Value::Object(table) = value? else {
            mistakes.add(format!("`oauth2` is not a table ({TABLE})"));
            return None;
        };
        let written = match serde_json::from_value::<WrittenOAuth2>(Value::Object(table)) {
            Ok(written) => written,
            Err(error) => {
                mistakes.add(format!("`oauth2`: {error}"));
                return None;
            }
        };
        let required = [
            ("oauth2.token_url", &written.token_url),
            ("oauth2.client_id", &written.client_id),
            ("oauth2.client_secret", &written.client_secret),
        ];
        for (key, value) in required {
            if value.is_none() {
                mistakes.missing(key, TABLE);
            }
        }
        let token_url = mistakes.text("oauth2.token_url", written.token_url);
        let token_url =
            token_url.filter(|url| check_url("oauth2.token_url", url, mistakes).is_some());
        let client_id = mistakes.text("oauth2.client_id", written.client_id);
        let client_secret = mistakes.secret("oauth2.client_secret", written.client_secret);
        let scope = mistakes.text("oauth2.scope", written.scope);
        let sent_in = |value: &Value| match value.as_str() {
            Some("header") => Some(false),
            Some("body") => Some(true),
            Some(_) | None => None,
        };
        let sent_in = mistakes.read("oauth2.sent_in", written.sent_in, sent_in, SENT_IN);
        Some(Self {
            token_url: token_url?,
            client_id: client_id?,
            client_secret: client_secret?,
            scope,
            is_sent_in_body: sent_in.unwrap_or_default(),
        })
    }

    /// Hides the secret, in each form in which it is sent.
    pub(super) fn hide_in(&self, redactor: &mut Redactor) {
        redactor.hide(self.client_secret.reveal());
        hide_credentials(redactor, &self.basic());
    }

    /// The header `Authorization` of a request for a token.
    fn basic(&self) -> String {
        let (id, secret) = (&self.client_id, self.client_secret.reveal());
        let credentials = format!("{}:{}", query_value(id), query_value(secret));
        format!("Basic {}", BASE64_STANDARD.encode(credentials))
    }
}

/// The token of a client, shared by its clones.
pub(super) struct TokenSource {
    settings: OAuth2Settings,
    token: Mutex<Option<KeptToken>>,
    /// Hides the secrets of the settings.
    redactor: Redactor,
}

/// A token that is sent in requests.
pub(crate) struct AccessToken {
    /// The header `Authorization`.
    pub(crate) header: HeaderValue,
    /// Hides the token, and the secrets of the settings.
    pub(crate) redactor: Redactor,
}

struct KeptToken {
    token: Arc<AccessToken>,
    /// When to fetch another one; `None` if the server does not say.
    renewal: Option<Instant>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    token_type: String,
    expires_in: Option<u64>,
}

impl TokenSource {
    pub(super) fn new(settings: OAuth2Settings, redactor: Redactor) -> Self {
        Self {
            settings,
            redactor,
            token: Mutex::new(None),
        }
    }

    /// Sends a request with a token. `fetch` sends the request for a token, and `attempt` the
    /// request with a token: a second time if the receiver refuses a token of an
    /// earlier request.
    pub(super) fn send<R>(
        &self,
        fetch: impl Fn() -> Result<Response, RequestError>,
        attempt: impl Fn(&AccessToken) -> Result<R, RequestError>,
        is_refused: impl Fn(&R) -> bool,
    ) -> Result<R, RequestError> {
        let (token, is_new) = self.token(&fetch)?;
        let response = attempt(&token)?;
        if !is_refused(&response) {
            return Ok(response);
        }
        self.forget(&token);
        if is_new {
            return Ok(response);
        }
        attempt(&self.token(&fetch)?.0)
    }

    /// A token, and whether it is new.
    fn token(
        &self,
        fetch: impl Fn() -> Result<Response, RequestError>,
    ) -> Result<(Arc<AccessToken>, bool), RequestError> {
        // Locked meanwhile, so that other threads do not fetch one as well.
        let mut kept = self.lock();
        let is_usable = |kept: &&KeptToken| kept.renewal.is_none_or(|at| Instant::now() < at);
        if let Some(kept) = kept.as_ref().filter(is_usable) {
            return Ok((Arc::clone(&kept.token), false));
        }
        let fetched = fetch().map_err(|error| RequestError {
            // The receiver cannot have a request that had no token.
            kind: match error.kind {
                ErrorKind::NoResponse => ErrorKind::NotSent,
                other => other,
            },
            reason: format!("`{}`: {error}", redact_url(&self.settings.token_url)),
        });
        let fetched = self.read_token(&fetched?)?;
        let token = Arc::clone(&fetched.token);
        *kept = Some(fetched);
        Ok((token, true))
    }

    /// Forgets a token that the receiver refuses.
    fn forget(&self, token: &Arc<AccessToken>) {
        let mut kept = self.lock();
        if kept
            .as_ref()
            .is_some_and(|kept| Arc::ptr_eq(&kept.token, token))
        {
            *kept = None;
        }
    }

    /// The request for a token, and its body.
    pub(super) fn request(&self) -> Result<(Request<()>, String), ureq::http::Error> {
        let OAuth2Settings {
            token_url,
            client_id,
            client_secret,
            scope,
            is_sent_in_body,
        } = &self.settings;
        let mut request = Request::post(token_url)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json");
        let mut body = "grant_type=client_credentials".to_owned();
        if let Some(scope) = scope {
            body += &format!("&scope={}", query_value(scope));
        }
        if *is_sent_in_body {
            let (id, secret) = (query_value(client_id), query_value(client_secret.reveal()));
            body += &format!("&client_id={id}&client_secret={secret}");
        } else {
            request = request.header("authorization", self.settings.basic());
        }
        Ok((request.body(())?, body))
    }

    fn read_token(&self, response: &Response) -> Result<KeptToken, RequestError> {
        let url = redact_url(&self.settings.token_url);
        let error = |kind, reason| Err(RequestError { kind, reason });
        match response.status() {
            200..=299 => {}
            // It refuses the client or the scope.
            400 | 401 | 403 => {
                let reason = format!("{} (check `oauth2`)", response.message(&url));
                return error(ErrorKind::Forbidden, reason);
            }
            408 | 429 | 500.. => return error(ErrorKind::NotSent, response.message(&url)),
            _ => {
                let reason = format!("{} (check `oauth2.token_url`)", response.message(&url));
                return error(ErrorKind::InvalidUrl, reason);
            }
        }
        let answer = response.body().map(serde_json::from_slice::<TokenAnswer>);
        let Some(Ok(answer)) = answer else {
            // Its text may hold a token.
            let reason = format!("`{url}` does not answer with a token (check `oauth2.token_url`)");
            return error(ErrorKind::InvalidUrl, reason);
        };
        let is_bearer = answer.token_type.eq_ignore_ascii_case("bearer");
        let header = HeaderValue::try_from(format!("Bearer {}", answer.access_token));
        let (true, Ok(mut header)) = (is_bearer, header) else {
            let reason = format!("`{url}` answers with a token that is no bearer token");
            return error(ErrorKind::InvalidUrl, reason);
        };
        header.set_sensitive(true);
        let life = answer.expires_in.map(Duration::from_secs);
        let renewal = life.and_then(|life| Instant::now().checked_add(life - MARGIN.min(life / 2)));
        let mut redactor = self.redactor.clone();
        redactor.hide(&answer.access_token);
        let token = Arc::new(AccessToken { header, redactor });
        Ok(KeptToken { token, renewal })
    }

    fn lock(&self) -> MutexGuard<'_, Option<KeptToken>> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
