//! Talks to the running host.
//!
//! An answer is taken only if a host gave it: what a proxy or another server
//! says is never shown as the host's own words. Nothing waits for ever.

use std::{
    io::{self, Read},
    net::IpAddr,
    time::Duration,
};

use serde::{Deserialize, de::DeserializeOwned};
use ureq::{
    Agent, Body, SendBody,
    http::{Response, StatusCode, Uri},
};

const CONNECT: Duration = Duration::from_secs(5);

/// How long either side may be silent: a batch is answered once it is durable.
const SILENCE: Duration = Duration::from_secs(60);

/// The running host, as seen from outside.
pub struct Api {
    url: String,
    agent: Agent,
}

/// Why there is no answer to show.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// Nobody answered.
    #[error(
        "cannot reach the host at `{url}`: {reason} \
         (start it with `delfin-host run`, or name its address with `--host`)"
    )]
    Unreachable {
        /// Where it was looked for.
        url: String,
        /// What happened instead.
        reason: String,
    },

    /// Somebody was there and went away: nobody knows what became of the request.
    #[error(
        "the host at `{url}` hung up before it answered: {reason} (its log says why; ask again)"
    )]
    Cut {
        /// Where it is.
        url: String,
        /// What happened.
        reason: String,
    },

    /// The host answered no.
    #[error("{message}")]
    Refused {
        /// Its words.
        message: String,
    },

    /// Somebody answered, but no host of this version.
    #[error(
        "`{url}` gave an answer that a delfin-host would not give: {reason} (is it the right address?)"
    )]
    Foreign {
        /// What was asked.
        url: String,
        /// What is odd about it.
        reason: String,
    },
}

/// Something to hand in.
pub(super) struct Upload<'a> {
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: &'a mut dyn Read,
}

#[derive(Deserialize)]
struct Refusal {
    error_msg: String,
}

impl Api {
    /// The host at this address; nothing is sent yet.
    #[must_use]
    pub fn new(url: &str) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_resolve(Some(CONNECT))
            .timeout_connect(Some(CONNECT))
            .timeout_per_read(Some(SILENCE))
            .timeout_per_write(Some(SILENCE));
        // A proxy that is set for the world would look for this host in its own machine.
        let config = if is_loopback(url) {
            config.proxy(None)
        } else {
            config
        };
        Self {
            url: url.to_owned(),
            agent: config.build().new_agent(),
        }
    }

    /// Asks for a resource.
    ///
    /// # Errors
    ///
    /// When there is no answer, or it is no.
    pub fn get(&self, path: &str) -> Result<String, ApiError> {
        let url = format!("{}{path}", self.url);
        self.answer(path, self.agent.get(&url).call())
    }

    /// Hands something in.
    pub(super) fn post(&self, path: &str, upload: Upload<'_>) -> Result<String, ApiError> {
        let mut request = self.agent.post(format!("{}{path}", self.url));
        for (name, value) in upload.headers {
            request = request.header(name, value);
        }
        self.answer(path, request.send(SendBody::from_reader(upload.body)))
    }

    /// Hands JSON in.
    pub(super) fn post_json(&self, path: &str, body: &str) -> Result<String, ApiError> {
        let headers = vec![
            ("Content-Type", "application/json".to_owned()),
            ("Content-Length", body.len().to_string()),
        ];
        let body = &mut body.as_bytes();
        self.post(path, Upload { headers, body })
    }

    /// Removes a resource.
    pub(super) fn delete(&self, path: &str) -> Result<String, ApiError> {
        let url = format!("{}{path}", self.url);
        self.answer(path, self.agent.delete(&url).call())
    }

    /// Reads an answer that [`Self::get`] gave.
    ///
    /// # Errors
    ///
    /// When it is not of that form.
    pub fn parse<T: DeserializeOwned>(&self, path: &str, answer: &str) -> Result<T, ApiError> {
        serde_json::from_str(answer).map_err(|error| self.foreign(path, error.to_string()))
    }

    fn answer(
        &self,
        path: &str,
        response: Result<Response<Body>, ureq::Error>,
    ) -> Result<String, ApiError> {
        let mut response = response.map_err(|error| self.silent(&error))?;
        let status = response.status();
        let text = response.body_mut().read_to_string();
        let text = text.map_err(|error| self.silent(&error))?;
        if status.is_success() {
            return Ok(text);
        }
        Err(match serde_json::from_str::<Refusal>(&text) {
            Ok(refusal) => ApiError::Refused {
                message: refusal.error_msg,
            },
            Err(_) => self.foreign(path, said(status)),
        })
    }

    fn silent(&self, error: &ureq::Error) -> ApiError {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};

        let url = self.url.clone();
        let ureq::Error::Io(error) = error else {
            let reason = error.to_string();
            return ApiError::Unreachable { url, reason };
        };
        let reason = in_words(error);
        if [
            BrokenPipe,
            ConnectionAborted,
            ConnectionReset,
            UnexpectedEof,
        ]
        .contains(&error.kind())
        {
            return ApiError::Cut { url, reason };
        }
        ApiError::Unreachable { url, reason }
    }

    fn foreign(&self, path: &str, reason: String) -> ApiError {
        ApiError::Foreign {
            url: format!("{}{path}", self.url),
            reason,
        }
    }
}

fn said(status: StatusCode) -> String {
    format!("status {status}")
}

/// `connection refused`, where the system would add its number.
fn in_words(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(_) => error.kind().to_string(),
        None => error.to_string(),
    }
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
