//! A client for exporters that speak HTTP.
//!
//! Promises: a request ends within the time that the caller gives; a receiver's
//! certificate is always verified; a redirect is a response like any other; only the
//! proxy of the settings is used; a body is read up to a limit; no message shows a
//! secret.
//!
//! ```no_run
//! use std::time::Duration;
//! use delfin_plugin_api::{Outcome, http::Client};
//!
//! fn post(client: &Client, body: &[u8], remaining: Duration) -> Outcome {
//!     let url = "https://example.com/in";
//!     match client.post(url).header("content-type", "text/plain").send(body, remaining) {
//!         Ok(response) if response.is_success() => Ok(()),
//!         Ok(response) => Err(response.failure(url)),
//!         Err(error) => Err(error.failure(url)),
//!     }
//! }
//! ```

use std::{
    borrow::Cow,
    io::{self, Read},
    sync::Arc,
    time::{Duration, Instant},
};

use ureq::{
    Agent, Proxy, SendBody,
    http::{
        HeaderName, HeaderValue, Method, Request,
        header::{AUTHORIZATION, CONTENT_LENGTH, EXPECT},
        request,
        uri::Scheme,
    },
    unversioned::resolver::DefaultResolver,
};

#[cfg(feature = "gzip")]
use super::BodyCompressor;
use super::{
    Authorization, OAuth2Settings, RequestError, Response, ResponseStream, Tls,
    connector::connector,
    oauth2::{AccessToken, TokenSource},
    proxy::NamedProxy,
    response::{hide_path, over_http},
};
use crate::{Failure, redact::Redactor, setting::Secret};

/// The longest time to connect in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest part of the caller's time that is kept back, so that the call can
/// return before its deadline. The host takes a call past its deadline for stuck.
const MARGIN: Duration = Duration::from_millis(250);

/// The bytes of a response's body that are read by default.
const DEFAULT_MAX_RESPONSE: usize = 64 * 1024;

/// From this number of bytes on, a body is sent only after the receiver has agreed
/// (`Expect: 100-continue`) or has said nothing for a second. A receiver that
/// rejects a body unread closes the connection, and its response would be lost.
const EXPECT_FROM_BYTES: usize = 1 << 20;

/// The settings of a [`Client`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientSettings {
    /// The header `User-Agent`: the name of the crate, a slash, its version.
    pub user_agent: String,
    /// The header `Authorization`.
    pub authorization: Option<Authorization>,
    /// Client credentials for a token, in place of `authorization`.
    pub oauth2: Option<OAuth2Settings>,
    /// Further headers of every request. Their values are secret.
    pub headers: Vec<(String, Secret)>,
    /// The certificates to trust and to show.
    pub tls: Tls,
    /// The URL of a proxy, which begins with `http://` and may hold credentials. The
    /// client uses `CONNECT`. `None`: no proxy, even if the environment names one.
    pub proxy: Option<Secret>,
}

/// An HTTP client. It keeps connections open, and its clones share them.
#[derive(Clone)]
pub struct Client {
    agent: Agent,
    headers: Vec<(HeaderName, HeaderValue)>,
    tokens: Option<Arc<TokenSource>>,
    proxy: Option<NamedProxy>,
    /// Hides what a receiver may repeat in a response.
    redactor: Redactor,
}

/// A request that is not sent yet.
#[must_use = "a request is sent by `send`"]
pub struct RequestBuilder<'a> {
    client: &'a Client,
    request: request::Builder,
    max_response: usize,
    redactor: Cow<'a, Redactor>,
}

impl ClientSettings {
    /// The headers of every request.
    pub(crate) fn header_values(&self) -> Result<Vec<(HeaderName, HeaderValue)>, Failure> {
        let authorization = self.authorization.as_ref();
        let authorization =
            authorization.map(|authorization| ("Authorization", authorization.header()));
        let others = self.headers.iter();
        let others = others.map(|(name, value)| (name.as_str(), value.clone()));
        authorization
            .into_iter()
            .chain(others)
            .map(header)
            .collect()
    }

    /// Hides the secrets of the settings. A receiver may repeat them in a response.
    pub(crate) fn redactor(&self) -> Redactor {
        let mut redactor = Redactor::default();
        if let Some(authorization) = &self.authorization {
            hide_credentials(&mut redactor, authorization.header().reveal());
            if let Authorization::Basic { password, .. } = authorization {
                redactor.hide(password.reveal());
            }
        }
        if let Some(oauth2) = &self.oauth2 {
            oauth2.hide_in(&mut redactor);
        }
        for (name, value) in &self.headers {
            if name.eq_ignore_ascii_case("authorization") {
                hide_credentials(&mut redactor, value.reveal());
            } else {
                redactor.hide(value.reveal());
            }
        }
        redactor
    }

    /// The proxy. The message does not show its URL or the reason: they may hold a password.
    pub(crate) fn proxy(&self) -> Result<Option<Proxy>, Failure> {
        let proxy = self.proxy.as_ref().map(|proxy| Proxy::new(proxy.reveal()));
        proxy
            .transpose()
            .map_err(|_| Failure::misconfigured("`proxy` is not a URL (write `http://host:port`)"))
    }
}

impl Client {
    /// Makes a client.
    ///
    /// # Errors
    ///
    /// [`Failure::Misconfigured`] if a file, the URL of the proxy or a header cannot be used.
    pub fn new(settings: &ClientSettings) -> Result<Self, Failure> {
        let proxy = settings.proxy()?;
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(proxy.clone())
            .user_agent(settings.user_agent.as_str())
            .build();
        let connector = connector(Arc::new(settings.tls.config()?));
        let agent = Agent::with_parts(config, connector, DefaultResolver::default());
        let (oauth2, redactor) = (settings.oauth2.clone(), settings.redactor());
        Ok(Self {
            agent,
            headers: settings.header_values()?,
            proxy: proxy.as_ref().map(NamedProxy::new),
            tokens: oauth2.map(|oauth2| Arc::new(TokenSource::new(oauth2, redactor.clone()))),
            redactor,
        })
    }

    /// Hides a further secret in responses, such as a key that is sent in bodies.
    #[must_use]
    pub fn hiding(mut self, secret: &str) -> Self {
        self.redactor.hide(secret);
        self
    }

    /// Hides the path and the query of a URL in responses, also of a success: for webhooks, whose
    /// secret they are.
    #[must_use]
    pub fn hiding_path_of(mut self, url: &str) -> Self {
        if let Ok(uri) = url.parse() {
            hide_path(&mut self.redactor, &uri);
        }
        self
    }

    /// A `POST` request.
    pub fn post(&self, url: &str) -> RequestBuilder<'_> {
        self.request(Method::POST, url)
    }

    /// A `PUT` request.
    pub fn put(&self, url: &str) -> RequestBuilder<'_> {
        self.request(Method::PUT, url)
    }

    /// A `GET` request. Send it with an empty body.
    pub fn get(&self, url: &str) -> RequestBuilder<'_> {
        self.request(Method::GET, url)
    }

    /// A `PATCH` request.
    pub fn patch(&self, url: &str) -> RequestBuilder<'_> {
        self.request(Method::PATCH, url)
    }

    /// A `DELETE` request. Send it with an empty body.
    pub fn delete(&self, url: &str) -> RequestBuilder<'_> {
        self.request(Method::DELETE, url)
    }

    /// An `OPTIONS` request, which changes nothing at the receiver: for `health`.
    pub fn options(&self, url: &str) -> RequestBuilder<'_> {
        self.request(Method::OPTIONS, url)
    }

    /// A request with any method, for a library that builds requests itself.
    pub fn request(&self, method: Method, url: &str) -> RequestBuilder<'_> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        RequestBuilder {
            client: self,
            request,
            max_response: DEFAULT_MAX_RESPONSE,
            redactor: Cow::Borrowed(&self.redactor),
        }
    }

    /// Makes an attempt with a token, if the settings have client
    /// credentials, and a second one with a new token if the receiver refuses that of an earlier
    /// request. An attempt gets the time that is left.
    pub(crate) fn with_token<R>(
        &self,
        time: Duration,
        attempt: impl Fn(Option<&AccessToken>, Duration) -> Result<R, RequestError>,
        is_refused: impl Fn(&R) -> bool,
    ) -> Result<R, RequestError> {
        let Some(tokens) = &self.tokens else {
            return attempt(None, time);
        };
        let start = Instant::now();
        let left = || time.saturating_sub(start.elapsed());
        let fetch = || {
            let (request, body) = tokens.request().map_err(RequestError::not_sent)?;
            let limit = DEFAULT_MAX_RESPONSE;
            self.run(request, body.as_bytes(), left(), (limit, &self.redactor))
        };
        let attempt = |token: &AccessToken| attempt(Some(token), left());
        tokens.send(fetch, attempt, is_refused)
    }

    fn run(
        &self,
        mut request: Request<()>,
        body: &[u8],
        time: Duration,
        (max_response, redactor): (usize, &Redactor),
    ) -> Result<Response, RequestError> {
        if time.is_zero() {
            return Err(RequestError::not_sent("no time left to send"));
        }
        let time = time - MARGIN.min(time / 10);
        let mut body = TrackedBody {
            rest: body,
            is_read: false,
        };
        let length = body.rest.len();
        let uri = request.uri().clone();
        let is_plain = uri.scheme() == Some(&Scheme::HTTP);
        let headers = request.headers_mut();
        headers.insert(CONTENT_LENGTH, length.into());
        if length >= EXPECT_FROM_BYTES {
            headers.insert(EXPECT, HeaderValue::from_static("100-continue"));
        }
        let request = request.map(|()| SendBody::from_reader(&mut body));
        let request = self
            .agent
            .configure_request(request)
            .timeout_global(Some(time))
            .timeout_connect(Some(time.min(CONNECT_TIMEOUT)))
            .build();
        let answer = self.agent.run(request);
        let is_sent = body.is_read;
        let answer = answer.map(|response| Response::read(response, max_response, redactor, &uri));
        let proxy = self.proxy.as_ref();
        let answer = answer.map_err(|error| NamedProxy::error_of(proxy, &error, is_sent));
        if is_plain { over_http(answer) } else { answer }
    }
}

impl RequestBuilder<'_> {
    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// Adds a header whose value is a secret of this request, and hides it in the response.
    pub fn secret_header(mut self, name: &str, value: &str) -> Self {
        hide_credentials(self.redactor.to_mut(), value);
        self.header(name, value)
    }

    /// Sets how many bytes of the response's body are read at most; 64 KiB by default.
    pub fn max_response(mut self, bytes: usize) -> Self {
        self.max_response = bytes;
        self
    }

    /// Compresses the body, and sends the request as [`send`](Self::send) does.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    #[cfg(feature = "gzip")]
    pub fn send_compressed(
        mut self,
        body: &[u8],
        compressor: &mut BodyCompressor,
        time: Duration,
    ) -> Result<Response, RequestError> {
        if let Some(encoding) = compressor.encoding() {
            self = self.header("content-encoding", encoding);
        }
        let body = compressor.compress(body).map_err(RequestError::not_sent)?;
        self.send(body, time)
    }

    /// Sends the request and reads the response. It takes at most `time`, less a
    /// tenth of it or 250 ms, so that the caller can return in time.
    ///
    /// # Errors
    ///
    /// There is no response. [`RequestError::kind`] says whether the receiver may
    /// have the body.
    pub fn send(self, body: &[u8], time: Duration) -> Result<Response, RequestError> {
        let client = self.client;
        let request = self.request.body(()).map_err(ureq::Error::from);
        let request = request.map_err(|error| RequestError::new(&error, false))?;
        let attempt = |token: Option<&AccessToken>, time| {
            let mut request = request.clone();
            let header = token.map(|token| (AUTHORIZATION, token.header.clone()));
            request.headers_mut().extend(header);
            let redactor = token.map_or(&*self.redactor, |token| &token.redactor);
            client.run(request, body, time, (self.max_response, redactor))
        };
        client.with_token(time, attempt, |response| response.status() == 401)
    }

    /// Sends the request without a body, and returns when the response begins: its body is read as
    /// it arrives. Without the credentials of `oauth2`.
    ///
    /// The response must begin within `wait`, and the stream ends with an error after `lifetime`,
    /// so that a connection that broke without a sign is noticed.
    ///
    /// # Errors
    ///
    /// There is no response.
    pub fn open(self, wait: Duration, lifetime: Duration) -> Result<ResponseStream, RequestError> {
        let request = self.request.body(SendBody::none());
        let request = request.map_err(ureq::Error::from);
        let request = request.map_err(|error| RequestError::new(&error, false))?;
        let request = self
            .client
            .agent
            .configure_request(request)
            .timeout_global(Some(lifetime))
            .timeout_connect(Some(wait.min(CONNECT_TIMEOUT)))
            .timeout_recv_response(Some(wait))
            .build();
        let response = self.client.agent.run(request);
        let proxy = self.client.proxy.as_ref();
        let response = response.map_err(|error| NamedProxy::error_of(proxy, &error, true))?;
        Ok(ResponseStream::new(response))
    }
}

/// The value is in no message and in no debug form.
fn header((name, value): (&str, Secret)) -> Result<(HeaderName, HeaderValue), Failure> {
    let refused = |reason| Failure::misconfigured(format!("the header `{name}` {reason}"));
    let key = HeaderName::from_bytes(name.as_bytes());
    let key = key.map_err(|_| refused("has no valid name (write A-Z, a-z, 0-9 and `-`)"))?;
    let value = HeaderValue::from_str(value.reveal());
    let mut value = value.map_err(|_| refused("cannot be sent (write printable ASCII)"))?;
    value.set_sensitive(true);
    Ok((key, value))
}

/// Hides the credentials of a header: what follows the scheme, or all of it.
pub(super) fn hide_credentials(redactor: &mut Redactor, header: &str) {
    let credentials = header.split_once(' ');
    redactor.hide(credentials.map_or(header, |(_, credentials)| credentials));
}

/// A body that remembers whether the client has read any of it.
struct TrackedBody<'a> {
    rest: &'a [u8],
    is_read: bool,
}

impl Read for TrackedBody<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.is_read = true;
        self.rest.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_cannot_be_sent_are_refused_and_not_shown() {
        let refused = |name: &str, value: &str| {
            let settings = ClientSettings {
                headers: vec![(name.to_owned(), Secret::new(value))],
                ..ClientSettings::default()
            };
            let failure = Client::new(&settings).err().map(|error| error.to_string());
            assert!(
                failure
                    .as_ref()
                    .is_none_or(|text| !text.contains("hunter2"))
            );
            failure.unwrap_or_default()
        };
        assert_eq!(refused("X-Api-Key", "hunter2"), "");
        assert!(refused("X Api", "hunter2").contains("no valid name"));
        assert!(refused("X-Api-Key", "hunter2\n").contains("cannot be sent"));
        let settings = ClientSettings {
            authorization: Some(Authorization::Other {
                scheme: "ApiKey".to_owned(),
                credentials: Secret::new("hunter2\r\nX: y"),
            }),
            ..ClientSettings::default()
        };
        let error = Client::new(&settings).err().map(|error| error.to_string());
        let text = "the header `Authorization` cannot be sent (write printable ASCII)";
        assert_eq!(error.as_deref(), Some(text));
    }

    #[test]
    fn secrets_that_a_receiver_repeats_are_hidden() {
        let shown = |settings: &ClientSettings, body: &[u8]| {
            let body = settings.redactor().redact_bytes(body.to_vec());
            String::from_utf8_lossy(&body).into_owned()
        };
        let basic = ClientSettings {
            authorization: Some(Authorization::Basic {
                username: "u".to_owned(),
                password: Secret::new("hunter2"),
            }),
            ..ClientSettings::default()
        };
        // The end of a body that is cut off may be a part of a character.
        let body = b"got Basic dTpodW50ZXIy, dTpodW50ZXIy, u:hunter2 \xe2\x82";
        assert_eq!(shown(&basic, body), "got Basic ***, ***, u:*** \u{fffd}");
        let header = |name: &str, value: &str| ClientSettings {
            headers: vec![(name.to_owned(), Secret::new(value))],
            ..ClientSettings::default()
        };
        let own = header("authorization", "ApiKey hunter2");
        assert_eq!(shown(&own, b"ApiKey hunter2?"), "ApiKey ***?");
        let key = header("X-Api-Key", "hunter2 hunter3");
        assert_eq!(shown(&key, b"X-Api-Key: hunter2 hunter3"), "X-Api-Key: ***");
    }

    #[test]
    fn the_path_and_the_query_of_a_webhook_are_its_secret() {
        let check = |url: &str, text: &str, shown: &str| {
            let client = Client::new(&ClientSettings::default()).ok().unwrap();
            assert_eq!(client.hiding_path_of(url).redactor.redact(text), shown);
        };
        let slack = "https://hooks.slack.com/services/T0/B0/x";
        check(slack, "POST /services/T0/B0/x", "POST ***");
        check(
            "https://example.com:443/w?sig=x",
            "POST /w?sig=x",
            "POST ***",
        );
        check("https://example.com?sig=x", "POST /?sig=x", "POST /***");
        check("https://example.com", "POST /", "POST /");
    }
}
