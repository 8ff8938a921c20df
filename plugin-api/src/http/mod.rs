//! What an answer over HTTP, or none, means to the host.
//!
//! Promises: only an answer that speaks of these very rows rejects them; what a
//! person has to mend keeps the data; what may pass is tried again.
//!
//! The mapping knows nothing of any HTTP client. [`Client`], with the feature
//! `http-client`, is one.

#[cfg(feature = "http-client")]
mod address;
#[cfg(feature = "http-client")]
mod answer;
#[cfg(feature = "http-client")]
mod authorization;
#[cfg(feature = "http-client")]
mod client;
#[cfg(feature = "http-client")]
mod tls;

use std::time::{Duration, SystemTime};

#[cfg(feature = "http-client")]
pub use self::{
    address::check_url,
    answer::{Answer, Unanswered},
    authorization::Authorization,
    client::{Client, ClientSettings, Request},
    tls::{Identity, Tls},
};
use crate::Failure;

/// What went wrong when there was no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoAnswer {
    /// Nothing was sent: the name is unknown, the connection refused, no time left.
    NotSent,
    /// Something was sent, and the connection broke or the time ran out.
    Lost,
    /// The receiver's certificate is not trusted, or ours is not by the
    /// receiver, or it speaks no TLS.
    Untrusted,
    /// The address is none.
    BadAddress,
    /// Whatever is there, it speaks no HTTP.
    NotHttp,
    /// The proxy does not let us through to there.
    Forbidden,
}

impl NoAnswer {
    /// The failure. One that does no harm by coming twice should report `Lost`
    /// as [`Failure::retry`] instead.
    #[must_use]
    pub fn failure(self, message: impl ToString) -> Failure {
        match self {
            Self::NotSent => Failure::retry(message),
            Self::Lost => Failure::Uncertain {
                message: message.to_string(),
            },
            Self::Untrusted | Self::BadAddress | Self::NotHttp => Failure::misconfigured(message),
            Self::Forbidden => Failure::Unauthorized {
                message: message.to_string(),
            },
        }
    }
}

/// The failure that a status other than success stands for.
///
/// `retry_after` is the text of that header, seconds or a date. What it says is
/// passed on as it is, however long: the host has a limit of its own.
///
/// Only 400, 409 and 422 speak of the rows. A status that a client cannot know
/// is the receiver's trouble from 500 on, and below that something to mend.
#[must_use]
pub fn failure(status: u16, retry_after: Option<&str>, message: impl ToString) -> Failure {
    let message = message.to_string();
    let after = retry_after.and_then(|text| wait(text, SystemTime::now()));
    match status {
        401 | 403 | 407 | 511 => Failure::Unauthorized { message },
        // A request with the same key is still at work, or what is in the way
        // is to go: else it would not say when to come back.
        409 if after.is_some() => Failure::Retry { message, after },
        400 | 409 | 422 => Failure::Rejected { message },
        413 => Failure::TooLarge { message },
        429 => Failure::Throttled { message, after },
        503 if after.is_some() => Failure::Throttled { message, after },
        408 | 423 | 424 | 425 => Failure::Retry { message, after },
        // Something else answers there, or it wants to be spoken to otherwise.
        300..=499 | 501 | 505 | 506 | 510 => Failure::Misconfigured { message },
        0..=299 | 500..=u16::MAX => Failure::Retry { message, after },
    }
}

fn wait(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More than a number holds is still for ever, and no reason to hurry.
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
    fn a_status_says_who_has_to_act() {
        let message = || "why".to_owned();
        let unauthorized = Failure::Unauthorized { message: message() };
        let too_large = Failure::TooLarge { message: message() };
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
                assert_eq!(of(status, None), failure, "{status}");
            }
        }
    }

    #[test]
    fn a_busy_receiver_says_when_to_come_back() {
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
        let ages = "99999999999999999999999";
        assert_eq!(of(429, Some(ages)), throttled(u64::MAX));
        let crossed = decode_outcome(encode_outcome(Err(of(429, Some(ages)))));
        assert!(matches!(
            crossed,
            Err(Failure::Throttled { after: Some(_), .. })
        ));
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let later = wait("Sun, 06 Nov 1994 08:50:37 GMT", now);
        assert_eq!(later, Some(Duration::from_mins(1)));
    }

    #[test]
    fn who_is_asked_to_come_back_is_not_rejected() {
        let after = Some(Duration::from_secs(2));
        let message = || "why".to_owned();
        for status in [408, 409, 425, 500] {
            let message = message();
            assert_eq!(of(status, Some("2")), Failure::Retry { message, after });
        }
        assert_eq!(of(400, Some("2")), Failure::rejected("why"));
    }

    #[test]
    fn without_an_answer_it_matters_whether_anything_was_sent() {
        assert_eq!(NoAnswer::NotSent.failure("why"), Failure::retry("why"));
        let uncertain = Failure::Uncertain {
            message: "why".to_owned(),
        };
        assert_eq!(NoAnswer::Lost.failure("why"), uncertain);
        for mend in [NoAnswer::Untrusted, NoAnswer::BadAddress, NoAnswer::NotHttp] {
            assert_eq!(mend.failure("why"), Failure::misconfigured("why"));
        }
        let unauthorized = Failure::Unauthorized {
            message: "why".to_owned(),
        };
        assert_eq!(NoAnswer::Forbidden.failure("why"), unauthorized);
    }
}
