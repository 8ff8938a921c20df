//! Asks the service.
//!
//! Promises: a request goes to the registered host only; requests, bodies and time are limited; a
//! session that has ended is opened again once; no message shows a password or a token.

mod budget;
mod collection;
mod session;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use delfin_plugin_api::{
    Failure,
    http::{
        Client, ClientSettings, ErrorKind, RequestBuilder, RequestError, Response, ResponseStream,
    },
    log,
};
use serde_json::Value;

pub(crate) use self::{
    budget::CallBudget,
    collection::{Member, NewestMembers, complete},
};
use self::{
    collection::Expansion,
    session::{RequestCredential, SessionSlot},
};
use crate::{
    config::{RedfishConfig, RedfishLogin},
    decode::{link, normal_path},
};

const USER_AGENT: &str = concat!("delfin-exporter-redfish/", env!("CARGO_PKG_VERSION"));

/// The path of the service root. It needs no login.
const ROOT: &str = "/redfish/v1/";

/// The longest body that is read.
const MAX_BODY: usize = 16 << 20;

/// The documents that are kept to ask whether they have changed.
const MAX_KEPT: usize = 1_000;

/// The attempts of a request that the service puts off, or whose connection broke.
const MAX_ATTEMPTS: u32 = 4;

/// How a connection with TLS ends if the service has none: it answers something else, or closes it.
const WITHOUT_TLS: [&str; 2] = ["does not speak TLS", "in the TLS handshake"];

/// The wait before another attempt if the service names none.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why there is no document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AskError {
    /// The service does not have the resource.
    #[error("{0}")]
    Absent(String),
    /// The service fails for this resource, does not show it to this user, or its answer cannot
    /// be read.
    #[error("{0}")]
    Broken(String),
    /// No other request would succeed.
    #[error(transparent)]
    Call(#[from] Failure),
}

/// Asks one service. Its calls can come from several threads.
pub(crate) struct RedfishClient {
    http: Client,
    base: String,
    login: RedfishLogin,
    timeout: Duration,
    session: Mutex<SessionSlot>,
    root: Mutex<Option<Arc<Value>>>,
    kept: Mutex<HashMap<String, KeptDocument>>,
    expansion: Mutex<Option<Expansion>>,
    /// Whether the service has ever answered: then an odd answer is a fault that passes.
    has_answered: AtomicBool,
}

#[derive(Clone)]
struct KeptDocument {
    etag: String,
    document: Arc<Value>,
}

impl RedfishClient {
    pub(crate) fn new(config: &RedfishConfig) -> Result<Self, Failure> {
        let settings = ClientSettings {
            user_agent: USER_AGENT.to_owned(),
            tls: config.tls.clone(),
            ..ClientSettings::default()
        };
        Ok(Self {
            http: Client::new(&settings)?,
            base: config.base.clone(),
            login: config.login.clone(),
            timeout: config.request_timeout,
            session: Mutex::default(),
            root: Mutex::default(),
            kept: Mutex::default(),
            expansion: Mutex::default(),
            has_answered: AtomicBool::new(false),
        })
    }

    /// The host and the port, for messages.
    pub(crate) fn authority(&self) -> &str {
        self.base.split("://").nth(1).unwrap_or(&self.base)
    }

    /// The service root, read once.
    pub(crate) fn root(&self, budget: &CallBudget<'_>) -> Result<Arc<Value>, AskError> {
        if let Some(root) = &*lock(&self.root) {
            return Ok(Arc::clone(root));
        }
        let answer = self.ask(ROOT, &RequestCredential::Nothing, None, budget)?;
        let root = Arc::new(self.read(ROOT, &answer, budget)?);
        *lock(&self.root) = Some(Arc::clone(&root));
        Ok(root)
    }

    /// A document.
    pub(crate) fn get(&self, path: &str, budget: &CallBudget<'_>) -> Result<Arc<Value>, AskError> {
        let path = path.split('#').next().unwrap_or(path);
        let kept = lock(&self.kept).get(path).cloned();
        let etag = kept.as_ref().map(|kept| kept.etag.as_str());
        let ask = |credential: &RequestCredential| self.ask(path, credential, etag, budget);
        let answer = self.with_login(path, budget, Response::status, ask)?;
        if let (304, Some(kept)) = (answer.status(), kept) {
            return Ok(kept.document);
        }
        let document = Arc::new(self.read(path, &answer, budget)?);
        self.keep(path, &answer, &document);
        Ok(document)
    }

    /// Changes a resource.
    pub(crate) fn patch(
        &self,
        path: &str,
        change: &Value,
        budget: &CallBudget<'_>,
    ) -> Result<(), AskError> {
        let body = change.to_string();
        let send = |credential: &RequestCredential| {
            let request = authorized(self.http.patch(&self.url(path)), credential);
            let request = request.header("content-type", "application/json");
            let time = budget.take(self.timeout)?;
            let answer = request.send(body.as_bytes(), time);
            answer.map_err(|error| self.unanswered(path, &error).into())
        };
        let answer = self.with_login(path, budget, Response::status, send)?;
        if answer.is_success() {
            return Ok(());
        }
        Err(self.refused(path, &answer))
    }

    /// Opens a stream of events, which lasts up to `lifetime`. The service sends what came after the
    /// event `last_id`, if it can.
    pub(crate) fn open_stream(
        &self,
        path: &str,
        last_id: Option<&str>,
        lifetime: Duration,
        budget: &CallBudget<'_>,
    ) -> Result<ResponseStream, AskError> {
        let open = |credential: &RequestCredential| {
            let request = authorized(self.http.get(&self.url(path)), credential);
            let request = request.header("accept", "text/event-stream");
            let request = match last_id {
                Some(id) => request.header("last-event-id", id),
                None => request,
            };
            let wait = budget.take(self.timeout)?;
            let opened = request.open(wait, lifetime);
            opened.map_err(|error| self.unanswered(path, &error).into())
        };
        let stream = self.with_login(path, budget, ResponseStream::status, open)?;
        let message = || format!("`{path}` answers {}", stream.status());
        match stream.status() {
            200 => Ok(stream),
            404 | 405 | 410 | 501 => Err(AskError::Absent(message())),
            _ => Err(AskError::Broken(message())),
        }
    }

    /// The path of a URL of this service, or of a path.
    pub(crate) fn own_path(&self, uri: &str) -> Option<String> {
        normal_path(uri.strip_prefix(&self.base).unwrap_or(uri))
    }

    /// Ends the session.
    pub(crate) fn log_out(&self, budget: &CallBudget<'_>) {
        let SessionSlot::Open(token) = std::mem::take(&mut *lock(&self.session)) else {
            return;
        };
        let Some(location) = token.location.as_deref() else {
            return;
        };
        let credential = RequestCredential::Token(Arc::clone(&token));
        let request = authorized(self.http.delete(&self.url(location)), &credential);
        let sent = budget
            .take(self.timeout)
            .map(|time| request.send(&[], time));
        if !matches!(&sent, Ok(Ok(answer)) if answer.is_success()) {
            log::debug!("the service does not end the session");
        }
    }

    /// Sends a request with the credentials. After a 401 the session is opened again, once.
    fn with_login<T>(
        &self,
        path: &str,
        budget: &CallBudget<'_>,
        status: impl Fn(&T) -> u16,
        send: impl Fn(&RequestCredential) -> Result<T, AskError>,
    ) -> Result<T, AskError> {
        let credential = self.credential(budget)?;
        let answer = send(&credential)?;
        if status(&answer) != 401 {
            return Ok(answer);
        }
        if let RequestCredential::Token(ended) = credential {
            self.forget(&ended);
            let answer = send(&self.credential(budget)?)?;
            if status(&answer) != 401 {
                return Ok(answer);
            }
        }
        Err(self.unauthorized(path).into())
    }

    fn unauthorized(&self, path: &str) -> Failure {
        let message = match &self.login {
            RedfishLogin::Anonymous => format!(
                "`{}` wants a login (register `rest.username` and `rest.password`)",
                self.authority()
            ),
            RedfishLogin::Basic { username, .. } => {
                format!("`{}` refuses the user `{username}`", self.authority())
            }
            // The login was right, so another call locks no account.
            RedfishLogin::Session { username, .. } => {
                return Failure::rejected(format!(
                    "`{path}` answers 401 to a new session of `{username}` (give the user the right \
                     to read it)"
                ));
            }
        };
        Failure::Unauthorized { message }
    }

    /// Asks until the service answers anything but "later", within the budget.
    fn ask(
        &self,
        path: &str,
        credential: &RequestCredential,
        etag: Option<&str>,
        budget: &CallBudget<'_>,
    ) -> Result<Response, AskError> {
        let url = self.url(path);
        let mut attempt = 1;
        loop {
            let time = budget.take(self.timeout)?;
            let started = Instant::now();
            let request = authorized(self.http.get(&url), credential);
            let request = request.header("accept", "application/json");
            let request = match etag {
                Some(etag) => request.header("if-none-match", etag),
                None => request,
            };
            match request.max_response(MAX_BODY).send(&[], time) {
                Ok(answer) if matches!(answer.status(), 429 | 503) && attempt < MAX_ATTEMPTS => {
                    let after = answer.header("retry-after").and_then(|text| {
                        let seconds = text.trim().parse().ok()?;
                        Some(Duration::from_secs(seconds))
                    });
                    let after = after.unwrap_or(RETRY_AFTER * attempt);
                    if !budget.wait(after) {
                        return Err(answer.failure(self.authority()).into());
                    }
                }
                Ok(answer) => {
                    self.has_answered.store(true, Ordering::Relaxed);
                    return Ok(answer);
                }
                // The service can close a connection just as it is used again.
                Err(error)
                    if error.kind == ErrorKind::NoResponse
                        && attempt == 1
                        && started.elapsed() < time / 2 => {}
                Err(error) => return Err(self.unanswered(path, &error).into()),
            }
            attempt += 1;
        }
    }

    /// The document of an answer.
    fn read(
        &self,
        path: &str,
        answer: &Response,
        budget: &CallBudget<'_>,
    ) -> Result<Value, AskError> {
        if !answer.is_success() {
            return Err(self.refused(path, answer));
        }
        let broken = |reason: &str| AskError::Broken(format!("`{path}` {reason}"));
        let Some(body) = answer.body() else {
            return Err(broken(if answer.is_cut_off() {
                "is cut off"
            } else {
                "has more than 16 MiB"
            }));
        };
        budget.take_bytes(body.len())?;
        let document = serde_json::from_slice::<Value>(body);
        let document = document.map_err(|error| broken(&format!("is no JSON: {error}")))?;
        if !document.is_object() {
            return Err(broken("is no JSON object"));
        }
        Ok(document)
    }

    fn refused(&self, path: &str, answer: &Response) -> AskError {
        let message = answer.message(path);
        match answer.status() {
            404 | 405 | 410 | 501 => AskError::Absent(message),
            429 | 503 => AskError::Call(answer.failure(self.authority())),
            _ => AskError::Broken(message),
        }
    }

    /// The failure of a request without a response.
    fn unanswered(&self, path: &str, error: &RequestError) -> Failure {
        let failure = error.repeatable_failure(self.authority());
        let is_known = self.has_answered.load(Ordering::Relaxed);
        let text = error.to_string();
        let is_without_tls = !is_known
            && self.base.starts_with("https:")
            && WITHOUT_TLS.iter().any(|end| text.contains(end));
        let remedy = if is_without_tls {
            " (set `scheme` to `http` if the service has no TLS)"
        } else {
            ""
        };
        match failure {
            // While it restarts, a service can answer with anything.
            Failure::Misconfigured { message } if is_known || error.kind == ErrorKind::NotHttp => {
                Failure::retry(message)
            }
            Failure::Misconfigured { message } => {
                Failure::misconfigured(format!("{message}{remedy}"))
            }
            Failure::Retry { message, after } => Failure::Retry {
                message: format!("{message} (asked for `{path}`){remedy}"),
                after,
            },
            other => other,
        }
    }

    /// Keeps a list if the service says how to ask whether it has changed. Other documents have
    /// measurements and states, which the tag of some services does not cover.
    fn keep(&self, path: &str, answer: &Response, document: &Arc<Value>) {
        let is_list = document.get("Members").is_some() || document.get("Messages").is_some();
        let Some(etag) = answer
            .header("etag")
            .filter(|_| is_list && !path.contains('?'))
        else {
            return;
        };
        let mut kept = lock(&self.kept);
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        let document = Arc::clone(document);
        let etag = etag.to_owned();
        kept.insert(path.to_owned(), KeptDocument { etag, document });
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn sessions_path(root: &Value) -> String {
        link(root, "/Links/Sessions").unwrap_or_else(|| format!("{ROOT}SessionService/Sessions"))
    }
}

fn authorized<'a>(
    request: RequestBuilder<'a>,
    credential: &RequestCredential,
) -> RequestBuilder<'a> {
    let request = request.header("odata-version", "4.0");
    match credential {
        RequestCredential::Nothing => request,
        RequestCredential::Token(token) => {
            request.secret_header("x-auth-token", token.secret.reveal())
        }
        RequestCredential::Header(header) => {
            request.secret_header("authorization", header.reveal())
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
