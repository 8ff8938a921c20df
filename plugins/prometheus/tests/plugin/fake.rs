//! A receiver that answers as a test tells it to.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
};

/// What it was sent.
pub(crate) struct Request {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// What it says.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: &'static str,
    pub(crate) body: &'static str,
}

/// A receiver, for as long as the test runs.
pub(crate) struct Receiver {
    port: u16,
}

impl Answer {
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

impl Receiver {
    pub(crate) fn start(answer: impl Fn(&Request) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for stream in listener.incoming() {
                // Whoever goes away in between is part of some tests.
                speak(stream.unwrap(), &answer);
            }
        });
        Self { port }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

fn speak(stream: TcpStream, answer: &impl Fn(&Request) -> Answer) -> Option<()> {
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
    let Answer {
        status,
        headers,
        body,
    } = answer(&Request { head, body });
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status} x\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    (&stream).write_all(answer.as_bytes()).ok()
}
