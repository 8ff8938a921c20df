//! Serves the page.
//!
//! Promises: a scrape changes nothing, waits for nobody, and nobody waits for
//! it; a client that is slow, or many, or sends nonsense, is cut off; when the
//! server is dropped, its port is free.
//!
//! Knows nothing of batches.

use std::{
    convert::Infallible,
    io,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use delfin_plugin_api::{Failure, Host, log};
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
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use super::{
    auth::Guard,
    body::PageBody,
    config::{Config, TlsFiles},
    negotiate,
    render::{Rendering, View},
    store::Page,
};

/// More at once are not accepted before one is done.
const MAX_CONNECTIONS: usize = 64;
const MAX_HEADERS: usize = 64;
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// For TLS to be agreed on, and then for the head of the request.
const GREETING: Duration = Duration::from_secs(10);
/// For everything: no scrape timeout is longer in practice.
const CONNECTION: Duration = Duration::from_mins(2);

/// The page that is shown now.
#[derive(Debug, Default)]
pub(crate) struct Shown(Mutex<Arc<Page>>);

/// A port on which the page can be served.
pub(crate) struct Port {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
}

/// A server, until it is dropped.
pub(crate) struct Server {
    runtime: Option<Runtime>,
}

/// Why the page cannot be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServerError {
    /// It may be free soon: what has it may be about to stop.
    #[error("cannot listen on {address}: {reason} (is another exporter there, or Delfin's own?)")]
    Busy {
        address: SocketAddr,
        reason: io::Error,
    },
    /// It will not work without a change.
    #[error("cannot listen on {address}: {reason} (choose another port, or allow this one)")]
    Refused {
        address: SocketAddr,
        reason: io::Error,
    },
    /// A certificate or key that is of no use.
    #[error("cannot use `tls_certificate` and `tls_key`: {reason}")]
    Tls { reason: String },
    /// The system has no more to give.
    #[error("cannot start the server: {0}")]
    Start(io::Error),
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        match error {
            ServerError::Busy { .. } | ServerError::Start(_) => Self::retry(error),
            ServerError::Refused { .. } | ServerError::Tls { .. } => Self::misconfigured(error),
        }
    }
}

impl Shown {
    /// Shows another page from now on.
    pub(crate) fn set(&self, page: Arc<Page>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = page;
    }

    fn get(&self) -> Arc<Page> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Port {
    /// Takes the port that `config` names.
    pub(crate) fn open(config: &Config) -> Result<Self, ServerError> {
        let tls = config.tls.as_ref().map(acceptor).transpose()?;
        let address = config.listen;
        let listen = || {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        let listener = listen().map_err(|reason: io::Error| match reason.kind() {
            // A floating address comes with a takeover, a port is freed.
            io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable => {
                ServerError::Busy { address, reason }
            }
            io::ErrorKind::PermissionDenied => ServerError::Refused { address, reason },
            _ => ServerError::Start(reason),
        })?;
        Ok(Self { listener, tls })
    }

    /// Where it is.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Server {
    /// Serves what is in `shown`.
    pub(crate) fn start(
        port: Port,
        config: &Config,
        shown: Arc<Shown>,
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
        let listener =
            tokio::net::TcpListener::from_std(port.listener).map_err(ServerError::Start)?;
        drop(context);
        let service = Service {
            shown,
            guard: config.login.as_ref().map(Guard::new),
            expiration_ms: millis(config.metric_expiration),
            send_timestamps: config.send_timestamps,
            host: host.clone(),
        };
        runtime.spawn(accept(listener, port.tls, Arc::new(service)));
        Ok(Self {
            runtime: Some(runtime),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Scrapes are cut off at their next piece, and the port is free.
            runtime.shutdown_timeout(Duration::from_secs(2));
        }
    }
}

struct Service {
    shown: Arc<Shown>,
    guard: Option<Guard>,
    expiration_ms: i64,
    send_timestamps: bool,
    host: Host,
}

async fn accept(
    listener: tokio::net::TcpListener,
    tls: Option<TlsAcceptor>,
    service: Arc<Service>,
) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut failing = false;
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                failing = false;
                let (tls, service) = (tls.clone(), Arc::clone(&service));
                tokio::spawn(async move {
                    // Whoever is cut off notices; there is nobody else to tell.
                    let _ = timeout(CONNECTION, connection(stream, tls, service)).await;
                    drop(permit);
                });
            }
            Err(error) => {
                if !failing {
                    let warn = || log::warn!(error:%; "scrapes cannot be accepted");
                    service.host.scope(warn);
                }
                failing = true;
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, service: Arc<Service>) {
    stream.set_nodelay(true).ok();
    match tls {
        None => speak(stream, service).await,
        Some(tls) => {
            if let Ok(Ok(stream)) = timeout(GREETING, tls.accept(stream)).await {
                speak(stream, service).await;
            }
        }
    }
}

async fn speak(stream: impl AsyncRead + AsyncWrite + Unpin, service: Arc<Service>) {
    let answer = service_fn(async |request: Request<Incoming>| {
        Ok::<_, Infallible>(service.answer(&request))
    });
    // A scrape comes every few seconds: connections that wait for the next one
    // would only take up room.
    let spoken = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(GREETING)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEADER_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answer)
        .await;
    if let Err(error) = spoken {
        let debug = || log::debug!(error:%; "scrape broken off");
        service.host.scope(debug);
    }
}

impl Service {
    fn answer(&self, request: &Request<Incoming>) -> Response<PageBody> {
        let headers = request.headers();
        if self
            .guard
            .as_ref()
            .is_some_and(|guard| !guard.admits(headers))
        {
            self.host.count("scrapes_unauthorized", 1);
            let ask = HeaderValue::from_static("Basic realm=\"delfin\", charset=\"UTF-8\"");
            let refused = words(StatusCode::UNAUTHORIZED, "a name and a password, please\n");
            return with(refused, WWW_AUTHENTICATE, ask);
        }
        if request.uri().path() != "/metrics" {
            return words(StatusCode::NOT_FOUND, "the page is /metrics\n");
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let refused = words(StatusCode::METHOD_NOT_ALLOWED, "the page is to be read\n");
            return with(refused, ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        self.host.count("scrapes", 1);
        let view = View {
            format: negotiate::format(headers),
            send_timestamps: self.send_timestamps,
            expiration_ms: self.expiration_ms,
            now: now_millis(),
        };
        let gzip = negotiate::gzip(headers);
        let rendering = Rendering::new(self.shown.get(), view);
        let mut response = Response::new(PageBody::page(rendering, gzip));
        let headers = response.headers_mut();
        let content_type = HeaderValue::from_static(view.format.content_type());
        headers.insert(CONTENT_TYPE, content_type);
        headers.insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
        if gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

fn words(status: StatusCode, words: &'static str) -> Response<PageBody> {
    let mut response = Response::new(PageBody::words(words));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static("text/plain; charset=utf-8");
    with(response, CONTENT_TYPE, content_type)
}

fn with(
    mut response: Response<PageBody>,
    name: HeaderName,
    value: HeaderValue,
) -> Response<PageBody> {
    response.headers_mut().insert(name, value);
    response
}

fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, ServerError> {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject};
    let unusable = |reason: &dyn std::fmt::Display, path: &std::path::Path| ServerError::Tls {
        reason: format!("`{}`: {reason}", path.display()),
    };
    let certificates = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, pem::Error>>)
        .map_err(|error| unusable(&error, &files.certificate))?;
    let key = PrivateKeyDer::from_pem_file(&files.key);
    let key = key.map_err(|error| unusable(&error, &files.key))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            let builder = builder.with_no_client_auth();
            builder.with_single_cert(certificates, key)
        });
    let config = config.map_err(|error| unusable(&error, &files.certificate))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// In milliseconds since the epoch.
pub(crate) fn now_millis() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    millis(since.unwrap_or_default())
}

/// A duration in milliseconds.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
