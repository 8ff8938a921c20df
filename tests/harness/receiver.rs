//! A receiver for the webhook exporters, whose behavior a test sets.
//!
//! The receiver records each accepted row in order, regardless of its response.

use std::{
    collections::BTreeSet,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    thread,
    time::Instant,
};

use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpStream, sync::watch, task::JoinSet};

use crate::Row;

/// How a receiver handles a request. A row is poison if [`Row::is_poison`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behavior {
    /// Accepts the request.
    Accept,
    /// Closes its port and its connections.
    Closed,
    /// Reads the request and never responds.
    Stall,
    /// Accepts the request and closes the connection.
    Cut,
    /// Rejects the request with this status.
    Status(u16),
    /// Accepts requests with this bearer token. Rejects others with 401, and repeats theirs.
    RequireToken(&'static str),
    /// Rejects the request with this status and `Retry-After: 1`.
    Busy(u16),
    /// Rejects requests with more rows than this with 413.
    AtMost(usize),
    /// Accepts the first half of the rows, and asks for a retry of the others.
    AcceptHalf,
    /// Rejects requests with poison with this status, and names no row.
    RejectRequest(u16),
    /// Accepts rows that are not poison, and names the others in a response with this status.
    RejectRows(u16),
}

/// Runs until it and its clones are dropped.
#[derive(Clone, Debug)]
pub struct Receiver {
    address: SocketAddr,
    behavior: watch::Sender<Behavior>,
    accepted: Arc<Mutex<Accepted>>,
}

#[derive(Debug, Default)]
struct Accepted {
    rows: Vec<(Row, Instant)>,
    names: BTreeSet<String>,
    items: u64,
    requests: u64,
    checks: u64,
}

impl Receiver {
    /// Starts with [`Behavior::Accept`].
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind((own_address(), 0));
        let listener = listener.unwrap_or_else(|error| panic!("no port: {error}"));
        let address = listener.local_addr();
        let address = address.unwrap_or_else(|error| panic!("no address: {error}"));
        let (behavior, behaviors) = watch::channel(Behavior::Accept);
        let accepted = Arc::default();
        let noted = Arc::clone(&accepted);
        thread::spawn(move || receive(listener, address, behaviors, &noted));
        Self {
            address,
            behavior,
            accepted,
        }
    }

    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub fn set_behavior(&self, behavior: Behavior) {
        self.behavior.send_replace(behavior);
    }

    #[must_use]
    pub fn behavior(&self) -> Behavior {
        *self.behavior.borrow()
    }

    /// The accepted rows in order, including repeated ones.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        let rows = &lock(&self.accepted).rows;
        rows.iter().map(|(row, _)| row.clone()).collect()
    }

    /// The accepted rows, and when each was accepted.
    #[must_use]
    pub fn times(&self) -> Vec<(Row, Instant)> {
        lock(&self.accepted).rows.clone()
    }

    /// The items of all accepted rows; repeated rows count once.
    #[must_use]
    pub fn items(&self) -> u64 {
        lock(&self.accepted).items
    }

    /// The number of checks of its health.
    #[must_use]
    pub fn checks(&self) -> u64 {
        lock(&self.accepted).checks
    }

    /// The number of requests with rows that it has read.
    #[must_use]
    pub fn requests(&self) -> u64 {
        lock(&self.accepted).requests
    }
}

impl Accepted {
    fn add(&mut self, rows: impl IntoIterator<Item = Row>) {
        for row in rows {
            if self.names.insert(row.name.clone()) {
                self.items += row.items;
            }
            self.rows.push((row, Instant::now()));
        }
    }
}

/// A loopback address of its own, so that no other receiver binds a port that is closed for a while.
fn own_address() -> Ipv4Addr {
    static LAST: AtomicU8 = AtomicU8::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    let [.., high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, number.saturating_add(1), high, low.clamp(1, 254))
}

fn lock(accepted: &Mutex<Accepted>) -> MutexGuard<'_, Accepted> {
    accepted.lock().unwrap_or_else(PoisonError::into_inner)
}

fn receive(
    listener: TcpListener,
    address: SocketAddr,
    behaviors: watch::Receiver<Behavior>,
    accepted: &Arc<Mutex<Accepted>>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap_or_else(|error| panic!("no runtime: {error}"));
    runtime.block_on(async {
        let mut listener = Some(listener);
        let mut door = behaviors.clone();
        while door
            .wait_for(|behavior| *behavior != Behavior::Closed)
            .await
            .is_ok()
        {
            let open = listener
                .take()
                .map_or_else(|| TcpListener::bind(address), Ok);
            let open = open.unwrap_or_else(|error| panic!("`{address}` is taken: {error}"));
            if listen(open, &behaviors, accepted).await.is_err() {
                break;
            }
        }
    });
}

/// Returns when the port is to be closed; fails when the receiver is dropped.
async fn listen(
    listener: TcpListener,
    behaviors: &watch::Receiver<Behavior>,
    accepted: &Arc<Mutex<Accepted>>,
) -> Result<(), watch::error::RecvError> {
    let listener = listener
        .set_nonblocking(true)
        .and_then(|()| tokio::net::TcpListener::from_std(listener))
        .unwrap_or_else(|error| panic!("cannot listen: {error}"));
    let mut door = behaviors.clone();
    // Dropping the set closes the connections.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            closed = door.wait_for(|behavior| *behavior == Behavior::Closed) => {
                return closed.map(drop);
            }
            Ok((stream, _)) = listener.accept() => {
                connections.spawn(serve(stream, behaviors.clone(), Arc::clone(accepted)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(
    stream: TcpStream,
    behaviors: watch::Receiver<Behavior>,
    accepted: Arc<Mutex<Accepted>>,
) {
    let service = service_fn(|request| answer(request, behaviors.clone(), &accepted));
    // In some tests the client closes the connection.
    let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    served.await.ok();
}

async fn answer(
    request: Request<Incoming>,
    mut behaviors: watch::Receiver<Behavior>,
    accepted: &Mutex<Accepted>,
) -> io::Result<Response<Full<Bytes>>> {
    let authorization = request.headers().get(hyper::header::AUTHORIZATION).cloned();
    let is_check = request.method() == hyper::Method::OPTIONS;
    let body = request
        .into_body()
        .collect()
        .await
        .map_err(io::Error::other)?;
    let rows: Vec<Value> = if is_check {
        lock(accepted).checks += 1;
        Vec::new()
    } else {
        lock(accepted).requests += 1;
        serde_json::from_slice(&body.to_bytes())?
    };
    let rows: Vec<Row> = rows.iter().map(Row::from_json).collect();
    let behavior = *behaviors.borrow();
    match behavior {
        Behavior::Stall => {
            // The connection is closed afterwards.
            let _ = behaviors
                .wait_for(|behavior| *behavior != Behavior::Stall)
                .await;
            return Err(io::Error::other("it has stalled"));
        }
        Behavior::Closed => return Err(io::Error::other("it is closed")),
        Behavior::Cut => {
            lock(accepted).add(rows);
            return Err(io::Error::other("it cuts connections"));
        }
        Behavior::Status(status) => {
            return Ok(reply(status, &json!({"error": "rejected by the test"})));
        }
        Behavior::RequireToken(token)
            if authorization
                .as_ref()
                .is_none_or(|sent| sent != &*format!("Bearer {token}")) =>
        {
            let error = format!("{authorization:?} is not valid");
            return Ok(reply(401, &json!({ "error": error })));
        }
        Behavior::Busy(status) => {
            let mut reply = reply(status, &json!({"error": "busy"}));
            let after = hyper::header::HeaderValue::from_static("1");
            reply
                .headers_mut()
                .insert(hyper::header::RETRY_AFTER, after);
            return Ok(reply);
        }
        Behavior::AtMost(most) if rows.len() > most => {
            return Ok(reply(413, &json!({"error": "too large"})));
        }
        Behavior::RejectRequest(status) if rows.iter().any(Row::is_poison) => {
            return Ok(reply(status, &json!({"error": "a row is not accepted"})));
        }
        Behavior::RejectRows(status) if rows.iter().any(Row::is_poison) => {
            let refused = rows.iter().enumerate().filter(|(_, row)| row.is_poison());
            let refused = refused.map(|(index, _)| json!({"index": index, "error": "poison"}));
            let refused: Vec<Value> = refused.collect();
            lock(accepted).add(rows.into_iter().filter(|row| !row.is_poison()));
            return Ok(reply(status, &json!({ "rejected": refused })));
        }
        Behavior::AcceptHalf if rows.len() > 1 => {
            let half = rows.len() / 2;
            let rest = half..rows.len();
            let rest = rest.map(|index| json!({"index": index, "error": "moving"}));
            let rest: Vec<Value> = rest.collect();
            lock(accepted).add(rows.into_iter().take(half));
            return Ok(reply(200, &json!({ "retry": rest })));
        }
        Behavior::Accept
        | Behavior::AcceptHalf
        | Behavior::AtMost(_)
        | Behavior::RequireToken(_)
        | Behavior::RejectRequest(_)
        | Behavior::RejectRows(_) => {}
    }
    lock(accepted).add(rows);
    Ok(reply(200, &Value::Null))
}

fn reply(status: u16, body: &Value) -> Response<Full<Bytes>> {
    let body = Full::new(Bytes::from(body.to_string()));
    let built: Result<_, hyper::http::Error> = Response::builder().status(status).body(body);
    built.unwrap_or_else(|error| panic!("{status} is not a status: {error}"))
}
