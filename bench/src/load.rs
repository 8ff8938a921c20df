//! Sends requests from several connections, as fast as they are answered.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, StatusCode,
    body::Bytes,
    client::conn::http1::{SendRequest, handshake},
    header::{CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::JoinSet, time::sleep};

pub const CONNECTIONS: usize = 16;

/// How long a connection waits after it was asked to send again.
const PAUSE: Duration = Duration::from_millis(5);

/// Where requests go.
#[derive(Clone)]
pub struct Target {
    pub address: SocketAddr,
    pub path: &'static str,
    pub content_type: &'static str,
}

/// What became of the requests of all connections.
#[derive(Default)]
pub struct Sent {
    pub accepted: u64,
    /// Answered with 429 or 503.
    pub refused: u64,
    /// From sending a request until its acceptance, the shortest first.
    pub latencies: Vec<Duration>,
}

impl Sent {
    /// The latency that this fraction of the accepted requests is below, in milliseconds.
    pub fn latency(&self, fraction: f64) -> f64 {
        let at = (self.latencies.len() as f64 * fraction) as usize;
        self.latencies
            .get(at)
            .map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
    }
}

/// Sends the bodies in turns, for this time.
pub async fn send(target: &Target, bodies: &Arc<Vec<Bytes>>, time: Duration) -> Sent {
    let end = Instant::now() + time;
    let mut connections = JoinSet::new();
    for number in 0..CONNECTIONS {
        connections.spawn(connection(target.clone(), Arc::clone(bodies), number, end));
    }
    let mut all = Sent::default();
    for sent in connections.join_all().await {
        all.accepted += sent.accepted;
        all.refused += sent.refused;
        all.latencies.extend(sent.latencies);
    }
    all.latencies.sort_unstable();
    all
}

async fn connection(target: Target, bodies: Arc<Vec<Bytes>>, number: usize, end: Instant) -> Sent {
    let mut sent = Sent::default();
    let mut sender = connect(&target).await;
    // Connections begin with different bodies.
    let first = number * bodies.len() / CONNECTIONS;
    for body in bodies.iter().cycle().skip(first) {
        if Instant::now() >= end {
            break;
        }
        if sender.ready().await.is_err() {
            sender = connect(&target).await;
        }
        let begin = Instant::now();
        match request(&mut sender, &target, body).await {
            Some(status) if status.is_success() => {
                sent.accepted += 1;
                sent.latencies.push(begin.elapsed());
            }
            Some(StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) => {
                sent.refused += 1;
                sleep(PAUSE).await;
            }
            Some(status) => panic!("http://{}{} answers {status}", target.address, target.path),
            None => sender = connect(&target).await,
        }
    }
    sent
}

async fn connect(target: &Target) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(target.address)
        .await
        .expect("the program accepts connections");
    stream
        .set_nodelay(true)
        .expect("an option of the connection");
    let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("a connection");
    tokio::spawn(connection);
    sender
}

/// The status of the answer; `None` if the connection was closed.
async fn request(
    sender: &mut SendRequest<Full<Bytes>>,
    target: &Target,
    body: &Bytes,
) -> Option<StatusCode> {
    let request = Request::builder()
        .method(Method::POST)
        .uri(target.path)
        .header(HOST, target.address.to_string())
        .header(CONTENT_TYPE, target.content_type)
        .body(Full::new(body.clone()))
        .expect("a request");
    let response = sender.send_request(request).await.ok()?;
    let status = response.status();
    response.into_body().collect().await.ok()?;
    Some(status)
}
