//! Connections: accept them, limit their number and time, and close them at the end.

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

/// Connections at a time. Further ones wait until one ends.
const MAX_CONNECTIONS: usize = 512;

/// How long the head of a request may take to arrive, and how long a connection may be
/// idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long requests in progress may take when the host stops.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause after an error of `accept`. The usual cause is that no file descriptors are
/// left, and an immediate attempt would fail too.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Answers requests until `shutdown` completes, then finishes those in progress.
///
/// # Errors
///
/// The address of the listener cannot be read.
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
    // Dropping the set at the end aborts the connections that are still open.
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
    if timeout(SHUTDOWN_TIMEOUT, graceful.shutdown())
        .await
        .is_err()
    {
        log::warn!("requests were still in progress at the shutdown timeout, and are aborted");
    }
    Ok(())
}

/// Waits for a permit, then for a connection.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed, so this waits and does not fail.
    let permit = Arc::clone(room).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, permit),
            Err(error) if is_of_connection(&error) => {}
            Err(error) => {
                log::warn!("cannot accept connections: {error}");
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

async fn connection(
    stream: TcpStream,
    _permit: Option<OwnedSemaphorePermit>,
    router: Router,
    watcher: Watcher,
) {
    // Answers are short, so Nagle's algorithm would only delay them.
    let _ = stream.set_nodelay(true);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT);
    let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Err(error) = watcher.watch(connection).await {
        log::debug!("connection failed: {error}");
    }
}
