//! Connections: how many, how slow, and how they end.

use std::{io, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{ApiState, router};

/// Connections at a time; more wait until one ends.
const MAX_CONNECTIONS: usize = 512;

/// How long the head of a request may take, and a connection wait for one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long requests under way may go on once the host stops.
const GRACE: Duration = Duration::from_secs(10);

/// How long to wait when no connection can be accepted: for want of descriptors,
/// mostly, and then the next attempt would fail at once.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Answers requests until `shutdown` is over, then finishes those under way.
///
/// # Errors
///
/// The listener is not one.
pub async fn serve(
    listener: TcpListener,
    state: ApiState,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    log::info!(address:%; "the API listens");
    let router = router(state);
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // What is left of them when this ends, ends with it.
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            (stream, permit) = accept(&listener, &room) => {
                connections.spawn(connection(stream, permit, router.clone(), graceful.watcher()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    if timeout(GRACE, graceful.shutdown()).await.is_err() {
        log::warn!("requests that were not answered in time are cut off");
    }
    Ok(())
}

/// The next connection, once there is room for it.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // Never closed, so never refused.
    let permit = Arc::clone(room).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, permit),
            Err(error) if ended_early(&error) => {}
            Err(error) => {
                log::warn!("no connection can be accepted: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Whether it is the connection that failed, and not the accepting.
fn ended_early(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}

async fn connection(
    stream: TcpStream,
    _permit: Option<OwnedSemaphorePermit>,
    router: Router,
    watcher: Watcher,
) {
    // Answers are short: waiting to fill a packet would only delay them.
    let _ = stream.set_nodelay(true);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT);
    let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Err(error) = watcher.watch(connection).await {
        log::debug!("a connection ended early: {error}");
    }
}
