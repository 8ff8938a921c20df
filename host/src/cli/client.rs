//! The HTTP client for the API of the running host.
//!
//! Only a response in the host's format is shown as the host's words: an error page
//! of a proxy or another server is not. Every wait has a timeout.

mod local;

use std::{
    fmt::Write as _,
    io::{self, BufRead, BufReader, Read},
    net::IpAddr,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use delfin_plugin_api::{
    Failure,
    http::{Tls, connector},
    tls::reason_of,
};
use serde::{Deserialize, de::DeserializeOwned};
use ureq::{
    Agent, Body, RequestBuilder, SendBody,
    config::ConfigBuilder,
    http::{HeaderValue, Response, Uri, header::AUTHORIZATION},
    typestate::AgentScope,
    unversioned::resolver::DefaultResolver,
};

use self::local::LocalConnector;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest time without a byte in either direction. The host responds to a
/// batch when the batch is durable.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// A client of one host.
pub(super) struct HostClient {
    /// The begin of the URL of each request.
    base: String,
    /// The address for messages.
    shown: String,
    authorization: Option<HeaderValue>,
    agent: Agent,
}

/// Why a request to the host failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error(
        "cannot reach the host at `{url}`: {reason} \
         (start it with `delfin-host run`, or set its address with `--host`)"
    )]
    Unreachable { url: String, reason: String },

    /// It is unknown whether the host has processed the request.
    #[error(
        "the host at `{url}` closed the connection before it responded: {reason} \
         (see its log, then retry)"
    )]
    Disconnected { url: String, reason: String },

    /// The host refused the request.
    #[error("{message}")]
    Refused {
        /// The name of the error.
        code: String,
        message: String,
        /// What is wrong with the body of the request, if the host refused it for that.
        body_fault: Option<String>,
    },

    /// The response is not from a host of this version.
    #[error("unexpected response from `{url}`: {reason} (does delfin-host run at this address?)")]
    Unexpected { url: String, reason: String },
}

/// The body of a request, and its headers.
pub(super) struct Upload<'a> {
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: &'a mut dyn Read,
}

/// The host's error format.
#[derive(Deserialize)]
struct ErrorMessage {
    #[serde(default)]
    error_code: String,
    error_msg: String,
    #[serde(default)]
    error_args: Vec<String>,
}

/// The errors whose first argument says what is wrong with the body.
const BODY_FAULTS: [&str; 4] = [
    "InvalidContentType",
    "InvalidInput",
    "MalformedRequestBody",
    "RequestBodyTooLarge",
];

/// The host wants a token, or does not know the one that it got.
const UNAUTHORIZED: &str = "Unauthorized";

impl HostClient {
    /// A client of the host at a URL. Sends nothing yet. Each request has this header
    /// `Authorization`.
    pub(super) fn network(
        url: &str,
        tls: &Tls,
        authorization: Option<HeaderValue>,
    ) -> Result<Self, Failure> {
        // A proxy from the environment would look for a loopback address on its own machine.
        let config = if is_loopback(url) {
            config().proxy(None)
        } else {
            config()
        };
        let agent = if url.starts_with("https:") {
            let tls = tls.config()?;
            let connector = connector(Arc::new(tls));
            Agent::with_parts(config.build(), connector, DefaultResolver::default())
        } else {
            config.build().new_agent()
        };
        Ok(Self {
            base: url.to_owned(),
            shown: url.to_owned(),
            authorization,
            agent,
        })
    }

    /// A client of the host that listens at a socket.
    pub(super) fn local(socket: PathBuf, authorization: Option<HeaderValue>) -> Self {
        let shown = format!("unix:{}", socket.display());
        let config = config().proxy(None).build();
        let resolver = DefaultResolver::default();
        Self {
            base: "http://127.0.0.1".to_owned(),
            shown,
            authorization,
            agent: Agent::with_parts(config, LocalConnector(socket), resolver),
        }
    }

    /// The address of the host, for messages.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    pub(super) fn get(&self, path: &str) -> Result<String, ClientError> {
        let request = self.agent.get(format!("{}{path}", self.base));
        self.read_response(path, self.authorize(request).call())
    }

    /// Reads a response that has one document a line, and goes on for as long as the host sends.
    pub(super) fn get_lines<E: From<ClientError>>(
        &self,
        path: &str,
        mut on_line: impl FnMut(&str) -> Result<(), E>,
    ) -> Result<(), E> {
        let request = self.agent.get(format!("{}{path}", self.base));
        let response = self.authorize(request).call();
        let response = match response {
            Ok(response) if response.status().is_success() => response,
            other => {
                return self.read_response(path, other).map(drop).map_err(E::from);
            }
        };
        for line in BufReader::new(response.into_body().into_reader()).lines() {
            on_line(&line.map_err(|error| self.no_response(&ureq::Error::Io(error)))?)?;
        }
        Ok(())
    }

    pub(super) fn post(&self, path: &str, upload: Upload<'_>) -> Result<String, ClientError> {
        let request = self.agent.post(format!("{}{path}", self.base));
        let mut request = self.authorize(request);
        for (name, value) in upload.headers {
            request = request.header(name, value);
        }
        self.read_response(path, request.send(SendBody::from_reader(upload.body)))
    }

    pub(super) fn post_json(&self, path: &str, body: &str) -> Result<String, ClientError> {
        let headers = vec![
            ("Content-Type", "application/json".to_owned()),
            ("Content-Length", body.len().to_string()),
        ];
        let body = &mut body.as_bytes();
        self.post(path, Upload { headers, body })
    }

    pub(super) fn put_json(&self, path: &str, body: &str) -> Result<String, ClientError> {
        let request = self.agent.put(format!("{}{path}", self.base));
        let request = self
            .authorize(request)
            .header("Content-Type", "application/json");
        self.read_response(path, request.send(body))
    }

    pub(super) fn delete(&self, path: &str) -> Result<String, ClientError> {
        let request = self.agent.delete(format!("{}{path}", self.base));
        self.read_response(path, self.authorize(request).call())
    }

    fn authorize<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        match &self.authorization {
            Some(value) => request.header(AUTHORIZATION, value),
            None => request,
        }
    }

    /// Reads the JSON of a response to a request for `path`.
    pub(super) fn parse<T: DeserializeOwned>(
        &self,
        path: &str,
        response: &str,
    ) -> Result<T, ClientError> {
        serde_json::from_str(response).map_err(|error| self.unexpected(path, error.to_string()))
    }

    fn read_response(
        &self,
        path: &str,
        response: Result<Response<Body>, ureq::Error>,
    ) -> Result<String, ClientError> {
        let mut response = response.map_err(|error| self.no_response(&error))?;
        let status = response.status();
        let text = response.body_mut().read_to_string();
        let text = text.map_err(|error| self.no_response(&error))?;
        if status.is_success() {
            return Ok(text);
        }
        Err(match serde_json::from_str(&text) {
            Ok(ErrorMessage {
                error_code,
                error_msg,
                error_args,
            }) => ClientError::Refused {
                message: match &*error_args {
                    _ if error_code == UNAUTHORIZED => {
                        format!("{error_msg} Give the token with `--token-file` or `DELFIN_TOKEN`.")
                    }
                    // The text of this error is only an introduction.
                    [detail] if error_code == "InvalidInput" => detail.clone(),
                    _ => error_msg,
                },
                body_fault: error_args
                    .into_iter()
                    .next()
                    .filter(|_| BODY_FAULTS.contains(&error_code.as_str())),
                code: error_code,
            },
            Err(_) => self.unexpected(path, format!("status {status}")),
        })
    }

    fn no_response(&self, error: &ureq::Error) -> ClientError {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};

        let url = self.shown.clone();
        let ureq::Error::Io(error) = error else {
            let reason = error.to_string();
            return ClientError::Unreachable { url, reason };
        };
        if let Some(reason) = reason_of(error) {
            return ClientError::Unreachable { url, reason };
        }
        // `connection refused`, without the number that the system adds.
        let reason = match error.raw_os_error() {
            Some(_) => error.kind().to_string(),
            None => error.to_string(),
        };
        let disconnected = [
            BrokenPipe,
            ConnectionAborted,
            ConnectionReset,
            UnexpectedEof,
        ];
        if disconnected.contains(&error.kind()) {
            return ClientError::Disconnected { url, reason };
        }
        ClientError::Unreachable { url, reason }
    }

    fn unexpected(&self, path: &str, reason: String) -> ClientError {
        ClientError::Unexpected {
            url: format!("{}{path}", self.shown),
            reason,
        }
    }
}

fn config() -> ConfigBuilder<AgentScope> {
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_resolve(Some(CONNECT_TIMEOUT))
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_per_read(Some(IDLE_TIMEOUT))
        .timeout_per_write(Some(IDLE_TIMEOUT))
}

/// Percent-encodes a value for a query.
pub(super) fn encode(value: &str) -> String {
    let mut text = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

fn is_loopback(url: &str) -> bool {
    let uri: Option<Uri> = url.parse().ok();
    let Some(host) = uri.as_ref().and_then(Uri::host) else {
        return false;
    };
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
pub(super) mod tests;
