//! Receivers that count what they get, by the marks in the bodies of requests.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use delfin_bench::payload::MARK;
use http_body_util::{BodyExt, Empty};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use memchr::memmem::Finder;
use tokio::net::{TcpListener, TcpSocket};

/// How many connections may wait.
const BACKLOG: u32 = 128;

/// A receiver whose port is reserved. It refuses connections until it is opened.
pub(crate) struct Sink {
    socket: Option<TcpSocket>,
    pub(crate) address: SocketAddr,
    counted: Arc<Counted>,
}

struct Counted {
    finder: Finder<'static>,
    marks: AtomicU64,
    first: OnceLock<Instant>,
}

impl Sink {
    pub(crate) fn reserve() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket
            .bind((Ipv4Addr::LOCALHOST, 0).into())
            .expect("a port");
        let address = socket.local_addr().expect("the port");
        Self {
            socket: Some(socket),
            address,
            counted: Arc::new(Counted {
                finder: Finder::new(MARK),
                marks: AtomicU64::new(0),
                first: OnceLock::new(),
            }),
        }
    }

    pub(crate) fn open(&mut self) {
        if let Some(socket) = self.socket.take() {
            let listener = socket
                .listen(BACKLOG)
                .expect("the port accepts connections");
            tokio::spawn(accept(listener, Arc::clone(&self.counted)));
        }
    }

    /// How many marks were received.
    pub(crate) fn marks(&self) -> u64 {
        self.counted.marks.load(Relaxed)
    }

    /// When the first request was received.
    pub(crate) fn first(&self) -> Option<Instant> {
        self.counted.first.get().copied()
    }
}

async fn accept(listener: TcpListener, counted: Arc<Counted>) {
    while let Ok((connection, _)) = listener.accept().await {
        let counted = Arc::clone(&counted);
        let service = service_fn(move |request| answer(request, Arc::clone(&counted)));
        tokio::spawn(async move {
            // A program that closes its connection is no error.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(connection), service)
                .await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    counted: Arc<Counted>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let mut body = request.into_body();
    let mut counter = MarkCounter::new(&counted.finder);
    while let Some(frame) = body.frame().await {
        // A body that is cut off is sent again.
        let Ok(frame) = frame else {
            return Ok(Response::new(Empty::new()));
        };
        if let Some(data) = frame.data_ref() {
            counter.add(data);
        }
    }
    counted.first.get_or_init(Instant::now);
    counted.marks.fetch_add(counter.marks as u64, Relaxed);
    Ok(Response::new(Empty::new()))
}

/// Counts marks in a body that arrives in parts, without a copy of it.
struct MarkCounter<'a> {
    finder: &'a Finder<'static>,
    marks: usize,
    /// What a mark may begin with that ends in the next part: the end of the parts so far.
    end: Vec<u8>,
}

impl<'a> MarkCounter<'a> {
    /// Of a mark, in a part, when the rest is in another.
    const MAX_PART: usize = MARK.len() - 1;

    fn new(finder: &'a Finder<'static>) -> Self {
        Self {
            finder,
            marks: 0,
            end: Vec::with_capacity(2 * Self::MAX_PART),
        }
    }

    fn add(&mut self, part: &[u8]) {
        let begin = &part[..part.len().min(Self::MAX_PART)];
        self.end.extend_from_slice(begin);
        for bytes in [self.end.as_slice(), part] {
            self.marks += self.finder.find_iter(bytes).count();
        }
        let rest = &part[begin.len()..];
        self.end
            .extend_from_slice(&rest[rest.len().saturating_sub(Self::MAX_PART)..]);
        let before = self.end.len().saturating_sub(Self::MAX_PART);
        self.end.drain(..before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_counted_wherever_a_body_is_divided() {
        let body = format!("{MARK}1,{MARK}{MARK}2,bench-volum,{MARK}");
        let finder = Finder::new(MARK);
        for size in 1..=body.len() {
            let mut counter = MarkCounter::new(&finder);
            body.as_bytes()
                .chunks(size)
                .for_each(|part| counter.add(part));
            assert_eq!(counter.marks, 4, "parts of {size} bytes");
        }
    }
}
