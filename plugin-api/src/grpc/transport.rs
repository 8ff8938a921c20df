//! A connection to the receiver: over TLS and through a proxy, or without them.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

use crate::tls;

/// The bytes of a connection.
pub(super) trait GrpcTransport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> GrpcTransport for T {}

/// Why TLS failed after a connection was open, such as an alert about the client certificate. The
/// library for HTTP/2 passes on the text of such an error, and not the error.
#[derive(Debug, Clone, Default)]
pub(super) struct TlsFailure(Arc<Mutex<Option<String>>>);

impl TlsFailure {
    /// The reason, if TLS has failed.
    pub(super) fn reason(&self) -> Option<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn keep(&self, error: &io::Error) {
        if let Some(reason) = tls::reason_of(error) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
        }
    }
}

/// A connection over TLS that keeps why it failed.
pub(super) struct GrpcTlsTransport {
    pub(super) stream: TlsStream<Box<dyn GrpcTransport>>,
    pub(super) failure: TlsFailure,
}

impl AsyncRead for GrpcTlsTransport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Poll::Ready(Err(error)) = &read {
            self.failure.keep(error);
        }
        read
    }
}

impl AsyncWrite for GrpcTlsTransport {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
