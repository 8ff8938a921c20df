//! A receiver for tests: an HTTP server that responds as a test needs it.
//!
//! Promises: it listens on a free port of this machine until the process ends; it keeps
//! each request that it has read completely.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc::Receiver},
    thread,
};

/// An HTTP/1.1 server on a thread of its own.
///
/// ```
/// use delfin_plugin_api::testkit::{TestReceiver, TestResponse};
///
/// let receiver = TestReceiver::start(|request| match request.path.as_str() {
///     "/in" => TestResponse::new(202),
///     _ => TestResponse::new(404).body("no such path"),
/// });
/// let settings = serde_json::json!({ "url": receiver.url("/in") });
/// assert!(receiver.requests().is_empty(), "no exporter has sent anything to {settings}");
/// ```
pub struct TestReceiver {
    scheme: &'static str,
    port: u16,
    requests: Arc<Mutex<Vec<TestRequest>>>,
}

/// A request that a [`TestReceiver`] got.
#[derive(Debug, Clone)]
pub struct TestRequest {
    /// The method, such as `POST`.
    pub method: String,
    /// The path and the query.
    pub path: String,
    /// The header lines, without their line ends.
    pub headers: Vec<String>,
    /// The body as it was sent.
    pub body: Vec<u8>,
}

/// What a [`TestReceiver`] does after it has read a request.
#[derive(Debug, Clone)]
pub struct TestResponse {
    status: u16,
    headers: String,
    body: Vec<u8>,
    end: ResponseEnd,
    pieces: Option<Arc<Mutex<Receiver<Vec<u8>>>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ResponseEnd {
    Complete,
    /// The connection is closed before the end of the body.
    CutOff,
    /// The connection is closed instead of a response.
    Closed,
    /// Nothing is sent, and the connection stays open.
    Stalled,
    /// The body is sent piece by piece.
    Streamed,
}

impl TestResponse {
    /// A response with this status and an empty body.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self {
            status,
            headers: String::new(),
            body: Vec::new(),
            end: ResponseEnd::Complete,
            pieces: None,
        }
    }

    /// A body that is sent piece by piece, until the sender is dropped.
    #[must_use]
    pub fn stream(pieces: Receiver<Vec<u8>>) -> Self {
        Self {
            end: ResponseEnd::Streamed,
            pieces: Some(Arc::new(Mutex::new(pieces))),
            ..Self::new(200)
        }
    }

    /// No response: the connection is closed.
    #[must_use]
    pub fn closed() -> Self {
        Self {
            end: ResponseEnd::Closed,
            ..Self::new(0)
        }
    }

    /// No response: the connection stays open.
    #[must_use]
    pub fn stalled() -> Self {
        Self {
            end: ResponseEnd::Stalled,
            ..Self::new(0)
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Closes the connection after the body, although more bytes are announced.
    #[must_use]
    pub fn cut_off(mut self) -> Self {
        self.end = ResponseEnd::CutOff;
        self
    }
}

impl TestRequest {
    /// The value of a header; empty if the request does not have it.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.iter().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        });
        value.unwrap_or_default()
    }
}

impl TestReceiver {
    /// Reads each request, and responds with what `respond` returns.
    ///
    /// # Panics
    ///
    /// No port is free.
    #[must_use]
    pub fn start(respond: impl Fn(&TestRequest) -> TestResponse + Send + Sync + 'static) -> Self {
        Self::listen("http", Ok, Some(Box::new(respond)), TestResponse::closed())
    }

    /// Like [`start`](Self::start), over TLS: `accept` makes the TLS connection, for example a
    /// `rustls::StreamOwned`. A connection for which it fails is closed.
    ///
    /// # Panics
    ///
    /// No port is free.
    #[must_use]
    pub fn start_tls<S: Read + Write>(
        accept: impl Fn(TcpStream) -> io::Result<S> + Send + Sync + 'static,
        respond: impl Fn(&TestRequest) -> TestResponse + Send + Sync + 'static,
    ) -> Self {
        Self::listen(
            "https",
            accept,
            Some(Box::new(respond)),
            TestResponse::closed(),
        )
    }

    /// Responds to each request before it has read the body, and closes the connection. It
    /// keeps no request.
    ///
    /// # Panics
    ///
    /// No port is free.
    #[must_use]
    pub fn start_unread(response: TestResponse) -> Self {
        Self::listen("http", Ok, None, response)
    }

    /// The URL of a path, which begins with `/`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}://localhost:{}{path}", self.scheme, self.port)
    }

    /// The requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<TestRequest> {
        lock(&self.requests).clone()
    }

    fn listen<S: Read + Write>(
        scheme: &'static str,
        accept: impl Fn(TcpStream) -> io::Result<S> + Send + Sync + 'static,
        respond: Option<Box<Respond>>,
        unread: TestResponse,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0");
        let listener = listener.unwrap_or_else(|error| panic!("no port is free: {error}"));
        let port = listener.local_addr().map_or(0, |address| address.port());
        let requests = Arc::<Mutex<Vec<TestRequest>>>::default();
        let shared = Arc::new(Shared {
            accept,
            respond,
            unread,
            requests: Arc::clone(&requests),
        });
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                // Some tests make the client close the connection early.
                thread::spawn(move || serve(stream, &shared).ok());
            }
        });
        Self {
            scheme,
            port,
            requests,
        }
    }
}

type Respond = dyn Fn(&TestRequest) -> TestResponse + Send + Sync;

struct Shared<A> {
    accept: A,
    /// `None`: the response to every request is `unread`.
    respond: Option<Box<Respond>>,
    unread: TestResponse,
    requests: Arc<Mutex<Vec<TestRequest>>>,
}

fn lock(requests: &Mutex<Vec<TestRequest>>) -> MutexGuard<'_, Vec<TestRequest>> {
    requests.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve<S: Read + Write, A: Fn(TcpStream) -> io::Result<S>>(
    stream: TcpStream,
    shared: &Shared<A>,
) -> io::Result<()> {
    let mut stream = BufReader::new((shared.accept)(stream)?);
    loop {
        let start = stream.fill_buf()?;
        // What servers say to a client that speaks TLS to them.
        if start.first().is_some_and(|byte| !byte.is_ascii_uppercase()) {
            return write(stream.get_mut(), &TestResponse::new(400));
        }
        let mut request = read_head(&mut stream)?;
        let Some(respond) = &shared.respond else {
            return write(stream.get_mut(), &shared.unread);
        };
        if request.header("expect") == "100-continue" {
            let go_on = b"HTTP/1.1 100 Continue\r\n\r\n";
            stream.get_mut().write_all(go_on)?;
        }
        let length = request.header("content-length").parse().unwrap_or(0);
        stream
            .by_ref()
            .take(length)
            .read_to_end(&mut request.body)?;
        if (request.body.len() as u64) < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        lock(&shared.requests).push(request.clone());
        let response = respond(&request);
        match response.end {
            ResponseEnd::Complete => write(stream.get_mut(), &response)?,
            ResponseEnd::CutOff => return write(stream.get_mut(), &response),
            ResponseEnd::Closed => return Ok(()),
            ResponseEnd::Streamed => return write_pieces(stream.get_mut(), &response),
            // Ends when the client closes the connection.
            ResponseEnd::Stalled => drop(stream.read(&mut [0])?),
        }
    }
}

fn read_head(stream: &mut impl BufRead) -> io::Result<TestRequest> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        lines.push(line.to_owned());
    }
    let mut first = lines.first().map_or("", String::as_str).split(' ');
    let mut next = || first.next().unwrap_or_default().to_owned();
    Ok(TestRequest {
        method: next(),
        path: next(),
        headers: lines.get(1..).unwrap_or_default().to_vec(),
        body: Vec::new(),
    })
}

fn write(stream: &mut impl Write, response: &TestResponse) -> io::Result<()> {
    let TestResponse {
        status,
        headers,
        body,
        end,
        ..
    } = response;
    let length = body.len() + usize::from(*end == ResponseEnd::CutOff);
    let length = match status {
        204 | 304 => String::new(),
        _ => format!("content-length: {length}\r\n"),
    };
    let head = format!("HTTP/1.1 {status} x\r\n{headers}{length}\r\n");
    stream.write_all(&[head.as_bytes(), body].concat())?;
    stream.flush()
}

/// The end of the connection is the end of the body.
fn write_pieces(stream: &mut impl Write, response: &TestResponse) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 200 x\r\n{}connection: close\r\n\r\n",
        response.headers
    );
    stream.write_all(head.as_bytes())?;
    stream.flush()?;
    if let Some(pieces) = &response.pieces {
        let pieces = pieces.lock().unwrap_or_else(PoisonError::into_inner);
        for piece in pieces.iter() {
            stream.write_all(&piece)?;
            stream.flush()?;
        }
    }
    Ok(())
}
