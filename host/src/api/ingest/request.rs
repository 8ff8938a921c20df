//! What a sender asks for besides that its batch be kept: `ack`, `strict`, `Prefer`
//! and `Idempotency-Key`.
//!
//! A value that means nothing is refused before the body is read: a sender that
//! believes it asked for something must not go without it.

use std::time::Duration;

use axum::{
    extract::Query,
    http::{HeaderMap, HeaderName, Uri},
};

use super::{super::error::ApiError, header};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const PREFER: HeaderName = HeaderName::from_static("prefer");
const LONGEST_KEY: usize = 255;

/// How long a sender waits that does not say how long.
const WAIT: Duration = Duration::from_secs(30);

/// How long a sender can wait: many clients and proxies give up a connection
/// that is silent for a minute.
const LONGEST_WAIT: Duration = Duration::from_secs(50);

/// What a sender asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// The name under which the batch is kept once.
    pub(super) key: Option<String>,
    /// Whether nothing is to be kept unless every item is valid.
    pub(super) strict: bool,
    /// When the answer is wanted.
    pub(super) ack: Ack,
}

/// When the answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ack {
    /// Once the batch is durable.
    Durable,
    /// Once every exporter is done with the batch, or the time is over.
    Delivered {
        /// How long after the request came.
        wait: Duration,
        /// Whether the sender said how long.
        preferred: bool,
    },
}

impl Asked {
    pub(super) fn read(uri: &Uri, headers: &HeaderMap) -> Result<Self, ApiError> {
        let Query(params) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|_| ApiError::invalid("the query cannot be read"))?;
        let wait = preferred_wait(headers)?;
        let mut asked = Self {
            key: idempotency_key(headers)?,
            strict: false,
            ack: wait.map_or(Ack::Durable, Ack::delivered),
        };
        for (name, value) in &params {
            match name.as_str() {
                "ack" => asked.ack = ack(value, wait)?,
                "strict" => asked.strict = strict(value)?,
                _ => {
                    return Err(ApiError::invalid(
                        "a parameter is neither `ack` nor `strict` \
                         (for how long to wait, send `Prefer: wait=SECONDS`)",
                    ));
                }
            }
        }
        Ok(asked)
    }
}

impl Ack {
    /// The value of `ack` that asks for it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Durable => "durable",
            Self::Delivered { .. } => "delivered",
        }
    }

    fn delivered(wait: Duration) -> Self {
        Self::Delivered {
            wait: wait.min(LONGEST_WAIT),
            preferred: true,
        }
    }
}

fn ack(value: &str, wait: Option<Duration>) -> Result<Ack, ApiError> {
    let waited = Ack::Delivered {
        wait: WAIT,
        preferred: false,
    };
    match value {
        "durable" => Ok(Ack::Durable),
        "delivered" => Ok(wait.map_or(waited, Ack::delivered)),
        "memory" => Err(ApiError::invalid(
            "`ack=memory` is not offered: nothing is acknowledged before it is durable \
             (use `durable` or `delivered`)",
        )),
        _ => Err(ApiError::invalid("`ack` must be `durable` or `delivered`")),
    }
}

fn strict(value: &str) -> Result<bool, ApiError> {
    value
        .parse()
        .map_err(|_| ApiError::invalid("`strict` must be `true` or `false`"))
}

/// The time of the first `wait` in `Prefer` (RFC 7240), where other preferences
/// are passed over.
fn preferred_wait(headers: &HeaderMap) -> Result<Option<Duration>, ApiError> {
    let all = header(headers, PREFER).unwrap_or_default();
    let mut quoted = false;
    let mut preferences = all.split(|next| {
        quoted ^= next == '"';
        next == ',' && !quoted
    });
    let seconds = preferences.find_map(|preference| {
        let preference = preference.split(';').next().unwrap_or_default();
        let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
        let is_wait = name.trim().eq_ignore_ascii_case("wait");
        is_wait.then(|| value.trim().trim_matches('"').to_owned())
    });
    let Some(seconds) = seconds else {
        return Ok(None);
    };
    match seconds.parse() {
        Ok(seconds) => Ok(Some(Duration::from_secs(seconds))),
        Err(_) => Err(ApiError::invalid(
            "`wait` in `Prefer` must be a number of seconds, as in `Prefer: wait=5`",
        )),
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(key) = header(headers, IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let fits = (1..=LONGEST_KEY).contains(&key.len());
    if !fits || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ApiError::invalid(format!(
            "`Idempotency-Key` must be 1 to {LONGEST_KEY} visible ASCII characters"
        )));
    }
    Ok(Some(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn asked(query: &str, prefer: &[&str]) -> Result<Asked, String> {
        let mut headers = HeaderMap::new();
        for value in prefer {
            headers.append(PREFER, HeaderValue::from_str(value).unwrap());
        }
        let uri: Uri = format!("/v1/ingest/alerts{query}").parse().unwrap();
        Asked::read(&uri, &headers).map_err(|error| error.to_string())
    }

    fn delivered(seconds: u64, preferred: bool) -> Ack {
        let wait = Duration::from_secs(seconds);
        Ack::Delivered { wait, preferred }
    }

    #[test]
    fn without_a_wish_a_batch_is_answered_once_it_is_durable() {
        let wanted = Asked {
            key: None,
            strict: false,
            ack: Ack::Durable,
        };
        assert_eq!(asked("", &[]), Ok(wanted));
        assert!(asked("?strict=true", &[]).unwrap().strict);
        assert!(!asked("?strict=true&strict=false", &[]).unwrap().strict);
    }

    #[test]
    fn the_time_to_wait_is_the_preferred_one_within_bounds() {
        let check = |query: &str, prefer: &[&str], wanted| {
            let asked = asked(query, prefer).unwrap();
            assert_eq!(asked.ack, wanted, "{query} {prefer:?}");
        };
        check("?ack=delivered", &[], delivered(30, false));
        check("?ack=delivered", &["wait=5"], delivered(5, true));
        check("", &["wait=0"], delivered(0, true));
        check("", &["wait=1000"], delivered(50, true));
        check("", &["respond-async, WAIT = 7; x=1"], delivered(7, true));
        check(
            "",
            &["handling=strict", "wait=\"8\", wait=9"],
            delivered(8, true),
        );
        check("", &["foo=\"a, wait=3\""], Ack::Durable);
        check("?ack=durable", &["wait=5"], Ack::Durable);
    }

    #[test]
    fn a_value_that_means_nothing_is_refused_with_what_is_right() {
        let check = |query: &str, prefer: &[&str], wanted: &str| {
            let error = asked(query, prefer).unwrap_err();
            assert_eq!(error, format!("Invalid input received. {wanted}"));
        };
        check(
            "?ack=memory",
            &[],
            "`ack=memory` is not offered: nothing is acknowledged before it is durable \
             (use `durable` or `delivered`)",
        );
        check("?ack=", &[], "`ack` must be `durable` or `delivered`");
        check("?strict=1", &[], "`strict` must be `true` or `false`");
        check(
            "?ack=delivered&wait=10s",
            &[],
            "a parameter is neither `ack` nor `strict` (for how long to wait, send `Prefer: wait=SECONDS`)",
        );
        for wrong in ["wait", "wait=", "wait=5s", "wait=-1"] {
            check(
                "",
                &[wrong],
                "`wait` in `Prefer` must be a number of seconds, as in `Prefer: wait=5`",
            );
        }
    }

    fn key(value: &str) -> Result<Option<String>, ApiError> {
        let mut headers = HeaderMap::new();
        headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_str(value).unwrap());
        idempotency_key(&headers)
    }

    #[test]
    fn a_key_is_1_to_255_visible_ascii_characters() {
        assert_eq!(idempotency_key(&HeaderMap::new()), Ok(None));
        assert_eq!(key("!~"), Ok(Some("!~".to_owned())));
        assert!(key(&"k".repeat(255)).is_ok());
        for wrong in ["", "a b", "é", &"k".repeat(256)] {
            assert!(key(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn two_keys_are_none() {
        let mut headers = HeaderMap::new();
        headers.append(IDEMPOTENCY_KEY, HeaderValue::from_static("a"));
        headers.append(IDEMPOTENCY_KEY, HeaderValue::from_static("b"));
        assert!(idempotency_key(&headers).is_err());
    }
}
