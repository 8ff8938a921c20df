//! What came back, or why nothing did.

use std::{
    fmt,
    io::{ErrorKind, Read},
};

use ureq::{
    Body, Timeout,
    http::{
        HeaderName, Response,
        header::{CONTENT_TYPE, RETRY_AFTER},
    },
};

use super::NoAnswer;
use crate::Failure;

/// How much of an answer is worth showing.
const MAX_WORDS: usize = 500;

/// An answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    status: u16,
    retry_after: Option<String>,
    content_type: Option<String>,
    body: Vec<u8>,
    whole: bool,
}

/// Why there is no answer. Shown, it does not name the receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unanswered {
    /// What went wrong.
    pub cause: NoAnswer,
    /// The reason, in words.
    pub reason: String,
}

impl Answer {
    /// Reads as much of an answer as `limit` says, and then a byte.
    pub(super) fn read(mut response: Response<Body>, limit: usize) -> Self {
        let header = |name: HeaderName| {
            let value = response.headers().get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        let (retry_after, content_type) = (header(RETRY_AFTER), header(CONTENT_TYPE));
        let mut body = Vec::new();
        let reader = response.body_mut().as_reader();
        let read = reader.take(limit as u64 + 1).read_to_end(&mut body);
        let whole = read.is_ok() && body.len() <= limit;
        body.truncate(limit);
        Self {
            status: response.status().as_u16(),
            retry_after,
            content_type,
            body,
            whole,
        }
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Whether the receiver has what it was sent.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether it says that it is JSON.
    #[must_use]
    pub fn is_json(&self) -> bool {
        let kind = self.content_type.as_deref().unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        let kind = kind.to_ascii_lowercase();
        kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
    }

    /// What it says, unless that is longer than was to be read.
    #[must_use]
    pub fn body(&self) -> Option<&[u8]> {
        self.whole.then_some(&*self.body)
    }

    /// The beginning of what it says, on one line.
    #[must_use]
    pub fn words(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let text = text.trim().trim_matches('"').chars().take(MAX_WORDS);
        text.map(|c| if c.is_control() { ' ' } else { c }).collect()
    }

    /// What it means, if it is no success; `receiver` is the name to show.
    #[must_use]
    pub fn failure(&self, receiver: &str) -> Failure {
        super::failure(
            self.status,
            self.retry_after.as_deref(),
            self.message(receiver),
        )
    }

    /// The receiver, the status, and what it says.
    #[must_use]
    pub fn message(&self, receiver: &str) -> String {
        let (status, words) = (self.status, self.words());
        if words.is_empty() {
            return format!("`{receiver}` answers {status}");
        }
        format!("`{receiver}` answers {status}: {words}")
    }
}

impl Unanswered {
    pub(super) fn late() -> Self {
        Self {
            cause: NoAnswer::NotSent,
            reason: "no time left to send".to_owned(),
        }
    }

    /// `sent` is whether any of the body was taken to be sent.
    pub(super) fn new(error: &ureq::Error, sent: bool) -> Self {
        let otherwise = if sent {
            NoAnswer::Lost
        } else {
            NoAnswer::NotSent
        };
        let cause = match error {
            ureq::Error::Tls(_) | ureq::Error::Rustls(_) | ureq::Error::Pem(_) => {
                NoAnswer::Untrusted
            }
            ureq::Error::Io(error) if is_tls(error) => NoAnswer::Untrusted,
            // Only writing fails so. What is shorter than its length says is
            // nothing that a receiver could have taken in.
            ureq::Error::Io(error) if error.kind() == ErrorKind::BrokenPipe => NoAnswer::NotSent,
            ureq::Error::BadUri(_) | ureq::Error::Http(_) | ureq::Error::InvalidProxyUrl => {
                NoAnswer::BadAddress
            }
            ureq::Error::Protocol(_) | ureq::Error::LargeResponseHeader(_, _) => NoAnswer::NotHttp,
            ureq::Error::ConnectProxyFailed(reason) if is_forbidden(reason) => NoAnswer::Forbidden,
            // Whatever else it is, it was not an answer.
            _ => otherwise,
        };
        Self {
            cause,
            reason: reason(error, sent),
        }
    }

    /// What it means; `receiver` is the name to show. One that does no harm by
    /// coming twice should report [`NoAnswer::Lost`] as [`Failure::retry`].
    #[must_use]
    pub fn failure(&self, receiver: &str) -> Failure {
        self.cause.failure(format!("`{receiver}`: {self}"))
    }
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

fn is_tls(error: &std::io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(|inner| inner.is::<rustls::Error>())
}

/// That the proxy wants other credentials, or does not like the receiver. There
/// is no other trace of its status than these words.
fn is_forbidden(reason: &str) -> bool {
    ["responded 401", "responded 403", "responded 407"]
        .iter()
        .any(|words| reason.contains(words))
}

fn reason(error: &ureq::Error, sent: bool) -> String {
    match error {
        ureq::Error::Io(error) if error.kind() == ErrorKind::BrokenPipe => {
            "the connection was closed before all was sent (over TLS, the receiver may want \
             another client certificate)"
                .to_owned()
        }
        ureq::Error::Io(error) => error.to_string(),
        ureq::Error::Timeout(Timeout::Connect | Timeout::Resolve) => {
            "cannot be connected to in time".to_owned()
        }
        ureq::Error::Timeout(_) if sent => "does not answer in time".to_owned(),
        ureq::Error::Timeout(_) => "cannot be connected to in time".to_owned(),
        ureq::Error::HostNotFound => "the host's name is unknown".to_owned(),
        ureq::Error::ConnectProxyFailed(reason) => format!("no way through the proxy: {reason}"),
        ureq::Error::Protocol(error) => {
            format!("does not speak HTTP (is it https, or another port?): {error}")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, content_type: &str, body: &str) -> Answer {
        Answer {
            status,
            retry_after: None,
            content_type: Some(content_type.to_owned()),
            body: body.as_bytes().to_vec(),
            whole: true,
        }
    }

    #[test]
    fn an_answer_is_shown_on_one_line_and_not_at_length() {
        let show = |body: &str| answer(500, "", body).message("http://a");
        assert_eq!(show(""), "`http://a` answers 500");
        assert_eq!(show("\"no\nroom\"\r\n"), "`http://a` answers 500: no room");
        assert_eq!(show(&"x".repeat(9999)).len(), 24 + MAX_WORDS);
    }

    #[test]
    fn json_is_known_by_its_media_type() {
        for (kind, json) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/problem+json", true),
            ("text/html", false),
            ("", false),
        ] {
            assert_eq!(answer(200, kind, "").is_json(), json, "{kind}");
        }
    }

    #[test]
    fn whether_anything_was_sent_tells_a_lost_request_from_one_that_never_left() {
        let broken = || ureq::Error::Io(ErrorKind::ConnectionReset.into());
        let cut_short = || ureq::Error::Io(ErrorKind::BrokenPipe.into());
        let late = || ureq::Error::Timeout(Timeout::Global);
        for (error, sent, cause) in [
            (broken(), true, NoAnswer::Lost),
            (broken(), false, NoAnswer::NotSent),
            (cut_short(), true, NoAnswer::NotSent),
            (late(), true, NoAnswer::Lost),
            (late(), false, NoAnswer::NotSent),
            (ureq::Error::HostNotFound, false, NoAnswer::NotSent),
            (ureq::Error::Tls("no"), false, NoAnswer::Untrusted),
            (
                ureq::Error::BadUri("no".to_owned()),
                false,
                NoAnswer::BadAddress,
            ),
        ] {
            assert_eq!(Unanswered::new(&error, sent).cause, cause, "{error:?}");
        }
    }
}
