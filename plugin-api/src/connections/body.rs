//! Bodies that tell the table whose turn it is.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http_body::{Body, Frame, SizeHint};

use super::ConnectionSlot;

/// The body of a request or of its response.
#[derive(Debug)]
pub struct MeteredBody<B> {
    inner: B,
    slot: Arc<ConnectionSlot>,
    direction: Direction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Request,
    Response,
}

impl<B> MeteredBody<B> {
    /// The body of a request: while its next part has not arrived, the connection waits
    /// for its client.
    pub fn request(inner: B, slot: Arc<ConnectionSlot>) -> Self {
        slot.begin_request();
        Self {
            inner,
            slot,
            direction: Direction::Request,
        }
    }

    /// The body of a response: when it is dropped, the request has ended.
    pub fn response(inner: B, slot: Arc<ConnectionSlot>) -> Self {
        Self {
            inner,
            slot,
            direction: Direction::Response,
        }
    }
}

impl<B: Body + Unpin> Body for MeteredBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = Pin::new(&mut self.inner).poll_frame(context);
        if self.direction == Direction::Request {
            self.slot.set_blocked(frame.is_pending());
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B> Drop for MeteredBody<B> {
    fn drop(&mut self) {
        match self.direction {
            Direction::Request => self.slot.set_blocked(false),
            Direction::Response => self.slot.end_request(),
        }
    }
}
