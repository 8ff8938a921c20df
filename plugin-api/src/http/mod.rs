//! What an HTTP response, or none, means to the host.
//!
//! Promises: only a response about the rows themselves rejects them; a condition
//! that a person must correct keeps the data; a temporary condition is retried.
//!
//! The mapping knows nothing of any HTTP client. [`Client`], with the feature
//! `http-client`, is one.

#[cfg(feature = "http-client")]
mod authorization;
#[cfg(feature = "http-client")]
mod client;
#[cfg(feature = "gzip")]
mod compression;
#[cfg(feature = "http-client")]
mod connector;
#[cfg(feature = "http-client")]
mod headers;
#[cfg(feature = "http-client")]
mod oauth2;
#[cfg(feature = "http-client")]
mod proxy;
mod redact;
#[cfg(feature = "http-client")]
mod response;
#[cfg(feature = "http-client")]
mod settings;
#[cfg(feature = "http-client")]
mod url;
#[cfg(feature = "http-client")]
mod written;

use std::time::{Duration, SystemTime};

#[cfg(feature = "gzip")]
pub use self::compression::{BodyCompressor, Compression};
pub use self::redact::redact_url;
#[cfg(feature = "http-client")]
pub use self::{
    authorization::Authorization,
    client::{Client, ClientSettings, RequestBuilder},
    oauth2::OAuth2Settings,
    response::{RequestError, Response, ResponseStream},
    url::{ReceiverUrl, check_url, query_value},
    written::{WithClientSettings, WrittenClientSettings},
};
use crate::Failure;
#[cfg(feature = "http-client")]
pub use crate::tls::{ClientCertificate, Tls};
/// For commands of the host, which send bodies without reading them into memory.
#[doc(hidden)]
pub use connector::connector;
#[cfg(feature = "grpc-client")]
pub(crate) use connector::handshake_error;
#[cfg(feature = "grpc-client")]
pub(crate) use oauth2::AccessToken;
#[cfg(feature = "grpc-client")]
pub(crate) use proxy::NamedProxy;

/// Why a request has no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The receiver cannot have the request: the host name is unknown, the connection
    /// was refused, or no time was left.
    NotSent,
    /// The receiver may have the request: it was sent, at least in part, and then the
    /// connection broke or the time was over.
    NoResponse,
    /// TLS failed: the receiver's certificate is not trusted, it does not accept the
    /// client's certificate, or it does not speak TLS.
    Untrusted,
    /// The URL cannot be used.
    InvalidUrl,
    /// The receiver does not speak HTTP.
    NotHttp,
    /// The proxy refuses to connect to the receiver, or a token server refuses the credentials.
    Forbidden,
}

impl ErrorKind {
    /// The failure that the error means.
    ///
    /// An exporter whose receiver accepts the same rows twice without harm should
    /// report [`NoResponse`](Self::NoResponse) as [`Failure::retry`] instead.
    #[must_use]
    pub fn failure(self, message: impl ToString) -> Failure {
        match self {
            Self::NotSent => Failure::retry(message),
            Self::NoResponse => Failure::Uncertain {
                message: message.to_string(),
            },
            Self::Untrusted | Self::InvalidUrl | Self::NotHttp => Failure::misconfigured(message),
            Self::Forbidden => Failure::Unauthorized {
                message: message.to_string(),
            },
        }
    }
}

/// The failure that a status code other than 200 to 299 means. Where a person must act, the remedy
/// follows the message, in brackets.
///
/// `retry_after` is the value of that header: seconds, or a date. The time is passed
/// on however long it is, because the host limits it.
///
/// | Status | Failure |
/// |---|---|
/// | 400, 422 | rejected |
/// | 401, 403, 407, 511 | unauthorized |
/// | 408, 423, 424, 425 | retry |
/// | 409 | rejected; with `Retry-After`, retry |
/// | 413 | too large |
/// | 429 | throttled |
/// | 503 with `Retry-After` | throttled |
/// | 300 to 499 otherwise, 501, 505, 506, 510 | misconfigured |
/// | any other | retry |
#[must_use]
pub fn failure(status: u16, retry_after: Option<&str>, message: impl ToString) -> Failure {
    let message = message.to_string();
    let with_remedy = || format!("{message} ({})", remedy(status));
    let after = retry_after.and_then(|text| parse_retry_after(text, SystemTime::now()));
    match status {
        401 | 403 | 407 | 511 => Failure::Unauthorized {
            message: with_remedy(),
        },
        // A conflict that names a time is temporary: a request with the same key is
        // still in progress, or the conflicting object will go away.
        409 if after.is_some() => Failure::Retry { message, after },
        400 | 409 | 422 => Failure::Rejected { message },
        413 => Failure::TooLarge { message },
        429 => Failure::Throttled { message, after },
        503 if after.is_some() => Failure::Throttled { message, after },
        408 | 423 | 424 | 425 => Failure::Retry { message, after },
        // These statuses are not about the rows: the URL belongs to another service,
        // or the receiver expects another request.
        300..=499 | 501 | 505 | 506 | 510 => Failure::Misconfigured {
            message: with_remedy(),
        },
        0..=299 | 500..=u16::MAX => Failure::Retry { message, after },
    }
}

/// What a person must correct.
fn remedy(status: u16) -> &'static str {
    match status {
        300..=399 => "set the address that the receiver redirects to",
        401 => "check the credentials in the settings",
        403 => "check the credentials in the settings, and what the receiver allows them to do",
        404 | 410 => "check the address, and that what the settings name exists there",
        407 => "check the credentials in `proxy`",
        511 => "the network of this machine asks for a sign-in",
        _ => "check the address: the receiver expects another request there",
    }
}

fn parse_retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number that does not fit is a very long time, not a mistake.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{decode_outcome, encode_outcome};

    fn of(status: u16, retry_after: Option<&str>) -> Failure {
        failure(status, retry_after, "why")
    }

    #[test]
    fn a_status_becomes_the_failure_of_the_table() {
        let message = || "why".to_owned();
        let unauthorized = Failure::Unauthorized { message: message() };
        let too_large = Failure::TooLarge { message: message() };
        let without_remedy = |mut failure: Failure| {
            if let Failure::Unauthorized { message } | Failure::Misconfigured { message } =
                &mut failure
            {
                assert!(message.starts_with("why (") && message.ends_with(')'));
                message.truncate("why".len());
            }
            failure
        };
        for (statuses, failure) in [
            (&[401, 403, 407, 511][..], unauthorized),
            (
                &[
                    300, 301, 302, 304, 307, 308, 402, 404, 405, 406, 410, 411, 412, 414, 415, 417,
                    418, 421, 426, 428, 431, 451, 497, 499, 501, 505,
                ],
                Failure::misconfigured("why"),
            ),
            (&[413], too_large),
            (&[400, 409, 422], Failure::rejected("why")),
            (
                &[
                    408, 423, 424, 425, 500, 502, 503, 504, 507, 508, 520, 599, 600, 100,
                ],
                Failure::retry("why"),
            ),
        ] {
            for &status in statuses {
                assert_eq!(without_remedy(of(status, None)), failure, "{status}");
            }
        }
    }

    #[test]
    fn the_retry_after_of_a_response_is_passed_on() {
        let throttled = |seconds| Failure::Throttled {
            message: "why".to_owned(),
            after: Some(Duration::from_secs(seconds)),
        };
        assert_eq!(of(429, Some("7")), throttled(7));
        assert_eq!(of(503, Some(" 30 ")), throttled(30));
        assert_eq!(
            of(429, Some("Sun, 06 Nov 1994 08:49:37 GMT")),
            throttled(0),
            "a date that has passed"
        );
        for unclear in ["soon", "", "-5", "+5", "1.5", "7 s", "7, 8"] {
            assert_eq!(of(503, Some(unclear)), Failure::retry("why"), "{unclear:?}");
        }
        assert_eq!(of(429, Some("0")), throttled(0));
        let very_long = "99999999999999999999999";
        assert_eq!(of(429, Some(very_long)), throttled(u64::MAX));
        let crossed = decode_outcome(encode_outcome(Err(of(429, Some(very_long)))));
        assert!(matches!(
            crossed,
            Err(Failure::Throttled { after: Some(_), .. })
        ));
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let later = parse_retry_after("Sun, 06 Nov 1994 08:50:37 GMT", now);
        assert_eq!(later, Some(Duration::from_secs(60)));
    }

    #[test]
    fn a_status_with_retry_after_does_not_reject() {
        let after = Some(Duration::from_secs(2));
        let message = || "why".to_owned();
        for status in [408, 409, 425, 500] {
            let message = message();
            assert_eq!(of(status, Some("2")), Failure::Retry { message, after });
        }
        assert_eq!(of(400, Some("2")), Failure::rejected("why"));
    }

    #[test]
    fn without_a_response_the_failure_depends_on_the_kind_of_the_error() {
        assert_eq!(ErrorKind::NotSent.failure("why"), Failure::retry("why"));
        let uncertain = Failure::Uncertain {
            message: "why".to_owned(),
        };
        assert_eq!(ErrorKind::NoResponse.failure("why"), uncertain);
        for mend in [
            ErrorKind::Untrusted,
            ErrorKind::InvalidUrl,
            ErrorKind::NotHttp,
        ] {
            assert_eq!(mend.failure("why"), Failure::misconfigured("why"));
        }
        let unauthorized = Failure::Unauthorized {
            message: "why".to_owned(),
        };
        assert_eq!(ErrorKind::Forbidden.failure("why"), unauthorized);
    }
}
