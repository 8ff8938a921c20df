//! One call: a request message and a response message, as the protocol of gRPC over HTTP/2 has
//! them.
//!
//! <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>

use std::{
    convert::Infallible,
    error::Error,
    io::Read,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;
use flate2::read::GzDecoder;
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Limited};
use hyper::{
    body::Incoming,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, TE},
    http::{Request, Response, response::Parts},
};
use percent_encoding::percent_decode;

use super::{GrpcEndpoint, GrpcStatus, endpoint::not_http2};
use crate::{
    Failure,
    http::{self, AccessToken, ErrorKind, RequestError},
    redact::Redactor,
};

/// The bytes of a response that are read at most.
const MAX_RESPONSE: usize = 64 * 1024;

/// A flag and a length are before each message.
const PREFIX: usize = 5;

/// The longest timeout that a header can have, in milliseconds.
const MAX_TIMEOUT_MS: u128 = 99_999_999;

const CONTENT: &str = "application/grpc";

/// Receivers send base64 with and without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What to call.
#[derive(Debug, Clone, Copy)]
pub struct GrpcRequest<'a> {
    /// The path of the method, such as `/package.Service/Method`.
    pub method: &'a str,
    /// The message, compressed if `encoding` says so.
    pub message: &'a [u8],
    /// How the message is compressed, such as `gzip`; see
    /// [`BodyCompressor::encoding`](crate::http::BodyCompressor::encoding).
    pub encoding: Option<&'static str>,
}

/// A message as it is sent, which remembers whether the connection has taken it.
pub(super) struct GrpcBody {
    bytes: Option<Bytes>,
    is_taken: Arc<AtomicBool>,
}

impl GrpcRequest<'_> {
    /// The request of HTTP/2. `token` is the header `Authorization`, if it is not one of the
    /// endpoint. `is_taken` becomes true when the connection takes the message.
    pub(super) fn to_http(
        self,
        endpoint: &GrpcEndpoint,
        token: Option<&AccessToken>,
        is_taken: &Arc<AtomicBool>,
        time: Duration,
    ) -> Result<Request<GrpcBody>, RequestError> {
        let too_long = || RequestError::not_sent("the message is longer than 4 GB");
        let length = u32::try_from(self.message.len()).map_err(|_| too_long())?;
        let flag = [u8::from(self.encoding.is_some())];
        let bytes = [&flag[..], &length.to_be_bytes(), self.message].concat();
        let mut request = Request::post(format!("{}{}", endpoint.base, self.method))
            .header(CONTENT_TYPE, CONTENT)
            .header(TE, "trailers")
            .header(
                "grpc-timeout",
                format!("{}m", time.as_millis().min(MAX_TIMEOUT_MS)),
            );
        if let Some(encoding) = self.encoding {
            request = request.header("grpc-encoding", encoding);
        }
        if let Some(headers) = request.headers_mut() {
            headers.extend(endpoint.headers.clone());
            headers.extend(token.map(|token| (AUTHORIZATION, token.header.clone())));
        }
        let message = GrpcBody {
            bytes: Some(bytes.into()),
            is_taken: Arc::clone(is_taken),
        };
        request.body(message).map_err(RequestError::not_sent)
    }
}

impl Body for GrpcBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.is_taken.store(true, Ordering::Relaxed);
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }
}

/// Reads the message of a response. What `redactor` hides is in no message of a failure.
pub(super) async fn read(
    response: Response<Incoming>,
    receiver: &str,
    redactor: &Redactor,
) -> Result<Vec<u8>, Failure> {
    let (head, body) = response.into_parts();
    let collected = Limited::new(body, MAX_RESPONSE).collect().await;
    let cut_off = collected.as_ref().err().map(ToString::to_string);
    let (trailers, message) = match collected {
        Ok(collected) => (collected.trailers().cloned(), collected.to_bytes()),
        Err(_) => (None, Bytes::new()),
    };
    let trailers = trailers.unwrap_or_default();
    // A response without a message has the status in its head.
    let Some(mut status) = status(&head.headers).or_else(|| status(&trailers)) else {
        return Err(without_status(&head, cut_off, receiver));
    };
    if status.code != 0 {
        status.message = redactor.redact(&status.message).into_owned();
        return Err(status.failure(receiver));
    }
    content(&message).ok_or_else(|| {
        Failure::misconfigured(format!(
            "`{receiver}` answers OK without a message that can be read (is something between \
             that changes it?)"
        ))
    })
}

/// The message after its prefix. Some receivers compress it if the request is compressed, and then
/// as the request, although the client does not ask for it.
fn content(message: &[u8]) -> Option<Vec<u8>> {
    let (prefix, content) = message.split_first_chunk::<PREFIX>()?;
    let [flag, length @ ..] = *prefix;
    if content.len() != u32::from_be_bytes(length) as usize {
        return None;
    }
    if flag == 0 {
        return Some(content.to_vec());
    }
    let mut decompressed = Vec::new();
    let decoder = GzDecoder::new(content);
    let read = decoder
        .take(MAX_RESPONSE as u64)
        .read_to_end(&mut decompressed);
    read.ok().map(|_| decompressed)
}

/// The status in the headers or the trailers of a response.
fn status(headers: &HeaderMap) -> Option<GrpcStatus> {
    /// What a code that is no number means.
    const UNKNOWN: i32 = 2;
    let code = headers.get("grpc-status")?;
    let message = headers.get("grpc-message").map(HeaderValue::as_bytes);
    let message = percent_decode(message.unwrap_or_default()).decode_utf8_lossy();
    let details = headers.get("grpc-status-details-bin");
    let details = details.and_then(|details| BASE64.decode(details).ok());
    let details = details.and_then(|details| GrpcStatus::decode(&details));
    Some(GrpcStatus {
        code: code
            .to_str()
            .ok()
            .and_then(|code| code.parse().ok())
            .unwrap_or(UNKNOWN),
        message: message.into_owned(),
        retry_delay: details.and_then(|details| details.retry_delay),
    })
}

/// A response that is not of gRPC, but of a proxy or of another server, or one without its end.
fn without_status(head: &Parts, cut_off: Option<String>, receiver: &str) -> Failure {
    let status = head.status.as_u16();
    if !head.status.is_success() {
        let after = head
            .headers
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok());
        return http::failure(status, after, format!("`{receiver}` answers {status}"));
    }
    let kind = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    if !kind.unwrap_or_default().starts_with(CONTENT.as_bytes()) {
        return Failure::misconfigured(format!(
            "`{receiver}` answers {status} without a status of gRPC (check `url`, and whether a \
             proxy asks for a sign-in)"
        ));
    }
    let reason = cut_off.unwrap_or_else(|| "it has no status".to_owned());
    Failure::Uncertain {
        message: format!("`{receiver}`: the response is cut off: {reason}"),
    }
}

/// Why there is no response. `is_taken` is whether the connection has taken the message.
pub(super) fn request_error(error: &hyper::Error, is_taken: bool) -> RequestError {
    let http2 = error
        .source()
        .and_then(|source| source.downcast_ref::<h2::Error>());
    let reason = http2.and_then(h2::Error::reason);
    if http2.is_some_and(|error| error.is_library())
        || reason == Some(h2::Reason::HTTP_1_1_REQUIRED)
    {
        return not_http2(&format!("does not speak HTTP/2: {}", with_sources(error)));
    }
    let kind = if is_taken && reason != Some(h2::Reason::REFUSED_STREAM) {
        ErrorKind::NoResponse
    } else {
        ErrorKind::NotSent
    };
    let is_closed = http2.is_none_or(h2::Error::is_io);
    let remedy = if is_closed {
        " (check that the receiver speaks gRPC at this port, and whether it wants `https`)"
    } else {
        ""
    };
    RequestError {
        kind,
        reason: format!("{}{remedy}", with_sources(error)),
    }
}

/// The text of an error and of its sources: that of `hyper` alone says little.
fn with_sources(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}
