use std::{net::TcpListener, thread};

use clap::Parser;

use super::*;
use crate::cli::{Cli, Output};

/// A server that sends this response to one request. Returns its address.
pub(in crate::cli) fn serve(status: &'static str, body: &'static str) -> String {
    use std::io::Write;

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            request.push(byte[0]);
        }
        // Closing the connection with unread bytes would reset it.
        let head = String::from_utf8_lossy(&request).to_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        let mut sent = vec![0; length.unwrap_or(0)];
        stream.read_exact(&mut sent).unwrap();
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
    });
    format!("http://{address}")
}

/// What a command that was typed like this prints as data when the host sends this response.
pub(in crate::cli) fn printed(status: &'static str, body: &'static str, typed: &[&str]) -> String {
    let url = serve(status, body);
    let typed = [&["delfin-host"], typed, &["--host", &url]].concat();
    let cli = Cli::try_parse_from(typed).unwrap();
    let mut data = Vec::new();
    cli.run(&mut Output::new(&mut data, &cli.options)).unwrap();
    String::from_utf8(data).unwrap()
}

fn client(url: &str) -> HostClient {
    HostClient::network(url, &Tls::default(), None).unwrap()
}

fn client_of(status: &'static str, body: &'static str) -> HostClient {
    client(&serve(status, body))
}

#[test]
fn a_response_is_returned_unchanged() {
    let client = client_of("200 OK", "{\"b\": 1, \"a\":2}\n");
    assert_eq!(
        client.get("/v1/exporters").unwrap(),
        "{\"b\": 1, \"a\":2}\n"
    );
}

#[test]
fn a_refusal_shows_the_message_of_the_host() {
    let body =
        r#"{"error_code": "InvalidInput", "error_msg": "row 3 has no name", "error_args": []}"#;
    let error = client_of("400 Bad Request", body).get("/").unwrap_err();
    assert!(matches!(error, ClientError::Refused { .. }));
    assert_eq!(error.to_string(), "row 3 has no name");
}

#[test]
fn the_response_of_another_server_is_not_shown_as_the_hosts_message() {
    let error = client_of("502 Bad Gateway", "<html>")
        .get("/v1/exporters")
        .unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("unexpected response from `"), "{text}");
    assert!(
        text.ends_with(
            "/v1/exporters`: status 502 Bad Gateway (does delfin-host run at this address?)"
        ),
        "{text}"
    );
}

#[test]
fn an_absent_host_is_named_with_the_reason_and_the_remedy() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let error = client(&format!("http://127.0.0.1:{port}"))
        .get("/")
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot reach the host at `http://127.0.0.1:{port}`: connection refused \
             (start it with `delfin-host run`, or set its address with `--host`)"
        )
    );
}

#[test]
fn a_closed_connection_differs_from_an_absent_host() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || drop(listener.accept()));
    let error = client(&url).get("/").unwrap_err();
    assert!(matches!(error, ClientError::Disconnected { .. }), "{error}");
}

#[test]
fn only_a_loopback_address_bypasses_the_proxy() {
    assert!(is_loopback("http://127.0.0.1:8190"));
    assert!(is_loopback("http://127.9.9.9:8190"));
    assert!(is_loopback("http://localhost:8190"));
    assert!(is_loopback("http://[::1]:8190"));
    assert!(!is_loopback("http://10.0.0.7:8190"));
    assert!(!is_loopback("http://localhost.example:8190"));
}
