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
