//! Reading a request body, no further than it may reach.

use std::{future::poll_fn, pin::Pin, time::Duration};

use axum::{
    body::{Body, Bytes, HttpBody},
    http::{HeaderMap, header::EXPECT},
};
use tokio::time::timeout;

use crate::api::error::ApiError;

/// How long the next piece of a body may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long, and how much, of a refused body is still taken off the line: closed
/// earlier, the connection breaks before its sender has seen the answer.
const LINGER: Duration = Duration::from_secs(5);
const LINGER_BYTES: u64 = 256 << 20;

/// What is set aside for a body before any of it has come.
const FIRST_BYTES: u64 = 1 << 20;

/// The whole body.
///
/// # Errors
///
/// It is larger than the limit, or it does not arrive.
pub(in crate::api) async fn read(body: &mut Body, limit: u64) -> Result<Vec<u8>, ApiError> {
    let too_large = || ApiError::RequestBodyTooLarge {
        detail: format!(
            "it has more than {limit} bytes (send smaller batches, or raise `api.max_body_bytes`)"
        ),
    };
    let declared = body.size_hint().lower();
    if declared > limit {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    bytes.reserve(usize::try_from(declared.min(FIRST_BYTES)).unwrap_or_default());
    loop {
        let next = timeout(PATIENCE, next(body)).await;
        let Some(piece) = next.map_err(|_| ApiError::RequestTimeout)? else {
            return Ok(bytes);
        };
        let piece = piece.map_err(|_| ApiError::MalformedRequestBody {
            detail: "it is cut off".to_owned(),
        })?;
        if bytes.len() as u64 + piece.len() as u64 > limit {
            return Err(too_large());
        }
        bytes.extend_from_slice(&piece);
    }
}

/// Takes the rest of a refused body off the line, for a while.
pub(in crate::api) fn discard_later(headers: &HeaderMap, body: Body) {
    // Whoever waits to be asked for the body has not sent it, and is not asked.
    if !headers.contains_key(EXPECT) {
        tokio::spawn(timeout(LINGER, discard(body)));
    }
}

/// The next bytes of a body; nothing at its end.
async fn next(body: &mut Body) -> Option<Result<Bytes, axum::Error>> {
    loop {
        let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await?;
        match frame.map(|frame| frame.into_data()) {
            Ok(Ok(bytes)) => return Some(Ok(bytes)),
            // Trailers say nothing that is asked for here.
            Ok(Err(_)) => {}
            Err(error) => return Some(Err(error)),
        }
    }
}

async fn discard(mut body: Body) {
    let mut bytes = 0;
    while let Some(Ok(piece)) = next(&mut body).await {
        bytes += piece.len() as u64;
        if bytes > LINGER_BYTES {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_of_just_the_limit_is_read() {
        assert_eq!(read(&mut Body::from("12345"), 5).await.unwrap(), b"12345");
        assert_eq!(read(&mut Body::empty(), 5).await.unwrap(), b"");
    }

    #[tokio::test]
    async fn a_byte_more_is_refused() {
        let error = read(&mut Body::from("123456"), 5).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "Request body too large: it has more than 5 bytes \
             (send smaller batches, or raise `api.max_body_bytes`)."
        );
    }
}
