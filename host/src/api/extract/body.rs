//! Reads request bodies within limits of size and time, and what handlers leave of them.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Error,
    body::{Body, Bytes, HttpBody},
    http::{Request, header::EXPECT},
};
use delfin_plugin_api::connections::MinimumRate;
use hyper::body::{Frame, SizeHint};
use tokio::{
    runtime::Handle,
    time::{Instant, timeout, timeout_at},
};

use crate::{api::error::ApiError, ingest::MemoryClaim};

/// How long a whole body may take to arrive, however many bytes it has.
const BODY_TIMEOUT: Duration = Duration::from_mins(5);

/// How long, and how much, of a body is still read that its handler leaves.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_DISCARDED_BYTES: u64 = 256 << 20;

/// Maximum memory that is reserved because of a declared length alone: requests that wait for their first
/// bytes keep none from others.
const MAX_RESERVED_BYTES: u64 = 64 << 10;

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
    let reserved = declared.min(MAX_RESERVED_BYTES);
    claim.grow(reserved).await?;
    let mut bytes = Vec::with_capacity(usize::try_from(reserved).unwrap_or_default());
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
        let needed = (bytes.len() + piece.len()) as u64;
        claim.grow(needed.max(reserved)).await?;
        bytes.extend_from_slice(&piece);
    }
}

/// The body of a request, whose rest is read in the background when its handler leaves it: most refusals, and calls that
/// need no body, leave one. Otherwise the connection would be closed while the client sends, which breaks it before the
/// client has read the answer.
struct DrainedBody {
    inner: Body,
    /// Whether the client waits for `100 Continue`, which it gets when the body is first asked for. If it does
    /// not get it, it never sends the body.
    awaits_continue: bool,
    is_read: bool,
}

/// Makes the request one whose body is read to its end, also when the handler leaves it.
pub(in crate::api) fn drained(request: Request<Body>) -> Request<Body> {
    let awaits_continue = request.headers().contains_key(EXPECT);
    request.map(|inner| {
        Body::new(DrainedBody {
            is_read: inner.is_end_stream(),
            inner,
            awaits_continue,
        })
    })
}

impl HttpBody for DrainedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.awaits_continue = false;
        let frame = Pin::new(&mut self.inner).poll_frame(context);
        self.is_read |= matches!(frame, Poll::Ready(None | Some(Err(_))));
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for DrainedBody {
    fn drop(&mut self) {
        let is_left = !self.is_read && !self.awaits_continue && !self.inner.is_end_stream();
        if is_left && let Ok(runtime) = Handle::try_current() {
            let body = std::mem::take(&mut self.inner);
            runtime.spawn(timeout(DISCARD_TIMEOUT, discard(body)));
        }
    }
}

/// The next bytes of a body; `None` at its end.
async fn next(body: &mut Body) -> Option<Result<Bytes, Error>> {
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
