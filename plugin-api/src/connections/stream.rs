//! A stream that cuts off a client that does not read.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

use super::{ConnectionSlot, MinimumRate};

/// A stream whose writes fail when the client reads slower than [`MinimumRate`] allows.
#[derive(Debug)]
pub struct PacedStream<S> {
    inner: S,
    slot: Arc<ConnectionSlot>,
    rate: MinimumRate,
    /// Since when a write waits for the client, and when it fails.
    blocked: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl<S> PacedStream<S> {
    /// The stream of the connection that has this place.
    pub fn new(inner: S, slot: Arc<ConnectionSlot>) -> Self {
        Self {
            inner,
            slot,
            rate: MinimumRate::default(),
            blocked: None,
        }
    }

    fn apply_rate(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Pending => {
                let slot = &self.slot;
                let left = self.rate.left();
                let (_, end) = self.blocked.get_or_insert_with(|| {
                    slot.set_blocked(true);
                    (Instant::now(), Box::pin(sleep(left)))
                });
                ready!(end.as_mut().poll(context));
                let text = "the client reads too slowly";
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, text)))
            }
            Poll::Ready(written) => {
                let bytes = *written.as_ref().unwrap_or(&0) as u64;
                let blocked = self.blocked.take();
                if blocked.is_some() {
                    self.slot.set_blocked(false);
                }
                let waited = blocked.map(|(since, _)| since.elapsed());
                self.rate.progress(waited.unwrap_or_default(), bytes);
                Poll::Ready(written)
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PacedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PacedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.apply_rate(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(context, slices);
        self.apply_rate(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    // A TCP stream has nothing to flush, so only writes wait for the client.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
