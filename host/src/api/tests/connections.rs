use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
};

use super::host::{Host, TWO_POINTS};

/// Sends a request, closes this side, and returns the answer.
fn half_closed(host: &Host, request: &str) -> String {
    let mut stream = TcpStream::connect(host.address()).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_client_that_closes_its_side_gets_its_answer() {
    let host = Host::start();
    let length = TWO_POINTS.len();
    let ingest = format!(
        "POST /v1/ingest/performance HTTP/1.1\r\nHost: localhost\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{TWO_POINTS}"
    );
    for _ in 0..10 {
        let answer = half_closed(&host, &ingest);
        assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    }
    let answer = half_closed(&host, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

/// The next answer of a connection.
fn next_answer(stream: &mut TcpStream) -> String {
    let mut answer = String::new();
    loop {
        let length = answer.split_once("\r\n\r\n").and_then(|(head, body)| {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))?;
            Some((length.parse::<usize>().ok()?, body.len()))
        });
        if length.is_some_and(|(wanted, found)| wanted == found) {
            return answer;
        }
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.push(char::from(byte[0]));
    }
}

#[test]
fn a_body_that_comes_after_the_answer_does_not_break_the_connection() {
    let host = Host::start();
    let mut stream = TcpStream::connect(host.address()).unwrap();
    for (call, status) in [
        ("POST /v1/reload?x=1", 400),
        ("POST /v1/exporters", 405),
        ("POST /v1/ingest/performance?x=1", 400),
        ("PUT /v1/nothing", 404),
    ] {
        let head = format!("{call} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let answer = next_answer(&mut stream);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        stream.write_all(b"{}").unwrap();
    }
}

#[test]
fn connections_are_counted_until_they_are_closed() {
    let host = Host::start();
    let open = |page: &str| {
        let name = "delfin_host_api_open_connections ";
        let line = page.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().parse::<usize>().unwrap()
    };
    let idle = TcpStream::connect(host.address()).unwrap();
    while open(&host.get("/metrics").body) < 2 {
        std::thread::yield_now();
    }
    drop(idle);
    while open(&host.get("/metrics").body) > 1 {
        std::thread::yield_now();
    }
}
