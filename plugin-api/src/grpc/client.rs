//! A client for exporters that speak gRPC: calls with one message each way.
//!
//! Promises: a call ends within the time that the caller gives; a receiver's certificate is always
//! verified; only the proxy of the settings is used; a response is read up to 64 KiB; no message
//! shows a secret.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::task::JoinHandle;

use super::{
    GrpcEndpoint, GrpcRequest,
    exchange::{GrpcBody, read, request_error},
    transport::TlsFailure,
};
use crate::{
    Failure, Host,
    http::{AccessToken, ErrorKind, RequestError},
    runtime::AsyncRuntime,
};

/// A client of gRPC. It keeps a connection open for each call that was made at the same time.
pub struct GrpcClient {
    runtime: AsyncRuntime,
    endpoint: GrpcEndpoint,
    /// Those that no call uses.
    connections: Mutex<Vec<Http2Connection>>,
}

/// A connection that is open, or was.
struct Http2Connection {
    sender: SendRequest<GrpcBody>,
    tls_failure: TlsFailure,
    /// Reads and writes until the connection or its sender is closed.
    driver: JoinHandle<hyper::Result<()>>,
}

impl GrpcClient {
    /// A client for an instance of an exporter. Connects with the first call.
    ///
    /// # Errors
    ///
    /// The system starts no thread.
    pub fn new(endpoint: GrpcEndpoint, host: &Host) -> Result<Self, Failure> {
        Ok(Self {
            runtime: AsyncRuntime::new(host)?,
            endpoint,
            connections: Mutex::default(),
        })
    }

    /// Calls a method and returns the message of the response. It takes somewhat less than `time`,
    /// so that the caller can return in time.
    ///
    /// # Errors
    ///
    /// The status is not OK, or there is no response: [`Failure::Uncertain`] if the receiver may
    /// have the message.
    pub fn call(&self, request: GrpcRequest<'_>, time: Duration) -> Result<Vec<u8>, Failure> {
        let Some(tokens) = &self.endpoint.tokens else {
            return self.call_with(request, None, time);
        };
        let attempt = |token: Option<&AccessToken>, time| Ok(self.call_with(request, token, time));
        let is_refused =
            |called: &Result<_, _>| matches!(called, Err(Failure::Unauthorized { .. }));
        let called = tokens.with_token(time, attempt, is_refused);
        called.unwrap_or_else(|error| Err(error.failure(&self.endpoint.redacted)))
    }

    fn call_with(
        &self,
        request: GrpcRequest<'_>,
        token: Option<&AccessToken>,
        time: Duration,
    ) -> Result<Vec<u8>, Failure> {
        let endpoint = &self.endpoint;
        let receiver = &endpoint.redacted;
        let redactor = token.map_or(&endpoint.redactor, |token| &token.redactor);
        let is_taken = Arc::<AtomicBool>::default();
        // Taken out, so that a connection without a response is not used again.
        let open = self.take_connection();
        let called = self.runtime.run(time, async {
            let request = request.to_http(endpoint, token, &is_taken, time);
            let request = request.map_err(|error| error.failure(receiver))?;
            let mut open = match open {
                Some(open) => open,
                None => Http2Connection::open(endpoint)
                    .await
                    .map_err(|error| error.failure(receiver))?,
            };
            let response = match open.sender.send_request(request).await {
                Ok(response) => response,
                Err(error) => {
                    let is_taken = is_taken.load(Ordering::Relaxed);
                    return Err(open.error(error, is_taken).await.failure(receiver));
                }
            };
            let message = read(response, receiver, redactor).await;
            self.lock().push(open);
            message
        });
        called.unwrap_or_else(|| {
            let (kind, reason) = if is_taken.load(Ordering::Relaxed) {
                (ErrorKind::NoResponse, "does not answer in time")
            } else {
                (ErrorKind::NotSent, "no time left to send")
            };
            let reason = reason.to_owned();
            Err(RequestError { kind, reason }.failure(receiver))
        })
    }

    fn take_connection(&self) -> Option<Http2Connection> {
        let mut connections = self.lock();
        connections.retain(|open| !open.sender.is_closed());
        connections.pop()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Http2Connection>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Http2Connection {
    async fn open(endpoint: &GrpcEndpoint) -> Result<Self, RequestError> {
        let tls_failure = TlsFailure::default();
        let transport = TokioIo::new(endpoint.connect(&tls_failure).await?);
        let opened = http2::handshake(TokioExecutor::new(), transport).await;
        let (sender, connection) = opened.map_err(RequestError::not_sent)?;
        Ok(Self {
            sender,
            tls_failure,
            driver: tokio::spawn(connection),
        })
    }

    /// Why a request failed. `is_taken` is whether the connection has taken the message.
    async fn error(self, error: hyper::Error, is_taken: bool) -> RequestError {
        drop(self.sender);
        let error = match self.driver.await {
            // An error of the connection cancels requests that were not begun.
            Ok(Err(reason)) if error.is_canceled() => reason,
            Ok(_) | Err(_) => error,
        };
        match self.tls_failure.reason() {
            Some(reason) => RequestError {
                kind: ErrorKind::Untrusted,
                reason,
            },
            None => request_error(&error, is_taken),
        }
    }
}

#[cfg(all(test, feature = "testkit"))]
mod tests;
