use std::{net::TcpListener, thread};

use super::*;

/// A server that gives this answer to one request, and its address.
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
        // What is left unread when the connection ends would reset it.
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

fn answering(status: &'static str, body: &'static str) -> Api {
    Api::new(&serve(status, body))
}

#[test]
fn an_answer_is_passed_on_as_it_is() {
    let api = answering("200 OK", "{\"b\": 1, \"a\":2}\n");
    assert_eq!(api.get("/v1/exporters").unwrap(), "{\"b\": 1, \"a\":2}\n");
}

#[test]
fn a_refusal_speaks_in_the_hosts_own_words() {
    let body =
        r#"{"error_code": "InvalidInput", "error_msg": "row 3 has no name", "error_args": []}"#;
    let error = answering("400 Bad Request", body).get("/").unwrap_err();
    assert!(matches!(error, ApiError::Refused { .. }));
    assert_eq!(error.to_string(), "row 3 has no name");
}

#[test]
fn what_another_server_says_is_not_shown_as_the_hosts_words() {
    let error = answering("502 Bad Gateway", "<html>")
        .get("/v1/exporters")
        .unwrap_err();
    let text = error.to_string();
    assert!(text.contains("/v1/exporters` gave an answer"), "{text}");
    assert!(
        text.contains("status 502 Bad Gateway (is it the right address?)"),
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
    let error = Api::new(&format!("http://127.0.0.1:{port}"))
        .get("/")
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot reach the host at `http://127.0.0.1:{port}`: connection refused \
             (start it with `delfin-host run`, or name its address with `--host`)"
        )
    );
}

#[test]
fn a_host_that_hangs_up_is_told_from_one_that_is_not_there() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || drop(listener.accept()));
    let error = Api::new(&url).get("/").unwrap_err();
    assert!(matches!(error, ApiError::Cut { .. }), "{error}");
}

#[test]
fn only_an_address_of_this_machine_goes_around_the_proxy() {
    assert!(is_loopback("http://127.0.0.1:8190"));
    assert!(is_loopback("http://127.9.9.9:8190"));
    assert!(is_loopback("http://localhost:8190"));
    assert!(is_loopback("http://[::1]:8190"));
    assert!(!is_loopback("http://10.0.0.7:8190"));
    assert!(!is_loopback("http://localhost.example:8190"));
}
