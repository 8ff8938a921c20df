//! Serves the page over HTTP.
//!
//! Promises: a scrape changes nothing, and neither a scrape nor a batch waits for
//! the other; the server cuts off a slow client and limits the number of clients;
//! dropping the server frees its port.
//!
//! Knows nothing of batches.

mod auth;
pub(super) mod body;
mod negotiate;
pub mod render;
mod tls;

use std::{
    convert::Infallible,
    io,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use delfin_plugin_api::{
    Host,
    connections::{ConnectionSlot, ConnectionTable, MeteredBody, PacedStream, check_port},
    log,
    time::millis,
};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{
        ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, VARY, WWW_AUTHENTICATE,
    },
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    runtime::{Builder, Runtime},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use self::{
    auth::BasicAuth,
    body::PageBody,
    render::{PageRenderer, RenderOptions},
};
use super::{
    config::PageConfig,
    outcome::ServerError,
    state::{PageClock, PageSnapshot},
};

/// At the limit, the connection that has waited longest for its client gives way.
const MAX_CONNECTIONS: usize = 64;
const MAX_HEADERS: usize = 64;
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// For the TLS handshake, and for the head of the request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// For a whole connection. Scrape timeouts are shorter in practice.
const CONNECTION_TIMEOUT: Duration = Duration::from_mins(2);

/// The page that scrapes get. A new one replaces it after each batch.
#[derive(Debug, Default)]
pub struct CurrentPage(Mutex<Arc<PageSnapshot>>);

/// An open port for the page.
pub struct PageListener {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
}

/// Serves the page until it is dropped.
pub struct PageServer {
    runtime: Option<Runtime>,
}

impl CurrentPage {
    pub fn set(&self, page: Arc<PageSnapshot>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = page;
    }

    fn get(&self) -> Arc<PageSnapshot> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl PageListener {
    /// Opens the port that `config` names.
    pub fn open(config: &PageConfig) -> Result<Self, ServerError> {
        let tls = config.tls.as_ref().map(tls::acceptor).transpose()?;
        let address = config.listen;
        let listen = || {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        let listener = listen().map_err(|reason| ServerError::listen(address, reason))?;
        Ok(Self { listener, tls })
    }

    /// Reads the files that the settings name, and looks whether the port is free.
    pub fn check(config: &PageConfig) -> Result<(), ServerError> {
        config.tls.as_ref().map(tls::acceptor).transpose()?;
        let address = config.listen;
        check_port(address).map_err(|reason| ServerError::listen(address, reason))
    }

    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl PageServer {
    /// Serves `current` on a thread of its own.
    pub fn start(
        listener: PageListener,
        config: &PageConfig,
        current: Arc<CurrentPage>,
        clock: PageClock,
        host: &Host,
    ) -> Result<Self, ServerError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(1)
            .thread_name("scrape-page")
            .enable_all()
            .build()
            .map_err(ServerError::Start)?;
        let context = runtime.enter();
        let accepting =
            tokio::net::TcpListener::from_std(listener.listener).map_err(ServerError::Start)?;
        drop(context);
        let service = PageService {
            current,
            auth: config.login.as_ref().map(BasicAuth::new),
            expiration_ms: millis(config.metric_expiration),
            send_timestamps: config.send_timestamps,
            clock,
            host: host.clone(),
        };
        runtime.spawn(accept(accepting, listener.tls, Arc::new(service)));
        Ok(Self {
            runtime: Some(runtime),
        })
    }
}

impl Drop for PageServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Cuts off scrapes after the chunk that they are reading.
            runtime.shutdown_timeout(Duration::from_secs(2));
        }
    }
}

struct PageService {
    current: Arc<CurrentPage>,
    /// `None` if the page needs no login.
    auth: Option<BasicAuth>,
    expiration_ms: i64,
    send_timestamps: bool,
    clock: PageClock,
    host: Host,
}

async fn accept(
    listener: tokio::net::TcpListener,
    tls: Option<TlsAcceptor>,
    service: Arc<PageService>,
) {
    let table = ConnectionTable::new(MAX_CONNECTIONS);
    let mut failing = false;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                failing = false;
                let slot = Arc::new(table.admit().await);
                service.report_evicted(&table);
                let (tls, service) = (tls.clone(), Arc::clone(&service));
                tokio::spawn(async move {
                    let serving = connection(stream, tls, service, &slot);
                    tokio::select! {
                        () = slot.give_way() => {}
                        // A timeout needs no log line: the client notices it.
                        _ = timeout(CONNECTION_TIMEOUT, serving) => {}
                    }
                });
            }
            Err(error) => {
                // Such as too many open files. Logged once until it has passed.
                if !failing {
                    let warn = || log::warn!(error:%; "cannot accept scrapes");
                    service.host.scope(warn);
                }
                failing = true;
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    service: Arc<PageService>,
    slot: &Arc<ConnectionSlot>,
) {
    stream.set_nodelay(true).ok();
    let stream = PacedStream::new(stream, Arc::clone(slot));
    match tls {
        None => serve(stream, service, slot).await,
        Some(tls) => {
            if let Ok(Ok(stream)) = timeout(HEAD_TIMEOUT, tls.accept(stream)).await {
                serve(stream, service, slot).await;
            }
        }
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    service: Arc<PageService>,
    slot: &Arc<ConnectionSlot>,
) {
    let respond = service_fn(async |request: Request<Incoming>| {
        slot.begin_request();
        let response = service.respond(&request);
        let tracked = response.map(|body| MeteredBody::response(body, Arc::clone(slot)));
        Ok::<_, Infallible>(tracked)
    });
    // No keep-alive: scrapes are seconds apart, and an idle connection would
    // count against the limit of connections.
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEADER_BYTES)
        .keep_alive(false)
        // A client may close its side when its request is sent, and still gets the page.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), respond)
        .await;
    if let Err(error) = served {
        let debug = || log::debug!(error:%; "scrape failed");
        service.host.scope(debug);
    }
}

impl PageService {
    fn report_evicted(&self, table: &ConnectionTable) {
        let Some(connections) = table.notice() else {
            return;
        };
        self.host.count("connections_evicted", connections);
        let warn = || log::warn!(connections; "all connections of the page are in use: closed those that waited longest for their client");
        self.host.scope(warn);
    }

    fn respond(&self, request: &Request<Incoming>) -> Response<PageBody> {
        let headers = request.headers();
        if self
            .auth
            .as_ref()
            .is_some_and(|auth| !auth.accepts(headers))
        {
            self.host.count("scrapes_unauthorized", 1);
            let challenge = HeaderValue::from_static("Basic realm=\"delfin\", charset=\"UTF-8\"");
            let response = text(StatusCode::UNAUTHORIZED, "authentication required\n");
            return with_header(response, WWW_AUTHENTICATE, challenge);
        }
        if request.uri().path() != "/metrics" {
            return text(StatusCode::NOT_FOUND, "not found (the page is /metrics)\n");
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let response = text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n");
            return with_header(response, ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        self.host.count("scrapes", 1);
        let options = RenderOptions {
            format: negotiate::format(headers),
            send_timestamps: self.send_timestamps,
            expiration_ms: self.expiration_ms,
            now: self.clock.now_ms(),
        };
        let gzip = negotiate::gzip(headers);
        let renderer = PageRenderer::new(self.current.get(), options);
        let mut response = Response::new(PageBody::page(renderer, gzip));
        let headers = response.headers_mut();
        let content_type = HeaderValue::from_static(options.format.content_type());
        headers.insert(CONTENT_TYPE, content_type);
        headers.insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
        if gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

fn text(status: StatusCode, text: &'static str) -> Response<PageBody> {
    let mut response = Response::new(PageBody::text(text));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static("text/plain; charset=utf-8");
    with_header(response, CONTENT_TYPE, content_type)
}

fn with_header(
    mut response: Response<PageBody>,
    name: HeaderName,
    value: HeaderValue,
) -> Response<PageBody> {
    response.headers_mut().insert(name, value);
    response
}
