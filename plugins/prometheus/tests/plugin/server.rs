//! An HTTP server that responds as a test needs it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
};

pub(crate) struct ReceivedRequest {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

pub(crate) struct FakeResponse {
    pub(crate) status: u16,
    pub(crate) headers: &'static str,
    pub(crate) body: &'static str,
}

/// A server that lives as long as the test process.
pub(crate) struct FakeAlertmanager {
    port: u16,
}

impl FakeResponse {
    pub(crate) fn ok() -> Self {
        Self::new(200, "", "")
    }

    pub(crate) fn new(status: u16, headers: &'static str, body: &'static str) -> Self {
        Self {
            status,
            headers,
            body,
        }
    }
}

impl FakeAlertmanager {
    pub(crate) fn start(
        respond: impl Fn(&ReceivedRequest) -> FakeResponse + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for stream in listener.incoming() {
                // Some tests expect the client to close the connection early.
                serve(stream.unwrap(), &respond);
            }
        });
        Self { port }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

fn serve(stream: TcpStream, respond: &impl Fn(&ReceivedRequest) -> FakeResponse) -> Option<()> {
    let mut reader = BufReader::new(&stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        (reader.read_line(&mut head).ok()? > 0).then_some(())?;
    }
    let lower = head.to_ascii_lowercase();
    let length = lower
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"));
    let mut body = vec![0; length.map_or(0, |length| length.trim().parse().unwrap())];
    reader.read_exact(&mut body).ok()?;
    let FakeResponse {
        status,
        headers,
        body,
    } = respond(&ReceivedRequest { head, body });
    let length = body.len();
    let response = format!(
        "HTTP/1.1 {status} x\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    (&stream).write_all(response.as_bytes()).ok()
}
