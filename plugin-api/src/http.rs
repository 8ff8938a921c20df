//! What an answer over HTTP, or none, means to the host.
//!
//! Promises: only an answer that speaks of these very rows rejects them; what a
//! person has to mend keeps the data; what may pass is tried again.
//!
//! Knows nothing of any HTTP client.

use std::time::{Duration, SystemTime};

use crate::Failure;

/// What went wrong when there was no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoAnswer {
    /// Nothing was sent: the name is unknown, the connection refused, no time left.
    NotSent,
    /// Something was sent, and the connection broke or the time ran out.
    Lost,
    /// The receiver's certificate is not trusted, or it speaks no TLS.
    Untrusted,
    /// The address is none.
    BadAddress,
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
            Self::Untrusted | Self::BadAddress => Failure::misconfigured(message),
        }
    }
}

/// The failure that a status other than success stands for.
///
/// `retry_after` is the text of that header, seconds or a date.
#[must_use]
pub fn failure(status: u16, retry_after: Option<&str>, message: impl ToString) -> Failure {
    let message = message.to_string();
    let after = retry_after.and_then(|text| wait(text, SystemTime::now()));
    match status {
        401 | 403 | 407 => Failure::Unauthorized { message },
        // Something else answers there, or it wants to be spoken to otherwise.
        300..=399 | 404 | 405 | 406 | 410 | 415 | 421 | 426 | 501 | 505 => {
            Failure::Misconfigured { message }
        }
        413 => Failure::TooLarge { message },
        429 => Failure::Throttled { message, after },
        503 if after.is_some() => Failure::Throttled { message, after },
        408 | 425 => Failure::Retry { message, after },
        400..=499 => Failure::Rejected { message },
        _ => Failure::Retry { message, after },
    }
}

fn wait(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, retry_after: Option<&str>) -> Failure {
        failure(status, retry_after, "why")
    }

    #[test]
    fn a_status_says_who_has_to_act() {
        let message = || "why".to_owned();
        let unauthorized = Failure::Unauthorized { message: message() };
        let too_large = Failure::TooLarge { message: message() };
        for (statuses, failure) in [
            (&[401, 403, 407][..], unauthorized),
            (
                &[301, 404, 405, 410, 415, 501],
                Failure::misconfigured("why"),
            ),
            (&[413], too_large),
            (&[400, 409, 422], Failure::rejected("why")),
            (
                &[408, 425, 500, 502, 503, 504, 599, 100],
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
        assert_eq!(of(503, Some("soon")), Failure::retry("why"));
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let later = wait("Sun, 06 Nov 1994 08:50:37 GMT", now);
        assert_eq!(later, Some(Duration::from_mins(1)));
    }

    #[test]
    fn without_an_answer_it_matters_whether_anything_was_sent() {
        assert_eq!(NoAnswer::NotSent.failure("why"), Failure::retry("why"));
        let uncertain = Failure::Uncertain {
            message: "why".to_owned(),
        };
        assert_eq!(NoAnswer::Lost.failure("why"), uncertain);
        for mend in [NoAnswer::Untrusted, NoAnswer::BadAddress] {
            assert_eq!(mend.failure("why"), Failure::misconfigured("why"));
        }
    }
}
