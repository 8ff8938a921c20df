//! A client for exporters that speak HTTP.
//!
//! Promises: nothing lasts longer than the caller has time; a receiver's
//! certificate is always verified; a redirect is an answer as any other; no
//! proxy but that of the settings; an answer is read up to a limit; no secret is
//! in what is shown.
//!
//! ```no_run
//! use std::time::Duration;
//! use delfin_plugin_api::{Outcome, http::Client};
//!
//! fn post(client: &Client, body: &[u8], remaining: Duration) -> Outcome {
//!     let url = "https://example.com/in";
//!     match client.post(url).header("content-type", "text/plain").send(body, remaining) {
//!         Ok(answer) if answer.is_success() => Ok(()),
//!         Ok(answer) => Err(answer.failure(url)),
//!         Err(unanswered) => Err(unanswered.failure(url)),
//!     }
//! }
//! ```

use std::{
    io::{self, Read},
    time::Duration,
};

use ureq::{
    Agent, Proxy, SendBody,
    http::{
        HeaderValue, Method, Request as HttpRequest,
        header::{AUTHORIZATION, CONTENT_LENGTH, EXPECT},
        request,
    },
};

use super::{Answer, Authorization, Tls, Unanswered};
use crate::{Failure, setting::Secret};

const CONNECT: Duration = Duration::from_secs(5);

/// What is left of the caller's time to tell the outcome in, at most. A host
/// takes a call that ends on the last moment for hung.
const MARGIN: Duration = Duration::from_millis(250);

/// How much of an answer is read, unless a request says otherwise.
const MAX_ANSWER: usize = 64 * 1024;

/// A body from this length on is sent once the receiver has said that it wants
/// it, or nothing for a second. A receiver that refuses it unread, as too large
/// for one, closes the connection, and its answer would be lost.
const ASK_FIRST: usize = 1 << 20;

/// What a client needs to know.
#[derive(Debug, Clone, Default)]
pub struct ClientSettings {
    /// The header `User-Agent`: the crate's name, a slash, its version.
    pub user_agent: String,
    /// The header `Authorization`.
    pub authorization: Option<Authorization>,
    /// Whom we trust, and who we are.
    pub tls: Tls,
    /// The address of a proxy, `http://`, perhaps with credentials: a secret.
    /// It is asked with `CONNECT`. None: none, whatever the environment says.
    pub proxy: Option<Secret>,
}

/// A client. It keeps connections open, and clones share them.
#[derive(Clone)]
pub struct Client {
    agent: Agent,
    authorization: Option<HeaderValue>,
}

/// A request that is being made.
#[must_use = "a request is made by `send`"]
pub struct Request<'a> {
    client: &'a Client,
    request: request::Builder,
    max_answer: usize,
}

impl Client {
    /// Makes a client.
    ///
    /// # Errors
    ///
    /// [`Failure::Misconfigured`] if a file or the proxy's address cannot be used.
    pub fn new(settings: &ClientSettings) -> Result<Self, Failure> {
        let proxy = settings.proxy.as_ref();
        // What is wrong with it is not said: it may hold a password.
        let proxy = proxy
            .map(|proxy| Proxy::new(proxy.reveal()))
            .transpose()
            .map_err(|_| {
                Failure::misconfigured("`proxy` is no address (write `http://host:port`)")
            })?;
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(proxy)
            .user_agent(settings.user_agent.as_str())
            .tls_config(settings.tls.config()?)
            .build()
            .new_agent();
        let authorization = settings.authorization.as_ref();
        let authorization = authorization.map(|authorization| {
            let mut value = HeaderValue::from_str(authorization.header().reveal())?;
            value.set_sensitive(true);
            Ok::<_, ureq::http::header::InvalidHeaderValue>(value)
        });
        let authorization = authorization.transpose().map_err(Failure::misconfigured)?;
        Ok(Self {
            agent,
            authorization,
        })
    }

    /// Begins a `POST`.
    pub fn post(&self, url: &str) -> Request<'_> {
        self.request(Method::POST, url)
    }

    /// Begins an `OPTIONS`, which asks and changes nothing.
    pub fn options(&self, url: &str) -> Request<'_> {
        self.request(Method::OPTIONS, url)
    }

    fn request(&self, method: Method, url: &str) -> Request<'_> {
        let mut request = HttpRequest::builder().method(method).uri(url);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        Request {
            client: self,
            request,
            max_answer: MAX_ANSWER,
        }
    }
}

impl Request<'_> {
    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// Reads that many bytes of the answer's body at most.
    pub fn max_answer(mut self, bytes: usize) -> Self {
        self.max_answer = bytes;
        self
    }

    /// Sends it, and reads the answer, in a little less than that time.
    ///
    /// # Errors
    ///
    /// There is none. Whether the body may have arrived is in the reason.
    pub fn send(self, body: &[u8], time: Duration) -> Result<Answer, Unanswered> {
        if time.is_zero() {
            return Err(Unanswered::late());
        }
        let time = time - MARGIN.min(time / 10);
        let mut body = Body {
            rest: body,
            taken: false,
        };
        let length = body.rest.len();
        let mut request = self.request.header(CONTENT_LENGTH, length);
        if length >= ASK_FIRST {
            request = request.header(EXPECT, "100-continue");
        }
        let agent = &self.client.agent;
        let answered = request
            .body(SendBody::from_reader(&mut body))
            .map_err(ureq::Error::from)
            .and_then(|request| {
                let request = agent
                    .configure_request(request)
                    .timeout_global(Some(time))
                    .timeout_connect(Some(time.min(CONNECT)))
                    .build();
                agent.run(request)
            });
        match answered {
            Ok(response) => Ok(Answer::read(response, self.max_answer)),
            Err(error) => Err(Unanswered::new(&error, body.taken)),
        }
    }
}

/// A body that knows whether any of it was taken.
struct Body<'a> {
    rest: &'a [u8],
    taken: bool,
}

impl Read for Body<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.taken = true;
        self.rest.read(buffer)
    }
}
