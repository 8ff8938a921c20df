//! The session of the driver, or its credentials in each request.
//!
//! Promises: one session at a time; a login that is refused is not repeated in the same call.

use std::sync::Arc;

use delfin_plugin_api::{
    Failure,
    http::{Authorization, Response},
    log,
    setting::Secret,
};
use serde_json::json;

use super::{AskError, CallBudget, RedfishClient, lock};
use crate::{config::RedfishLogin, decode::normal_path};

/// The session of a client.
#[derive(Default)]
pub(super) enum SessionSlot {
    /// Before the first request, and after the service has ended it.
    #[default]
    Closed,
    Open(Arc<SessionToken>),
    /// The service has no sessions.
    Unsupported,
}

/// What a request shows.
#[derive(Clone)]
pub(super) enum RequestCredential {
    /// Nothing: the service root, or no user was registered.
    Nothing,
    Token(Arc<SessionToken>),
    /// The header `Authorization`.
    Header(Secret),
}

pub(super) struct SessionToken {
    pub(super) secret: Secret,
    /// The path of the session.
    pub(super) location: Option<String>,
}

impl RedfishClient {
    /// What requests show. A session is opened first if it is not open.
    pub(super) fn credential(
        &self,
        budget: &CallBudget<'_>,
    ) -> Result<RequestCredential, AskError> {
        let (username, password) = match &self.login {
            RedfishLogin::Anonymous => return Ok(RequestCredential::Nothing),
            RedfishLogin::Basic { username, password } => return Ok(basic(username, password)),
            RedfishLogin::Session { username, password } => (username, password),
        };
        let root = self.root(budget)?;
        let mut session = lock(&self.session);
        match &*session {
            SessionSlot::Closed => {}
            SessionSlot::Open(token) => return Ok(RequestCredential::Token(Arc::clone(token))),
            SessionSlot::Unsupported => return Ok(basic(username, password)),
        }
        let path = Self::sessions_path(&root);
        let body = json!({ "UserName": username, "Password": password.reveal() }).to_string();
        let request = self.http.post(&self.url(&path));
        let request = request
            .header("content-type", "application/json")
            .header("odata-version", "4.0");
        let time = budget.take(self.timeout)?;
        let answer = request.send(body.as_bytes(), time);
        let answer = answer.map_err(|error| self.unanswered(&path, &error))?;
        match answer.status() {
            200..=299 => {
                let token = self.opened(&answer)?;
                *session = SessionSlot::Open(Arc::clone(&token));
                Ok(RequestCredential::Token(token))
            }
            404 | 405 | 501 => {
                log::debug!("the service has no sessions: each request has the credentials");
                *session = SessionSlot::Unsupported;
                Ok(basic(username, password))
            }
            _ => Err(self.login_failure(username, &answer).into()),
        }
    }

    /// Drops a session that has ended, unless another thread has opened the next one.
    pub(super) fn forget(&self, ended: &Arc<SessionToken>) {
        let mut session = lock(&self.session);
        if matches!(&*session, SessionSlot::Open(open) if Arc::ptr_eq(open, ended)) {
            *session = SessionSlot::Closed;
        }
    }

    fn opened(&self, answer: &Response) -> Result<Arc<SessionToken>, Failure> {
        let token = answer
            .header("x-auth-token")
            .filter(|token| !token.is_empty());
        let token = token.ok_or_else(|| {
            Failure::rejected(format!(
                "`{}` opens a session without `X-Auth-Token` (set `authentication` to `basic`)",
                self.authority()
            ))
        })?;
        let location = answer.header("location");
        Ok(Arc::new(SessionToken {
            secret: Secret::new(token),
            location: location.and_then(|location| {
                // Some services name the whole URL.
                let path = location.find("/redfish/").map(|at| &location[at..]);
                normal_path(path.unwrap_or(location))
            }),
        }))
    }

    fn login_failure(&self, username: &str, answer: &Response) -> Failure {
        let authority = self.authority();
        let status = answer.status();
        let is_full = String::from_utf8_lossy(answer.beginning()).contains("SessionLimitExceeded");
        match status {
            _ if is_full => Failure::retry(format!("`{authority}` has no session left")),
            400 | 401 | 403 => Failure::Unauthorized {
                message: format!(
                    "`{authority}` refuses the login of `{username}` with {status} (correct \
                     `rest.username` and `rest.password`)"
                ),
            },
            429 | 500..=599 => Failure::retry(answer.message(authority)),
            _ => Failure::rejected(answer.message(authority)),
        }
    }
}

fn basic(username: &str, password: &Secret) -> RequestCredential {
    let (username, password) = (username.to_owned(), password.clone());
    RequestCredential::Header(Authorization::Basic { username, password }.header())
}
