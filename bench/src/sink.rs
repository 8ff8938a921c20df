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
    if let Ok(body) = request.into_body().collect().await {
        let marks = counted.finder.find_iter(&body.to_bytes()).count();
        counted.first.get_or_init(Instant::now);
        counted.marks.fetch_add(marks as u64, Relaxed);
    }
    Ok(Response::new(Empty::new()))
}
