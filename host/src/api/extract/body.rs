//! Reads request bodies within limits of size and time.

use std::{future::poll_fn, pin::Pin, time::Duration};

use axum::{
    body::{Body, Bytes, HttpBody},
    http::{HeaderMap, header::EXPECT},
};
use delfin_plugin_api::connections::MinimumRate;
use tokio::time::{Instant, timeout, timeout_at};

use crate::{api::error::ApiError, ingest::MemoryClaim};

/// How long a whole body may take to arrive, however many bytes it has.
const BODY_TIMEOUT: Duration = Duration::from_mins(5);

/// How long, and how much, of a refused body is still read. A server that closes the
/// connection while the client sends breaks it before the client has read the answer.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_DISCARDED_BYTES: u64 = 256 << 20;

/// Maximum capacity that is reserved because of a declared length alone.
const MAX_RESERVED_BYTES: u64 = 1 << 20;

/// Reads the whole body.
///
/// # Errors
///
/// The body is larger than the limit, does not arrive in time, or there is no memory for it.
pub(in crate::api) async fn read(
    body: &mut Body,
    limit: u64,
    claim: &mut MemoryClaim,
) -> Result<Vec<u8>, ApiError> {
    let too_large = || ApiError::RequestBodyTooLarge {
        detail: format!(
            "it has more than {limit} bytes (send smaller batches, or raise `api.max_body_bytes`)"
        ),
    };
    let declared = body.size_hint().lower();
    if declared > limit {
        return Err(too_large());
    }
    let reserved = usize::try_from(declared.min(MAX_RESERVED_BYTES)).unwrap_or_default();
    let mut bytes = Vec::with_capacity(reserved);
    let (deadline, mut rate) = (Instant::now() + BODY_TIMEOUT, MinimumRate::default());
    loop {
        let begin = Instant::now();
        let end = deadline.min(begin + rate.left());
        let next = timeout_at(end, next(body)).await;
        let Some(piece) = next.map_err(|_| ApiError::RequestTimeout)? else {
            bytes.shrink_to_fit();
            claim.end_receiving();
            return Ok(bytes);
        };
        let piece = piece.map_err(|_| ApiError::MalformedRequestBody {
            detail: "it is cut off".to_owned(),
        })?;
        if bytes.len() as u64 + piece.len() as u64 > limit {
            return Err(too_large());
        }
        rate.progress(begin.elapsed(), piece.len() as u64);
        claim.resize((bytes.len() + piece.len()) as u64)?;
        bytes.extend_from_slice(&piece);
    }
}

/// Reads and discards the rest of a refused body in the background.
pub(in crate::api) fn discard_later(headers: &HeaderMap, body: Body) {
    // A client that expects `100 Continue` has not sent the body, and now never does.
    if !headers.contains_key(EXPECT) {
        tokio::spawn(timeout(DISCARD_TIMEOUT, discard(body)));
    }
}

/// The next bytes of a body; `None` at its end.
async fn next(body: &mut Body) -> Option<Result<Bytes, axum::Error>> {
    loop {
        let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await?;
        match frame.map(|frame| frame.into_data()) {
            Ok(Ok(bytes)) => return Some(Ok(bytes)),
            // Trailers are not used.
            Ok(Err(_)) => {}
            Err(error) => return Some(Err(error)),
        }
    }
}

async fn discard(mut body: Body) {
    let mut bytes = 0;
    while let Some(Ok(piece)) = next(&mut body).await {
        bytes += piece.len() as u64;
        if bytes > MAX_DISCARDED_BYTES {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_of_the_maximum_size_is_read() {
        let mut claim = MemoryClaim::unlimited();
        let mut body = Body::from("12345");
        assert_eq!(read(&mut body, 5, &mut claim).await.unwrap(), b"12345");
        let mut body = Body::empty();
        assert_eq!(read(&mut body, 5, &mut claim).await.unwrap(), b"");
    }

    #[tokio::test]
    async fn a_body_that_is_a_byte_larger_is_refused() {
        let mut claim = MemoryClaim::unlimited();
        let mut body = Body::from("123456");
        let error = read(&mut body, 5, &mut claim).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "Request body too large: it has more than 5 bytes \
             (send smaller batches, or raise `api.max_body_bytes`)."
        );
    }
}
