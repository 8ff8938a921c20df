#![expect(
    clippy::unwrap_used,
    reason = "a test fails where its environment does not work"
)]

use std::{
    convert::Infallible,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{
    HeaderMap, Request, Response, body::Incoming, server::conn::http2 as server,
    service::service_fn,
};
use tokio::runtime::{Builder, Runtime};

use super::*;
use crate::{
    Outcome,
    http::{Authorization, BodyCompressor, ClientSettings, Compression, OAuth2Settings},
    setting::Secret,
    testkit::{TestReceiver, TestResponse, check_outcome, quiet_host},
};

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// A server of HTTP/2 that answers each request as a test needs it, until it is dropped.
struct Server {
    port: u16,
    requests: Arc<Mutex<Vec<Request<Bytes>>>>,
    connections: Arc<Mutex<usize>>,
    _runtime: Runtime,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Server {
    fn start(respond: impl Fn() -> Answer + Send + Sync + 'static) -> Self {
        Self::start_with(move |_| respond())
    }

    fn start_with(respond: impl Fn(&HeaderMap) -> Answer + Send + Sync + 'static) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::<Mutex<Vec<_>>>::default();
        let connections = Arc::<Mutex<usize>>::default();
        let (kept, count, respond) = (requests.clone(), connections.clone(), Arc::new(respond));
        runtime.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                *lock(&count) += 1;
                let (kept, respond) = (kept.clone(), respond.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    let (kept, respond) = (kept.clone(), respond.clone());
                    async move {
                        let (head, body) = request.into_parts();
                        let body = body.collect().await?.to_bytes();
                        let answer = respond(&head.headers);
                        lock(&kept).push(Request::from_parts(head, body));
                        Ok::<_, hyper::Error>(answer)
                    }
                });
                let connection = server::Builder::new(TokioExecutor::new());
                tokio::spawn(connection.serve_connection(TokioIo::new(socket), service));
            }
        });
        Self {
            port,
            requests,
            connections,
            _runtime: runtime,
        }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// An answer with a body and, if there are any, trailers.
fn answer(head: &[(&str, &str)], body: &'static [u8], trailers: &[(&str, &str)]) -> Answer {
    let mut answer = Response::builder();
    for (name, value) in head {
        answer = answer.header(*name, *value);
    }
    let trailers = trailers.iter().map(|(name, value)| {
        let name: hyper::header::HeaderName = name.parse().unwrap();
        (name, value.parse().unwrap())
    });
    let trailers = HeaderMap::from_iter(trailers);
    let body = Full::new(Bytes::from_static(body));
    let body = match trailers.is_empty() {
        true => body.boxed_unsync(),
        false => body
            .with_trailers(async { Some(Ok(trailers)) })
            .boxed_unsync(),
    };
    answer.body(body).unwrap()
}

const GRPC: (&str, &str) = ("content-type", "application/grpc");

fn client(url: &str, settings: &ClientSettings) -> GrpcClient {
    let endpoint = GrpcEndpoint::new(settings, url).unwrap();
    GrpcClient::new(endpoint, &quiet_host("e", Path::new("/"))).unwrap()
}

fn call(client: &GrpcClient) -> Result<Vec<u8>, Failure> {
    let request = GrpcRequest {
        method: "/acme.Store/Put",
        message: b"points",
        encoding: Some("gzip"),
    };
    client.call(request, Duration::from_secs(60))
}

fn check(answer: impl Fn() -> Answer + Send + Sync + 'static, name: &str, part: &str) {
    let server = Server::start(answer);
    let outcome = call(&client(&server.url(), &ClientSettings::default()));
    check_outcome(&outcome.map(drop), name, part);
}

#[test]
fn messages_cross_with_the_headers_of_the_settings_on_one_connection() {
    let server = Server::start(|| answer(&[GRPC], b"\0\0\0\0\x02ok", &[("grpc-status", "0")]));
    let settings = ClientSettings {
        user_agent: "acme/1".to_owned(),
        authorization: Some(Authorization::Bearer(Secret::new("t"))),
        headers: vec![("X-Tenant".to_owned(), Secret::new("7"))],
        ..ClientSettings::default()
    };
    let client = client(&server.url(), &settings);
    assert_eq!(call(&client), Ok(b"ok".to_vec()));
    assert_eq!(call(&client), Ok(b"ok".to_vec()));
    assert_eq!(*lock(&server.connections), 1);
    let requests = lock(&server.requests);
    let head = &requests[0];
    assert_eq!(&**head.body(), b"\x01\0\0\0\x06points");
    assert_eq!(head.uri().path(), "/acme.Store/Put");
    for (name, value) in [
        GRPC,
        ("te", "trailers"),
        ("grpc-encoding", "gzip"),
        ("grpc-timeout", "60000m"),
        ("user-agent", "acme/1"),
        ("authorization", "Bearer t"),
        ("x-tenant", "7"),
    ] {
        assert_eq!(head.headers()[name], value);
    }
}

#[test]
fn a_status_is_read_from_the_head_and_from_the_trailers() {
    // A `google.rpc.Status` with a `RetryInfo` of three seconds.
    const DETAILS: &str = "CAgaMAoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIECgIIAw";
    let status = [
        ("grpc-status", "8"),
        ("grpc-message", "try%20later%21"),
        ("grpc-status-details-bin", DETAILS),
    ];
    for is_in_head in [true, false] {
        let server = Server::start(move || match is_in_head {
            true => answer(&[&[GRPC][..], &status].concat(), b"", &[]),
            false => answer(&[GRPC], b"", &status),
        });
        let url = server.url();
        let throttled = Failure::Throttled {
            message: format!("`{url}` answers RESOURCE_EXHAUSTED: try later!"),
            after: Some(Duration::from_secs(3)),
        };
        let outcome = call(&client(&url, &ClientSettings::default()));
        assert_eq!(outcome, Err(throttled), "{is_in_head}");
    }
    check(
        || answer(&[GRPC, ("grpc-status", "x")], b"", &[]),
        "misconfigured",
        "UNKNOWN",
    );
}

#[test]
fn an_answer_that_is_not_of_grpc_is_no_success() {
    let with_status = |status: u16| {
        move || {
            let mut answer = answer(&[("retry-after", "7")], b"<html>", &[]);
            *answer.status_mut() = status.try_into().unwrap();
            answer
        }
    };
    check(with_status(503), "throttled", "answers 503");
    check(with_status(403), "unauthorized", "answers 403");
    check(with_status(404), "misconfigured", "answers 404");
    check(
        with_status(200),
        "misconfigured",
        "without a status of gRPC",
    );
    check(
        || answer(&[GRPC], b"\0\0\0\0\0", &[]),
        "uncertain",
        "cut off",
    );
    let ok = [("grpc-status", "0")];
    for body in [&b""[..], b"\0\0\0\0\x05ok", b"\x01\0\0\0\x02ok"] {
        check(
            move || answer(&[GRPC], body, &ok),
            "misconfigured",
            "without a message that can be read",
        );
    }
    let long = Box::leak(vec![0; 100_000].into_boxed_slice());
    let long: &[u8] = long;
    check(
        move || answer(&[GRPC], long, &ok),
        "uncertain",
        "length limit exceeded",
    );
}

#[test]
fn a_response_may_be_compressed_as_the_request_is() {
    let mut compressor = BodyCompressor::new(Compression::Gzip);
    let compressed = compressor.compress(b"ok").unwrap();
    let length = (compressed.len() as u32).to_be_bytes();
    let body: &[u8] = Box::leak([&[1][..], &length, compressed].concat().into_boxed_slice());
    let server = Server::start(move || answer(&[GRPC], body, &[("grpc-status", "0")]));
    let client = client(&server.url(), &ClientSettings::default());
    assert_eq!(call(&client), Ok(b"ok".to_vec()));
}

#[test]
fn a_receiver_that_is_absent_or_speaks_something_else_is_named_with_the_remedy() {
    let of = |url: &str| call(&client(url, &ClientSettings::default())).map(drop);
    let absent = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    check_outcome(
        &of(&format!("http://{absent}")),
        "retry",
        "connection refused (",
    );
    let http1 = TestReceiver::start(|_| TestResponse::new(200));
    // It closes the connection after its answer, which is lost if the client is still writing.
    let answered = |outcome: &Outcome| !matches!(outcome, Err(Failure::Uncertain { .. }));
    let outcome = std::iter::repeat_with(|| of(&http1.url(""))).find(answered);
    check_outcome(&outcome.unwrap(), "misconfigured", "does not speak HTTP/2");
    check_outcome(
        &of(&http1.url("").replace("http:", "https:")),
        "misconfigured",
        "TLS",
    );
}

#[test]
fn without_an_answer_the_receiver_may_have_the_message() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let client = client(&url, &ClientSettings::default());
    let request = GrpcRequest {
        method: "/acme.Store/Put",
        message: b"points",
        encoding: None,
    };
    // The kernel accepts the connection, and no program reads from it.
    let late = client.call(request, Duration::from_millis(500));
    check_outcome(&late.map(drop), "uncertain", "does not answer in time");
    let closing = thread::spawn(move || {
        // The connection of the call before is the first.
        for socket in listener.incoming().take(2) {
            let mut socket = socket.unwrap();
            let mut read = Vec::new();
            while !read.ends_with(b"points") {
                let mut byte = [0];
                socket.read_exact(&mut byte).unwrap();
                read.push(byte[0]);
            }
        }
    });
    check_outcome(&call(&client).map(drop), "uncertain", "");
    closing.join().unwrap();
}

#[test]
fn only_the_proxy_of_the_settings_connects_to_the_receiver() {
    let server = Server::start(|| answer(&[GRPC], b"\0\0\0\0\0", &[("grpc-status", "0")]));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = ClientSettings {
        proxy: Some(Secret::new(format!(
            "http://u:hunter2@{}",
            listener.local_addr().unwrap()
        ))),
        ..ClientSettings::default()
    };
    let proxy = thread::spawn(move || {
        let mut heads = Vec::new();
        for answer in ["407 Proxy Authentication Required", "200 OK"] {
            let (mut socket, _) = listener.accept().unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                socket.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            let head = String::from_utf8(head).unwrap();
            let target = head.split(' ').nth(1).unwrap();
            write!(socket, "HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n").unwrap();
            if answer.starts_with("200") {
                let mut receiver = TcpStream::connect(target).unwrap();
                let (mut there, mut back) =
                    (socket.try_clone().unwrap(), receiver.try_clone().unwrap());
                thread::spawn(move || std::io::copy(&mut there, &mut receiver));
                thread::spawn(move || std::io::copy(&mut back, &mut socket));
            }
            heads.push(head);
        }
        heads
    });
    // The name is one for the proxy.
    let client = client(&server.url(), &settings);
    let refused = call(&client).unwrap_err();
    assert!(!refused.to_string().contains("hunter2"), "{refused}");
    check_outcome(&Err(refused), "unauthorized", "407");
    assert_eq!(call(&client), Ok(Vec::new()));
    for head in proxy.join().unwrap() {
        let connect = format!("CONNECT 127.0.0.1:{} HTTP/1.1\r\n", server.port);
        assert!(head.starts_with(&connect), "{head}");
        assert!(
            head.contains("proxy-authorization: Basic dTpodW50ZXIy\r\n"),
            "{head}"
        );
    }
}

#[test]
fn a_token_that_is_refused_is_replaced_within_the_call() {
    let tokens = Arc::<Mutex<usize>>::default();
    let fetched = Arc::clone(&tokens);
    let token_server = TestReceiver::start(move |_| {
        let number = *lock(&fetched);
        let token = format!(r#"{{"access_token":"t{number}","token_type":"bearer"}}"#);
        TestResponse::new(200).body(token)
    });
    let valid = Arc::clone(&tokens);
    let server = Server::start_with(move |headers| {
        let is_valid = headers["authorization"] == format!("Bearer t{}", lock(&valid));
        let status = if is_valid { "0" } else { "16" };
        answer(&[GRPC], b"\0\0\0\0\0", &[("grpc-status", status)])
    });
    let settings = ClientSettings {
        oauth2: Some(OAuth2Settings {
            token_url: token_server.url("/token"),
            client_id: "a".to_owned(),
            client_secret: Secret::new("hunter2"),
            scope: None,
            is_sent_in_body: false,
        }),
        ..ClientSettings::default()
    };
    let client = client(&server.url(), &settings);
    for number in 0..2 {
        *lock(&tokens) = number;
        assert_eq!(call(&client), Ok(Vec::new()));
    }
    assert_eq!(token_server.requests().len(), 2);
    let shown = |request: &Request<Bytes>| request.headers()["authorization"].clone();
    let shown: Vec<_> = lock(&server.requests).iter().map(shown).collect();
    assert_eq!(shown, ["Bearer t0", "Bearer t0", "Bearer t1"]);
}
