//! A response, or the error of a request without a response.

use std::{
    fmt,
    io::{self, Read},
};

use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::{
    Body, Timeout,
    http::{
        HeaderMap, Uri,
        header::{CONTENT_TYPE, RETRY_AFTER},
        uri::PathAndQuery,
    },
};

use super::ErrorKind;
use crate::{Failure, Outcome, redact::Redactor, text::excerpt, tls, unreachable};

/// The number of characters of a body that a message shows.
const MAX_TEXT_CHARS: usize = 500;

const NO_ANSWER: &str = "does not answer in time";
const CLOSED: &str = "closed the connection without an answer";

/// A response of any status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
    end: BodyEnd,
}

/// Why the reading of a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyEnd {
    /// The body is complete.
    Complete,
    /// The body is longer than the limit of the request.
    TooLong,
    /// The connection broke, or the time was over.
    CutOff,
}

/// A response whose body is read as it arrives.
pub struct ResponseStream {
    status: u16,
    headers: HeaderMap,
    body: ureq::BodyReader<'static>,
}

/// Why a request has no response. Its text does not name the receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestError {
    /// What went wrong.
    pub kind: ErrorKind,
    /// The reason, for a message.
    pub reason: String,
}

impl Response {
    /// Reads a response, and at most `limit` bytes of its body. Reading one byte more
    /// tells a body of exactly that length from a longer one.
    pub(super) fn read(
        mut response: ureq::http::Response<Body>,
        limit: usize,
        redactor: &Redactor,
        uri: &Uri,
    ) -> Self {
        let mut body = Vec::new();
        let reader = response.body_mut().as_reader();
        let read = reader.take(limit as u64 + 1).read_to_end(&mut body);
        let end = match read {
            _ if body.len() > limit => BodyEnd::TooLong,
            Ok(_) => BodyEnd::Complete,
            Err(_) => BodyEnd::CutOff,
        };
        body.truncate(limit);
        let status = response.status();
        let mut body = redactor.redact_bytes(body);
        if !status.is_success() {
            body = redactor_of(uri).redact_bytes(body);
        }
        Self {
            status: status.as_u16(),
            headers: std::mem::take(response.headers_mut()),
            body,
            end,
        }
    }

    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Whether the status is 200 to 299.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The value of a header; `None` if the response does not have it, or if it is no text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// All headers, for a library that reads responses itself.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Whether the `Content-Type` is JSON.
    #[must_use]
    pub fn is_json(&self) -> bool {
        let kind = self.media_type();
        kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
    }

    /// Whether the response is a web page: a sign-in form or a start page, which a
    /// proxy or another service sends with the status 200.
    #[must_use]
    pub fn is_web_page(&self) -> bool {
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(64)]);
        let text = text.trim_start_matches('\u{feff}').trim_start();
        let text = text.to_ascii_lowercase();
        let starts = ["<!doctype html", "<html", "<head", "<body"];
        starts.iter().any(|start| text.starts_with(start))
            || (self.media_type() == "text/html" && text.starts_with('<'))
    }

    /// Whether the body is JSON that says that the request has failed.
    #[must_use]
    pub fn reports_error(&self) -> bool {
        serde_json::from_slice(&self.body).is_ok_and(|json| reports_error(&json))
    }

    /// The body as JSON; `None` if it is something else, or not complete.
    #[must_use]
    pub fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(self.body()?).ok()
    }

    /// The body; `None` if it is longer than the request's `max_response`, or cut off.
    #[must_use]
    pub fn body(&self) -> Option<&[u8]> {
        (self.end == BodyEnd::Complete).then_some(&*self.body)
    }

    /// The beginning of the body, up to the request's `max_response`.
    #[must_use]
    pub fn beginning(&self) -> &[u8] {
        &self.body
    }

    /// Whether the connection broke, or the time was over, before the end of the body.
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        self.end == BodyEnd::CutOff
    }

    /// The beginning of the body, on one line, for a message.
    #[must_use]
    pub fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let words: Vec<_> = text.trim().trim_matches('"').split_whitespace().collect();
        excerpt(&words.join(" "), MAX_TEXT_CHARS)
    }

    fn media_type(&self) -> String {
        let kind = self.header(CONTENT_TYPE.as_str()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default();
        kind.trim().to_ascii_lowercase()
    }

    /// Whether a server with TLS says that the request came without it: those of Go, nginx, Apache
    /// and Java.
    fn wants_https(&self) -> bool {
        const SENTENCES: [&str; 4] = [
            "HTTP request to an HTTPS server",
            "plain HTTP request was sent to HTTPS port",
            "speaking plain HTTP to an SSL-enabled server port",
            "This combination of host and port requires TLS",
        ];
        let text = String::from_utf8_lossy(&self.body);
        self.status == 400 && SENTENCES.iter().any(|sentence| text.contains(sentence))
    }

    /// The failure that the status means; do not call it on a success. `receiver` is
    /// the name that the message shows.
    #[must_use]
    pub fn failure(&self, receiver: &str) -> Failure {
        super::failure(
            self.status,
            self.header(RETRY_AFTER.as_str()),
            self.message(receiver),
        )
    }

    /// The failure of a response that `product` does not send, but another server, or a proxy that
    /// asks for a sign-in.
    #[must_use]
    pub fn foreign(&self, receiver: &str, product: &str) -> Failure {
        Failure::misconfigured(self.foreign_message(receiver, product))
    }

    /// The same for a response to `health` that `product` may send after all: `check` fails, but
    /// rows are not held back.
    #[must_use]
    pub fn foreign_health(&self, receiver: &str, product: &str) -> Failure {
        Failure::rejected(self.foreign_message(receiver, product))
    }

    fn foreign_message(&self, receiver: &str, product: &str) -> String {
        let page = if self.is_web_page() {
            "a web page, "
        } else {
            ""
        };
        format!(
            "{} ({page}not a response of {product}: check the URL, and whether a proxy asks for a \
             sign-in)",
            self.message(receiver)
        )
    }

    /// What the response to `OPTIONS` says of `product`'s health.
    ///
    /// Many receivers do not support `OPTIONS`. So only a response about the credentials, one of a
    /// gateway, and a web page in place of the receiver are failures.
    ///
    /// # Errors
    ///
    /// The response is one of these.
    pub fn of_options(&self, receiver: &str, product: &str) -> Outcome {
        match self.status {
            401 | 407 | 429 | 502..=504 | 511 => Err(self.failure(receiver)),
            200..=299 if self.is_web_page() => Err(self.foreign_health(receiver, product)),
            _ => Ok(()),
        }
    }

    /// The receiver, the status and the beginning of the body, for a message.
    #[must_use]
    pub fn message(&self, receiver: &str) -> String {
        let (status, text) = (self.status, self.text());
        if text.is_empty() {
            return format!("`{receiver}` answers {status}");
        }
        format!("`{receiver}` answers {status}: {text}")
    }
}

impl ResponseStream {
    pub(super) fn new(response: ureq::http::Response<Body>) -> Self {
        let (head, body) = response.into_parts();
        Self {
            status: head.status.as_u16(),
            headers: head.headers,
            body: body.into_reader(),
        }
    }

    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The value of a header; `None` if the response does not have it, or if it is no text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Read for ResponseStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.body.read(buffer)
    }
}

impl RequestError {
    pub(crate) fn not_sent(reason: impl ToString) -> Self {
        Self {
            kind: ErrorKind::NotSent,
            reason: reason.to_string(),
        }
    }

    /// `sent` is whether the client has read any of the body to send it.
    pub(crate) fn new(error: &ureq::Error, sent: bool) -> Self {
        let by_progress = if sent {
            ErrorKind::NoResponse
        } else {
            ErrorKind::NotSent
        };
        let kind = match error {
            ureq::Error::Io(error) if tls_error(error).is_some() => ErrorKind::Untrusted,
            // Only a write fails with this error, so the body was not sent to its end.
            // A receiver cannot accept a body that is shorter than its length says.
            ureq::Error::Io(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                ErrorKind::NotSent
            }
            ureq::Error::BadUri(_) | ureq::Error::Http(_) | ureq::Error::InvalidProxyUrl => {
                ErrorKind::InvalidUrl
            }
            ureq::Error::Protocol(_) | ureq::Error::LargeResponseHeader(_, _) => ErrorKind::NotHttp,
            // Every other error means only that there was no response.
            _ => by_progress,
        };
        Self {
            kind,
            reason: reason(error, sent),
        }
    }

    /// Like [`failure`](Self::failure), for a receiver that accepts the same rows twice without
    /// harm: they are sent again if it may have them.
    #[must_use]
    pub fn repeatable_failure(&self, receiver: &str) -> Failure {
        match self.kind {
            ErrorKind::NoResponse => Failure::retry(format!("`{receiver}`: {self}")),
            ErrorKind::NotSent
            | ErrorKind::Untrusted
            | ErrorKind::InvalidUrl
            | ErrorKind::NotHttp
            | ErrorKind::Forbidden => self.failure(receiver),
        }
    }

    /// The failure that the error means; see [`ErrorKind::failure`]. `receiver` is the
    /// name that the message shows.
    #[must_use]
    pub fn failure(&self, receiver: &str) -> Failure {
        self.kind.failure(format!("`{receiver}`: {self}"))
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

/// Completes the answer to a request without TLS, if the receiver seems to have TLS at this port:
/// some servers say so in HTTP, and the others close the connection.
pub(super) fn over_http(answer: Result<Response, RequestError>) -> Result<Response, RequestError> {
    match answer {
        Ok(response) if response.wants_https() => Err(RequestError {
            kind: ErrorKind::NotHttp,
            reason: "has TLS at this port (connect with `https`)".to_owned(),
        }),
        Err(RequestError { kind, reason }) if reason == CLOSED => Err(RequestError {
            kind,
            reason: format!("{reason} (if it has TLS at this port, connect with `https`)"),
        }),
        answer => answer,
    }
}

/// Hides the path and the query of a request, which can be secret: some servers repeat them in an error.
fn redactor_of(uri: &Uri) -> Redactor {
    let mut redactor = Redactor::default();
    hide_path(&mut redactor, uri);
    redactor
}

/// Hides the path and the query of a URL, each and together.
pub(super) fn hide_path(redactor: &mut Redactor, uri: &Uri) {
    let whole = uri.path_and_query().map(PathAndQuery::as_str);
    for secret in [whole, Some(uri.path()), uri.query()].into_iter().flatten() {
        redactor.hide(secret);
    }
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn reason(error: &ureq::Error, sent: bool) -> String {
    match error {
        ureq::Error::Io(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            "the connection was closed before all was sent (over TLS, the receiver may want \
             another client certificate)"
                .to_owned()
        }
        ureq::Error::Io(error) => match tls_error(error) {
            Some(error) => tls::reason(error),
            None if sent && error.kind() == io::ErrorKind::TimedOut => NO_ANSWER.to_owned(),
            None if is_closed(error) => CLOSED.to_owned(),
            None => unreachable::reason(error),
        },
        ureq::Error::Timeout(Timeout::Connect | Timeout::Resolve) => {
            unreachable::NOT_IN_TIME.to_owned()
        }
        ureq::Error::Timeout(_) => NO_ANSWER.to_owned(),
        ureq::Error::HostNotFound => unreachable::HOST_UNKNOWN.to_owned(),
        ureq::Error::Protocol(error) => {
            format!("does not speak HTTP: {error} (check the port, and whether it wants `https`)")
        }
        other => other.to_string(),
    }
}

fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | UnexpectedEof
    )
}

/// Whether a JSON text has a status or a key that says that the request has failed.
fn reports_error(json: &Value) -> bool {
    let names_error = ["error", "errors", "errorType", "error_code"]
        .iter()
        .any(|key| match &json[*key] {
            Value::Null | Value::Bool(false) => false,
            Value::String(text) => !text.is_empty(),
            Value::Array(list) => !list.is_empty(),
            Value::Number(number) => number.as_f64() != Some(0.0),
            Value::Bool(true) | Value::Object(_) => true,
        });
    let status = json["status"].as_str().unwrap_or_default();
    names_error
        || json["success"] == false
        || json["ok"] == false
        || ["error", "fail", "failed", "failure"]
            .iter()
            .any(|failed| status.eq_ignore_ascii_case(failed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_and_the_query_of_a_request_are_hidden() {
        let uri = Uri::from_static("http://localhost/express/T0KEN?sig=hunter2");
        let body = "Cannot POST /express/T0KEN, or /express/T0KEN?sig=hunter2";
        let shown = redactor_of(&uri);
        assert_eq!(shown.redact(body), "Cannot POST ***, or ***");
    }

    #[test]
    fn an_absent_receiver_is_named_with_the_remedy() {
        let refused = || ureq::Error::Io(io::ErrorKind::ConnectionRefused.into());
        let late = || ureq::Error::Timeout(Timeout::Connect);
        let absent = [refused(), late(), ureq::Error::HostNotFound];
        let texts = absent.map(|error| reason(&error, false));
        assert!(texts.iter().all(|text| text.contains(" (")), "{texts:?}");
    }

    fn response(status: u16, content_type: &str, body: &str) -> Response {
        Response {
            status,
            headers: HeaderMap::from_iter([(CONTENT_TYPE, content_type.parse().unwrap())]),
            body: body.as_bytes().to_vec(),
            end: BodyEnd::Complete,
        }
    }

    #[test]
    fn a_message_has_the_beginning_of_the_body_on_one_line() {
        let show = |body: &str| response(500, "", body).message("http://a");
        assert_eq!(show(""), "`http://a` answers 500");
        assert_eq!(show("\"no\nroom\"\r\n"), "`http://a` answers 500: no room");
        let long = format!("`http://a` answers 500: {}…", "x".repeat(MAX_TEXT_CHARS));
        assert_eq!(show(&"x".repeat(9999)), long);
    }

    #[test]
    fn json_is_recognised_by_its_media_type() {
        for (kind, json) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/problem+json", true),
            ("text/html", false),
            ("", false),
        ] {
            assert_eq!(response(200, kind, "").is_json(), json, "{kind}");
        }
    }

    #[test]
    fn a_web_page_is_recognised_with_and_without_its_media_type() {
        for (kind, body, page) in [
            ("text/html", "<!DOCTYPE html><title>Sign in</title>", true),
            ("", "\u{feff}\n<HTML lang=en>", true),
            (
                "text/html; charset=utf-8",
                "<script>location='/login'</script>",
                true,
            ),
            ("text/html", "ok", false),
            ("text/xml", "<receipt/>", false),
            ("application/json", "{}", false),
        ] {
            assert_eq!(response(200, kind, body).is_web_page(), page, "{body}");
        }
    }

    #[test]
    fn a_web_page_in_place_of_a_receiver_fails_its_health_only() {
        let page = response(200, "text/html", "<html>Welcome</html>");
        let text = "`http://a` answers 200: <html>Welcome</html> (a web page, not a response of Acme: \
                    check the URL, and whether a proxy asks for a sign-in)";
        assert_eq!(
            page.foreign("http://a", "Acme"),
            Failure::misconfigured(text)
        );
        let outcome = page.of_options("http://a", "Acme");
        assert_eq!(outcome, Err(Failure::rejected(text)));
        for (status, body) in [
            (405, "<html>"),
            (200, "ok"),
            (204, ""),
            (403, ""),
            (500, ""),
        ] {
            assert_eq!(response(status, "", body).of_options("a", "Acme"), Ok(()));
        }
        let text = response(200, "", "hi").foreign("a", "Acme").to_string();
        assert!(text.contains("(not a response of Acme: "), "{text}");
        assert!(response(401, "", "").of_options("a", "Acme").is_err());
    }

    #[test]
    fn a_receiver_that_wants_tls_is_named_with_the_remedy() {
        let go = "Client sent an HTTP request to an HTTPS server.\n";
        let error = over_http(Ok(response(400, "", go))).unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotHttp);
        assert!(error.reason.contains("connect with `https`"), "{error}");
        for other in [response(400, "", "missing field"), response(200, "", go)] {
            assert_eq!(over_http(Ok(other.clone())), Ok(other));
        }
        let closed = ureq::Error::Io(io::ErrorKind::ConnectionReset.into());
        let error = over_http(Err(RequestError::new(&closed, true))).unwrap_err();
        assert_eq!(error.kind, ErrorKind::NoResponse);
        assert!(error.reason.contains("connect with `https`"), "{error}");
        let refused = ureq::Error::Io(io::ErrorKind::ConnectionRefused.into());
        let refused = RequestError::new(&refused, false);
        assert_eq!(over_http(Err(refused.clone())), Err(refused));
    }

    #[test]
    fn the_kind_of_an_error_depends_on_whether_anything_was_sent() {
        let broken = || ureq::Error::Io(io::ErrorKind::ConnectionReset.into());
        let cut_short = || ureq::Error::Io(io::ErrorKind::BrokenPipe.into());
        let untrusted = || ureq::Error::Io(io::Error::other(rustls::Error::DecryptError));
        let late = || ureq::Error::Timeout(Timeout::Global);
        for (error, sent, kind) in [
            (broken(), true, ErrorKind::NoResponse),
            (broken(), false, ErrorKind::NotSent),
            (cut_short(), true, ErrorKind::NotSent),
            (late(), true, ErrorKind::NoResponse),
            (late(), false, ErrorKind::NotSent),
            (ureq::Error::HostNotFound, false, ErrorKind::NotSent),
            (untrusted(), false, ErrorKind::Untrusted),
            (
                ureq::Error::BadUri("no".to_owned()),
                false,
                ErrorKind::InvalidUrl,
            ),
        ] {
            assert_eq!(RequestError::new(&error, sent).kind, kind, "{error:?}");
        }
    }
}
