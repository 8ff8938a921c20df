//! Connections: accept them, limit their number and time, and close them at the end.
//!
//! When all connections are in use, the one that has waited longest for its client gives
//! way. So neither idle nor slow clients keep others out.

use std::{convert::Infallible, io, pin::pin, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{Request, Response},
};
use delfin_plugin_api::connections::{ConnectionSlot, ConnectionTable, MeteredBody, PacedStream};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
    service::TowerToHyperService,
};
use log::Level;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    ApiState,
    extract::body,
    json_suffix,
    listen::{ApiListener, ClientStream},
    metrics_router,
    peer::Peer,
    router,
    standby::{StandbyState, standby_router},
};
use crate::{access::TlsStore, panics::ContainedFuture};

/// How long the head of a request may take to arrive, and how long a connection may be
/// idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// The buffer of a connection, which also limits the head of a request.
const MAX_BUFFER_BYTES: usize = 64 << 10;

/// How long requests in progress may take when the host stops.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause after an error of `accept`. The usual cause is that no file descriptors are
/// left, and an immediate attempt would fail too.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Connections for the metrics alone at a time.
const MAX_METRICS_CONNECTIONS: usize = 32;

/// What all connections need.
#[derive(Clone)]
struct Server {
    router: Router,
    tls: Option<Arc<TlsStore>>,
}

/// Answers requests until `shutdown` completes, then finishes those in progress.
///
/// # Errors
///
/// The address of the listener cannot be read.
pub async fn serve(
    listener: ApiListener,
    tls: Option<Arc<TlsStore>>,
    state: ApiState,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    listener.log()?;
    let table = state.connections();
    let server = Server {
        router: router(state),
        tls,
    };
    serve_all(listener, server, table, shutdown).await;
    Ok(())
}

/// As [`serve`], for a standby. The listener stays open for the host that becomes active.
pub async fn serve_standby(
    listener: &ApiListener,
    tls: Option<Arc<TlsStore>>,
    state: StandbyState,
    shutdown: impl Future<Output = ()>,
) {
    // Without its address, nothing is missing but a line.
    let _ = listener.log();
    let table = state.connections();
    let server = Server {
        router: standby_router(state),
        tls,
    };
    let open = accept_all(listener, server, table, shutdown).await;
    tokio::spawn(open.wait());
}

/// As [`serve_standby`], for the metrics alone.
pub async fn serve_standby_metrics(
    listener: &ApiListener,
    tls: Option<Arc<TlsStore>>,
    state: StandbyState,
    is_exposed: bool,
    shutdown: impl Future<Output = ()>,
) {
    let server = Server {
        router: metrics_router(state, is_exposed),
        tls,
    };
    let table = ConnectionTable::new(MAX_METRICS_CONNECTIONS);
    let open = accept_all(listener, server, table, shutdown).await;
    tokio::spawn(open.wait());
}

/// As [`serve`], for the metrics alone. Their connections are not among those of the API.
///
/// # Errors
///
/// The address of the listener cannot be read.
pub async fn serve_metrics(
    listener: ApiListener,
    tls: Option<Arc<TlsStore>>,
    state: ApiState,
    is_exposed: bool,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let address = listener.address()?;
    log::info!(address:%; "the metrics have an address of their own");
    let server = Server {
        router: metrics_router(state, is_exposed),
        tls,
    };
    let table = ConnectionTable::new(MAX_METRICS_CONNECTIONS);
    serve_all(listener, server, table, shutdown).await;
    Ok(())
}

/// Serves until `shutdown` completes, and finishes the requests in progress.
async fn serve_all(
    listener: ApiListener,
    server: Server,
    table: Arc<ConnectionTable>,
    shutdown: impl Future<Output = ()>,
) {
    let open = accept_all(&listener, server, table, shutdown).await;
    drop(listener);
    open.finish().await;
}

/// The connections that are still open.
struct OpenConnections {
    graceful: GracefulShutdown,
    /// Dropping the set aborts those that are still open.
    connections: JoinSet<()>,
}

impl OpenConnections {
    /// Waits until the clients have closed them, or their time is over. A standby asks its clients to close
    /// each connection: one that it closed itself could have a request on its way.
    async fn wait(mut self) {
        while self.connections.join_next().await.is_some() {}
    }

    /// Finishes the requests in progress.
    async fn finish(self) {
        let _connections = self.connections;
        if timeout(SHUTDOWN_TIMEOUT, self.graceful.shutdown())
            .await
            .is_err()
        {
            log::warn!("requests were still in progress at the shutdown timeout, and are aborted");
        }
    }
}

/// Accepts connections until `shutdown` completes.
async fn accept_all(
    listener: &ApiListener,
    server: Server,
    table: Arc<ConnectionTable>,
    shutdown: impl Future<Output = ()>,
) -> OpenConnections {
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    {
        // Not started again for each event: it may hold a connection that waits for its place.
        let mut next = pin!(accept(listener, &table));
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                (stream, peer, slot) = &mut next => {
                    next.set(accept(listener, &table));
                    let connection = server.clone().answer(stream, peer, slot, graceful.watcher());
                    connections.spawn(ContainedFuture::new(connection));
                }
                Some(_) = connections.join_next() => {}
            }
        }
    }
    OpenConnections {
        graceful,
        connections,
    }
}

/// Waits for a connection, and for its place.
async fn accept(
    listener: &ApiListener,
    table: &Arc<ConnectionTable>,
) -> (ClientStream, Peer, Arc<ConnectionSlot>) {
    let mut failing = false;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let slot = table.admit().await;
                if let Some(connections) = table.notice() {
                    log::warn!(connections; "all connections of the API are in use: closed those that waited longest for their client");
                }
                return (stream, peer, Arc::new(slot));
            }
            Err(error) if is_of_connection(&error) => {}
            Err(error) => {
                let level = if failing { Level::Debug } else { Level::Warn };
                log::log!(level, "cannot accept connections: {error}");
                failing = true;
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Whether the connection failed before it was accepted; the next one may be good.
fn is_of_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}

impl Server {
    /// Answers the requests of a connection.
    async fn answer(
        self,
        stream: ClientStream,
        peer: Peer,
        slot: Arc<ConnectionSlot>,
        watcher: Watcher,
    ) {
        let Self { router, tls } = self;
        match stream {
            ClientStream::Local(stream) => serve_stream(stream, peer, slot, router, watcher).await,
            ClientStream::Network(stream) => {
                // Answers are short, so Nagle's algorithm would only delay them.
                let _ = stream.set_nodelay(true);
                match tls {
                    None => serve_stream(stream, peer, slot, router, watcher).await,
                    Some(tls) => {
                        if let Some(stream) = shake_hands(stream, &tls, &slot).await {
                            serve_stream(stream, peer, slot, router, watcher).await;
                        }
                    }
                }
            }
        }
    }
}

/// Starts TLS; `None` if that fails, or another connection needs the place.
async fn shake_hands(
    stream: TcpStream,
    tls: &TlsStore,
    slot: &ConnectionSlot,
) -> Option<TlsStream<TcpStream>> {
    let handshake = TlsAcceptor::from(tls.config()).accept(stream);
    let result = tokio::select! {
        () = slot.give_way() => return None,
        result = timeout(HEAD_TIMEOUT, handshake) => result,
    };
    match result {
        Ok(Ok(stream)) => return Some(stream),
        Ok(Err(error)) => log::debug!("TLS handshake failed: {error}"),
        Err(_) => log::debug!("TLS handshake timed out"),
    }
    None
}

async fn serve_stream(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    slot: Arc<ConnectionSlot>,
    router: Router,
    watcher: Watcher,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_BUFFER_BYTES)
        // A client may close its side when its request is sent, and still gets the answer.
        .half_close(true);
    let respond = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        json_suffix::remove(&mut request);
        respond(request, router.clone(), Arc::clone(&slot))
    });
    let stream = TokioIo::new(PacedStream::new(stream, Arc::clone(&slot)));
    let connection = watcher.watch(http.serve_connection(stream, respond));
    tokio::select! {
        () = slot.give_way() => {}
        served = connection => {
            if let Err(error) = served {
                log::debug!("connection failed: {error}");
            }
        }
    }
}

/// Answers a request, and tells the slot whose turn it is.
async fn respond(
    request: Request<Incoming>,
    router: Router,
    slot: Arc<ConnectionSlot>,
) -> Result<Response<MeteredBody<Body>>, Infallible> {
    let request = request.map(|body| Body::new(MeteredBody::request(body, Arc::clone(&slot))));
    let response = TowerToHyperService::new(router)
        .call(body::drained(request))
        .await?;
    Ok(response.map(|body| MeteredBody::response(body, slot)))
}
