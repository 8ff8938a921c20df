//! A receiver of what the webhook exporters post, which does as a test tells it to.
//!
//! It notes each row that it has taken, in order, whatever it answers then.

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

/// What a receiver does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// It takes it.
    Well,
    /// Its port is closed, and connections are cut.
    Closed,
    /// It reads it and never answers.
    Stall,
    /// It takes it, and cuts the connection.
    Cut,
    /// It takes nothing and answers with that status.
    Status(u16),
    /// It takes nothing and answers with that status, and `Retry-After: 1`.
    Busy(u16),
    /// It takes requests of at most so many rows: 413 for others.
    AtMost(usize),
    /// It takes the first half of the rows, and wants the others once more.
    TakesHalf,
    /// It takes requests without poison: that status for others, no row named.
    RefusesWhole(u16),
    /// It takes rows that are no poison, and names the others under that status.
    RefusesRows(u16),
}

/// A receiver, until it and its clones are dropped.
#[derive(Clone, Debug)]
pub struct Receiver {
    address: SocketAddr,
    mood: watch::Sender<Mood>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    rows: Vec<(Row, Instant)>,
    names: BTreeSet<String>,
    items: u64,
    requests: u64,
}

impl Receiver {
    /// Begins to receive, and is well.
    ///
    /// # Panics
    ///
    /// The system gives no port.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind((own_address(), 0));
        let listener = listener.unwrap_or_else(|error| panic!("no port: {error}"));
        let address = listener.local_addr();
        let address = address.unwrap_or_else(|error| panic!("no address: {error}"));
        let (mood, moods) = watch::channel(Mood::Well);
        let seen = Arc::default();
        let noted = Arc::clone(&seen);
        thread::spawn(move || receive(listener, address, moods, &noted));
        Self {
            address,
            mood,
            seen,
        }
    }

    /// Where to post to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// From now on.
    pub fn be(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// What it does now.
    #[must_use]
    pub fn mood(&self) -> Mood {
        *self.mood.borrow()
    }

    /// The rows that it has taken, in order, those that came again as well.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        let rows = &lock(&self.seen).rows;
        rows.iter().map(|(row, _)| row.clone()).collect()
    }

    /// The rows that it has taken, and when.
    #[must_use]
    pub fn times(&self) -> Vec<(Row, Instant)> {
        lock(&self.seen).rows.clone()
    }

    /// The items of all rows that it has taken, each row counted once.
    #[must_use]
    pub fn items(&self) -> u64 {
        lock(&self.seen).items
    }

    /// How many requests it has read.
    #[must_use]
    pub fn requests(&self) -> u64 {
        lock(&self.seen).requests
    }
}

impl Seen {
    fn take(&mut self, rows: impl IntoIterator<Item = Row>) {
        for row in rows {
            if self.names.insert(row.name.clone()) {
                self.items += row.items;
            }
            self.rows.push((row, Instant::now()));
        }
    }
}

/// An address of the loopback that no other receiver has, so that nobody takes a
/// port that is closed for a while.
fn own_address() -> Ipv4Addr {
    static LAST: AtomicU8 = AtomicU8::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    let [.., high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, number.saturating_add(1), high, low.clamp(1, 254))
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn receive(
    listener: TcpListener,
    address: SocketAddr,
    moods: watch::Receiver<Mood>,
    seen: &Arc<Mutex<Seen>>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap_or_else(|error| panic!("no runtime: {error}"));
    runtime.block_on(async {
        let mut listener = Some(listener);
        let mut door = moods.clone();
        while door.wait_for(|mood| *mood != Mood::Closed).await.is_ok() {
            let open = listener
                .take()
                .map_or_else(|| TcpListener::bind(address), Ok);
            let open = open.unwrap_or_else(|error| panic!("`{address}` is taken: {error}"));
            if listen(open, &moods, seen).await.is_err() {
                break;
            }
        }
    });
}

/// Over once the port is to be closed; fails once there is no more to be done.
async fn listen(
    listener: TcpListener,
    moods: &watch::Receiver<Mood>,
    seen: &Arc<Mutex<Seen>>,
) -> Result<(), watch::error::RecvError> {
    let listener = listener
        .set_nonblocking(true)
        .and_then(|()| tokio::net::TcpListener::from_std(listener))
        .unwrap_or_else(|error| panic!("cannot listen: {error}"));
    let mut door = moods.clone();
    // Dropped with this, so that the connections are cut.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            closed = door.wait_for(|mood| *mood == Mood::Closed) => {
                return closed.map(drop);
            }
            Ok((stream, _)) = listener.accept() => {
                connections.spawn(converse(stream, moods.clone(), Arc::clone(seen)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(stream: TcpStream, moods: watch::Receiver<Mood>, seen: Arc<Mutex<Seen>>) {
    let service = service_fn(|request| answer(request, moods.clone(), &seen));
    // Whoever goes away in between is part of some tests.
    let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    served.await.ok();
}

async fn answer(
    request: Request<Incoming>,
    mut moods: watch::Receiver<Mood>,
    seen: &Mutex<Seen>,
) -> io::Result<Response<Full<Bytes>>> {
    let body = request
        .into_body()
        .collect()
        .await
        .map_err(io::Error::other)?;
    let rows: Vec<Value> = serde_json::from_slice(&body.to_bytes())?;
    let rows: Vec<Row> = rows.iter().map(Row::of_json).collect();
    let mood = *moods.borrow();
    lock(seen).requests += 1;
    match mood {
        Mood::Stall => {
            // The connection is cut once that is over.
            let _ = moods.wait_for(|mood| *mood != Mood::Stall).await;
            return Err(io::Error::other("it has stalled"));
        }
        Mood::Closed => return Err(io::Error::other("it is closed")),
        Mood::Cut => {
            lock(seen).take(rows);
            return Err(io::Error::other("it cuts connections"));
        }
        Mood::Status(status) => return Ok(reply(status, &json!({"error": "as told"}))),
        Mood::Busy(status) => {
            let mut reply = reply(status, &json!({"error": "busy"}));
            let after = hyper::header::HeaderValue::from_static("1");
            reply
                .headers_mut()
                .insert(hyper::header::RETRY_AFTER, after);
            return Ok(reply);
        }
        Mood::AtMost(most) if rows.len() > most => {
            return Ok(reply(413, &json!({"error": "too large"})));
        }
        Mood::RefusesWhole(status) if rows.iter().any(Row::is_poison) => {
            return Ok(reply(
                status,
                &json!({"error": "something in there is not wanted"}),
            ));
        }
        Mood::RefusesRows(status) if rows.iter().any(Row::is_poison) => {
            let refused = rows.iter().enumerate().filter(|(_, row)| row.is_poison());
            let refused = refused.map(|(index, _)| json!({"index": index, "error": "poison"}));
            let refused: Vec<Value> = refused.collect();
            lock(seen).take(rows.into_iter().filter(|row| !row.is_poison()));
            return Ok(reply(status, &json!({ "rejected": refused })));
        }
        Mood::TakesHalf if rows.len() > 1 => {
            let half = rows.len() / 2;
            let rest = half..rows.len();
            let rest = rest.map(|index| json!({"index": index, "error": "moving"}));
            let rest: Vec<Value> = rest.collect();
            lock(seen).take(rows.into_iter().take(half));
            return Ok(reply(200, &json!({ "retry": rest })));
        }
        Mood::Well
        | Mood::TakesHalf
        | Mood::AtMost(_)
        | Mood::RefusesWhole(_)
        | Mood::RefusesRows(_) => {}
    }
    lock(seen).take(rows);
    Ok(reply(200, &Value::Null))
}

fn reply(status: u16, body: &Value) -> Response<Full<Bytes>> {
    let body = Full::new(Bytes::from(body.to_string()));
    let built: Result<_, hyper::http::Error> = Response::builder().status(status).body(body);
    built.unwrap_or_else(|error| panic!("{status} is no status: {error}"))
}
