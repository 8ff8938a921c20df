use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
};

use axum::{Router, middleware::from_fn_with_state, routing::get};
use tokio::{net::TcpListener, runtime::Runtime};

use super::host::Host;
use crate::{
    access::{TokenFile, TokenStore},
    api::{
        authorize::{AccessRules, RouteScopes},
        cors::CorsOrigins,
        middleware::{self, Gate, RequestLog},
        state::{AllowedHosts, Tokens},
    },
    audit::AuditLog,
};

#[test]
fn an_unknown_path_is_404() {
    let host = Host::start();
    for path in ["/", "/v1/", "/v1/nothing", "/v1/exporters/", "/v1/batches"] {
        host.get(path)
            .is_error(404, "NotFound", "Resource could not be found.");
    }
}

#[test]
fn the_version_leads_to_a_path_that_does_not_exist() {
    let host = Host::start();
    let address = host.address();
    let mut stream = TcpStream::connect(address).unwrap();
    let request = "GET /v1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 302 "), "{answer}");
    assert!(answer.contains("location: /v1/\r\n"), "{answer}");
}

#[test]
fn a_method_that_is_not_allowed_is_405_with_the_allowed_ones() {
    let host = Host::start();
    let check = |method, path, allowed| {
        let answer = host.send(method, path, &[], b"");
        answer.is_error(
            405,
            "MethodNotAllowed",
            "Method is not allowed for this resource.",
        );
        assert_eq!(answer.header("allow"), Some(allowed));
    };
    check("GET", "/v1/ingest/performance", "POST");
    check("POST", "/v1/exporters", "GET,HEAD");
    check("DELETE", "/metrics", "GET,HEAD");
}

#[test]
fn a_request_of_a_web_page_of_another_site_is_403_on_every_route() {
    let host = Host::start();
    let foreign = [("Host", "evil.example")];
    for (method, path) in [
        ("GET", "/metrics"),
        ("GET", "/nothing"),
        ("DELETE", "/metrics"),
        ("POST", "/v1/ingest/performance"),
    ] {
        host.send(method, path, &foreign, b"").is_error(
            403,
            "Forbidden",
            "Request refused: `Host` has the name `evil.example`, which is not a name of this host \
             (add it to `api.hosts`, or use `localhost`, an IP address or a name without a dot).",
        );
    }
    let site = [("Sec-Fetch-Site", "cross-site")];
    assert_eq!(host.send("POST", "/v1/reload", &site, b"").status, 403);
    let form = [("Content-Type", "text/plain")];
    let refused = host.send("POST", "/v1/reload", &form, b"{}");
    refused.is_error(
        415,
        "InvalidContentType",
        "Invalid content type: `text/plain` is for forms of web pages (send `application/json`, or \
         without a body no content type).",
    );
    // This host has no configuration to reload, which the handler says.
    assert_eq!(host.send("POST", "/v1/reload", &[], b"").status, 400);
}

#[test]
fn a_panic_is_500_without_details() {
    async fn panics() -> &'static str {
        panic!("on purpose")
    }
    let runtime = Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate {
        log: RequestLog::new(AuditLog::default()),
        cors_origins: CorsOrigins(Arc::default()),
        hosts: AllowedHosts(Arc::default()),
        access: AccessRules {
            tokens: Tokens {
                store: Arc::new(TokenStore::in_file(TokenFile::new(folder.path())).unwrap()),
                is_exposed: false,
            },
            scopes: RouteScopes::default(),
        },
    };
    let router = Router::new()
        .route("/", get(panics))
        .layer(from_fn_with_state(Arc::new(gate), middleware::answer));
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    runtime.spawn(async { axum::serve(listener, router).await });
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert!(answer.contains("x-compute-request-id: req-"), "{answer}");
    let body = r#"{"error_code":"DelfinException","error_msg":"An unknown exception occurred.","error_args":[]}"#;
    assert!(answer.ends_with(body), "{answer}");
}

#[test]
fn a_body_that_is_cut_off_is_400_and_not_kept() {
    let host = Host::start();
    let mut stream = TcpStream::connect(host.address()).unwrap();
    stream
        .write_all(b"POST /v1/ingest/performance HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n[")
        .unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(
        answer.contains("Malformed request body: it is cut off."),
        "{answer}"
    );
    assert_eq!(host.journals.performance.stats().unwrap().records, 0);
}
