//! A receiver that replies as a test needs it.

use std::{
    convert::Infallible,
    io,
    net::TcpListener,
    sync::{Arc, Mutex},
    thread,
};

use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

/// A request that the receiver got.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// What the receiver does after it has read a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Answer {
        status: u16,
        headers: &'static [(&'static str, &'static str)],
        body: String,
    },
    /// It never responds.
    Stall,
    /// It closes the connection.
    Cut,
}

/// A receiver that lives as long as the test process.
pub(crate) struct Server {
    scheme: &'static str,
    port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
}

type Answer = dyn Fn(&Seen) -> Reply + Send + Sync;

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self::json(status, "")
    }

    pub(crate) fn json(status: u16, body: impl Into<String>) -> Self {
        Self::Answer {
            status,
            headers: &[],
            body: body.into(),
        }
    }
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }
}

impl Server {
    /// Reads each request and replies with `answer`.
    pub(crate) fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::run(None, None, answer)
    }

    /// Like `start`, over TLS.
    pub(crate) fn start_tls(
        config: ServerConfig,
        answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::run(Some(Arc::new(config).into()), None, answer)
    }

    /// Responds before it has read the body, and closes the connection.
    pub(crate) fn start_unread(status: u16) -> Self {
        Self::run(None, Some(status), |_| Reply::Cut)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}://localhost:{}{path}", self.scheme, self.port)
    }

    /// The requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    fn run(
        acceptor: Option<TlsAcceptor>,
        unread: Option<u16>,
        answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let server = Self {
            scheme: if acceptor.is_some() { "https" } else { "http" },
            port: listener.local_addr().unwrap().port(),
            seen: Arc::default(),
        };
        let seen = Arc::clone(&server.seen);
        let answer: Arc<Answer> = Arc::new(answer);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let (acceptor, answer) = (acceptor.clone(), Arc::clone(&answer));
                    let seen = Arc::clone(&seen);
                    tokio::task::spawn_local(async move {
                        match acceptor {
                            None => serve(stream, unread, answer, seen).await,
                            // Some tests expect a failed handshake.
                            Some(acceptor) => {
                                if let Ok(stream) = acceptor.accept(stream).await {
                                    serve(stream, unread, answer, seen).await;
                                }
                            }
                        }
                    });
                }
            });
        });
        server
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    unread: Option<u16>,
    answer: Arc<Answer>,
    seen: Arc<Mutex<Vec<Seen>>>,
) {
    let service = service_fn(move |request| {
        let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
        async move {
            if let Some(status) = unread {
                return Ok(response(status, &[], ""));
            }
            let request = read(request).await?;
            let reply = answer(&request);
            seen.lock().unwrap().push(request);
            match reply {
                Reply::Answer {
                    status,
                    headers,
                    body,
                } => Ok(response(status, headers, &body)),
                Reply::Stall => std::future::pending().await,
                Reply::Cut => Err(io::Error::other("cut")),
            }
        }
    });
    // Some tests expect the client to close the connection early.
    let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    served.await.ok();
}

async fn read(request: Request<Incoming>) -> Result<Seen, io::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?;
    Ok(Seen {
        method: head.method.to_string(),
        path: head.uri.to_string(),
        headers: head.headers,
        body: body.to_bytes().to_vec(),
    })
}

fn response(
    status: u16,
    headers: &[(&'static str, &'static str)],
    body: &str,
) -> Response<impl hyper::body::Body<Data = Bytes, Error = Infallible> + use<>> {
    let mut response = Response::builder().status(status);
    for &(name, value) in headers {
        response = response.header(name, value);
    }
    response
        .body(Full::new(Bytes::from(body.to_owned())))
        .unwrap()
}
