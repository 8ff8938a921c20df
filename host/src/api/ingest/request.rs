//! A request that brings a batch: query, headers and body.
//!
//! A query or header that means nothing is refused before the body is read: a
//! client that believes it asked for something must not go without it.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use axum::{
    body::Body,
    extract::Request,
    http::{
        Extensions, HeaderMap, HeaderName,
        header::{CONTENT_ENCODING, CONTENT_TYPE},
        request::Parts,
    },
};
use delfin_plugin_api::{Kind, Origin};
use serde::Deserialize;
use tokio::time::Instant;
use utoipa::{IntoParams, openapi::Object};

use crate::{
    api::{
        error::ApiError,
        extract::{Query, body},
        page,
        peer::Peer,
        permits::RequestPermit,
        state::IngestState,
    },
    ingest::{BodyEncoding, BodyFormat, MemoryClaim, MemoryUse},
};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const BATCH_ORIGIN: HeaderName = HeaderName::from_static("batch-origin");
const PREFER: HeaderName = HeaderName::from_static("prefer");
const MAX_KEY_BYTES: usize = 255;

/// How long a client waits for delivery if it does not say how long.
const DEFAULT_WAIT: Duration = Duration::from_secs(30);

/// The longest wait: many clients and proxies close a connection that is silent
/// for a minute.
const MAX_WAIT: Duration = Duration::from_secs(50);

/// A request whose body has arrived.
pub(super) struct IngestRequest {
    /// When the head of the request had arrived.
    pub(super) received: Instant,
    pub(super) idempotency_key: Option<String>,
    pub(super) ack: Ack,
    /// Where another host has the batch from, if another host sends it.
    pub(super) forwarded: Option<Origin>,
    pub(super) payload: IngestPayload,
    /// Held until the request is answered.
    pub(super) _permit: RequestPermit,
}

/// The body of a request, and how it is read.
pub(super) struct IngestPayload {
    /// Whether nothing is kept unless every item is valid.
    pub(super) strict: bool,
    /// The storage whose active alerts are all in the body.
    pub(super) complete_for: Option<String>,
    pub(super) format: BodyFormat,
    pub(super) encoding: BodyEncoding,
    pub(super) bytes: Vec<u8>,
    /// The address of the client.
    pub(super) sender: IpAddr,
    /// The memory of the bytes.
    pub(super) claim: MemoryClaim,
}

/// The body of a request in a protocol of another monitoring system.
pub(super) struct ReceivedBody {
    pub(super) bytes: Vec<u8>,
    /// The address of the client.
    pub(super) sender: IpAddr,
    /// The memory of the bytes.
    pub(super) claim: MemoryClaim,
    /// Held until the request is answered.
    pub(super) _permit: RequestPermit,
}

/// When the batch is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ack {
    /// When it is durable.
    Durable,
    /// When every exporter is done with it, or the wait is over.
    Delivered {
        /// From the arrival of the request's head.
        wait: Duration,
        /// Whether the client chose the wait.
        preferred: bool,
    },
}

/// When to answer, and what to keep.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct IngestQuery {
    /// When to answer: `durable`, or `delivered` to wait until every exporter is done with
    /// the batch or the wait is over.
    #[param(schema_with = ack_schema, required = false)]
    ack: Option<String>,
    /// Whether to keep nothing unless every item is valid.
    strict: bool,
    /// For alerts only: the body has all active alerts of this storage, so its other alerts
    /// have ended. If an item is rejected, none ends.
    complete_for: Option<String>,
}

/// Headers of a request that brings a batch.
#[derive(Debug, PartialEq, Eq, IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct IngestHeaders {
    /// `wait=SECONDS`: as `ack=delivered`, with this wait. The default is 30 seconds, and
    /// the maximum 50.
    #[param(rename = "Prefer", value_type = Option<String>, example = "wait=5")]
    wait: Option<Duration>,
    /// For a host that forwards its batches: where it has the batch from, such as `collection`.
    #[param(rename = "Batch-Origin", value_type = Option<String>)]
    origin: Option<Origin>,
    /// `gzip`, `zstd` or `identity`.
    #[param(rename = "Content-Encoding", schema_with = encoding_schema, required = false)]
    encoding: Option<String>,
}

/// Header of a request that a client may have to repeat.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it is there for the OpenAPI document")]
pub(super) struct IdempotencyHeader {
    /// 1 to 255 visible ASCII characters, another for each request. A request with a key that was used before gets the
    /// answer of the first one, with `Idempotency-Replayed: true`, and is not kept again.
    #[param(
        rename = "Idempotency-Key",
        min_length = 1,
        max_length = 255,
        pattern = "^[!-~]*$"
    )]
    idempotency_key: Option<String>,
}

impl IngestRequest {
    /// Reads a request, within the limits of its kind.
    pub(super) async fn read(
        state: &IngestState,
        kind: Kind,
        request: Request,
    ) -> Result<Self, ApiError> {
        let (head, mut content) = request.into_parts();
        let received = Instant::now();
        let (sender, permit) = begin(state, kind, &head.extensions)?;
        let Query(query) = Query::<IngestQuery>::read(&head.uri)?;
        let headers = IngestHeaders::read(&head.headers)?;
        let content_type = header(&head.headers, CONTENT_TYPE);
        let ack = query.ack(headers.wait)?;
        let format = BodyFormat::from_content_type(content_type.as_deref())?;
        let encoding = BodyEncoding::from_content_encoding(headers.encoding.as_deref())?;
        let (bytes, claim) = read_body(state, kind, &mut content).await?;
        Ok(Self {
            received,
            ack,
            idempotency_key: idempotency_key(&head.headers)?,
            forwarded: headers.origin,
            payload: IngestPayload {
                strict: query.strict,
                complete_for: query.complete_for,
                format,
                encoding,
                bytes,
                sender,
                claim,
            },
            _permit: permit,
        })
    }
}

impl ReceivedBody {
    /// Reads the body of a request whose head is known to be right.
    pub(super) async fn read(
        state: &IngestState,
        kind: Kind,
        head: &Parts,
        content: &mut Body,
    ) -> Result<Self, ApiError> {
        let (sender, permit) = begin(state, kind, &head.extensions)?;
        let (bytes, claim) = read_body(state, kind, content).await?;
        Ok(Self {
            bytes,
            sender,
            claim,
            _permit: permit,
        })
    }
}

/// The sender of a request, and its permit.
fn begin(
    state: &IngestState,
    kind: Kind,
    extensions: &Extensions,
) -> Result<(IpAddr, RequestPermit), ApiError> {
    state.phase.require_running()?;
    let sender = sender(extensions);
    let permit = state.permits.of(kind).begin_request(sender)?;
    Ok((sender, permit))
}

async fn read_body(
    state: &IngestState,
    kind: Kind,
    content: &mut Body,
) -> Result<(Vec<u8>, MemoryClaim), ApiError> {
    let mut claim = state.memory.claim(match kind {
        Kind::Performance => MemoryUse::Performance,
        Kind::Alert => MemoryUse::Alerts,
    });
    let bytes = body::read(content, state.max_body_bytes, &mut claim).await?;
    Ok((bytes, claim))
}

fn ack_schema() -> Object {
    page::one_of(&["durable", "delivered"])
}

pub(super) fn encoding_schema() -> Object {
    page::one_of(&["gzip", "zstd", "identity"])
}

fn sender(extensions: &Extensions) -> IpAddr {
    let peer = extensions.get::<Peer>();
    peer.map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.sender())
}

impl IngestQuery {
    fn ack(&self, preferred: Option<Duration>) -> Result<Ack, ApiError> {
        match (self.ack.as_deref(), preferred) {
            (None, None) | (Some("durable"), _) => Ok(Ack::Durable),
            (None | Some("delivered"), Some(wait)) => Ok(Ack::Delivered {
                wait: wait.min(MAX_WAIT),
                preferred: true,
            }),
            (Some("delivered"), None) => Ok(Ack::Delivered {
                wait: DEFAULT_WAIT,
                preferred: false,
            }),
            (Some("memory"), _) => Err(ApiError::invalid(
                "`ack=memory` is not offered: nothing is acknowledged before it is durable \
                 (use `durable` or `delivered`)",
            )),
            (Some(_), _) => Err(ApiError::invalid("`ack` must be `durable` or `delivered`")),
        }
    }
}

impl IngestHeaders {
    fn read(headers: &HeaderMap) -> Result<Self, ApiError> {
        Ok(Self {
            wait: preferred_wait(headers)?,
            origin: header(headers, BATCH_ORIGIN).map(|name| Origin::from_name(&name)),
            encoding: header(headers, CONTENT_ENCODING),
        })
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
}

/// The value of a header; of a repeated one, all values with commas between them.
pub(super) fn header(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let values = headers.get_all(name).into_iter();
    let texts = values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    texts.reduce(|all, next| all + ", " + &next)
}

/// The time of the first `wait` in `Prefer` (RFC 7240). Other preferences are ignored,
/// as the RFC demands.
fn preferred_wait(headers: &HeaderMap) -> Result<Option<Duration>, ApiError> {
    let all = header(headers, PREFER).unwrap_or_default();
    // A comma inside a quoted string does not separate preferences.
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

pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(key) = header(headers, IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let fits = (1..=MAX_KEY_BYTES).contains(&key.len());
    if !fits || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ApiError::invalid(format!(
            "`Idempotency-Key` must be 1 to {MAX_KEY_BYTES} visible ASCII characters"
        )));
    }
    Ok(Some(key))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, Uri};

    use super::*;

    fn ack(query: &str, prefer: &[&str]) -> Result<Ack, String> {
        let mut headers = HeaderMap::new();
        for value in prefer {
            headers.append(PREFER, HeaderValue::from_str(value).unwrap());
        }
        let wait = IngestHeaders::read(&headers).map(|headers| headers.wait);
        let wait = wait.map_err(|error| error.to_string())?;
        let ack = read(query).and_then(|query| query.ack(wait));
        ack.map_err(|error| error.to_string())
    }

    fn read(query: &str) -> Result<IngestQuery, ApiError> {
        let uri: Uri = format!("/v1/ingest/alerts{query}").parse().unwrap();
        Query::read(&uri).map(|Query(query)| query)
    }

    fn delivered(seconds: u64, preferred: bool) -> Ack {
        let wait = Duration::from_secs(seconds);
        Ack::Delivered { wait, preferred }
    }

    #[test]
    fn a_batch_is_acknowledged_when_it_is_durable_by_default() {
        assert_eq!(ack("", &[]), Ok(Ack::Durable));
        assert!(!read("").unwrap().strict);
        assert!(read("?strict=true").unwrap().strict);
        assert!(!read("?strict=false").unwrap().strict);
    }

    #[test]
    fn the_wait_is_the_preferred_one_within_bounds() {
        let check = |query: &str, prefer: &[&str], wanted| {
            assert_eq!(ack(query, prefer), Ok(wanted), "{query} {prefer:?}");
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
    fn an_invalid_query_or_preference_is_refused_with_what_is_valid() {
        let check = |query: &str, prefer: &[&str], wanted: &str| {
            let error = ack(query, prefer).unwrap_err();
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
            "?strict=true&strict=false",
            &[],
            "parameter `strict` is repeated",
        );
        check(
            "?ack=delivered&wait=10s",
            &[],
            "the query has an unknown parameter (known: `ack`, `strict`, `complete_for`)",
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
    fn two_keys_are_refused() {
        let mut headers = HeaderMap::new();
        headers.append(IDEMPOTENCY_KEY, HeaderValue::from_static("a"));
        headers.append(IDEMPOTENCY_KEY, HeaderValue::from_static("b"));
        assert!(idempotency_key(&headers).is_err());
    }
}
