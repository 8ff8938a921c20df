use super::host::{Answer, Host, TWO_POINTS};
use crate::{
    access::AccessScope,
    config::{ApiConfig, JournalConfig},
};

fn send(host: &Host, method: &str, path: &str, token: &str) -> Answer {
    let authorization = format!("Bearer {token}");
    let mut headers = vec![("Content-Type", "application/json")];
    if !token.is_empty() {
        headers.push(("Authorization", &authorization));
    }
    let body = if path.contains("ingest") {
        TWO_POINTS
    } else {
        ""
    };
    host.send(method, path, &headers, body.as_bytes())
}

/// A call of each scope.
const READ: (&str, &str) = ("GET", "/v1/exporters");
const INGEST: (&str, &str) = ("POST", "/v1/ingest/performance");
const ADMIN: (&str, &str) = ("POST", "/v1/exporters/prometheus/resume");

#[test]
fn a_token_makes_the_calls_of_its_scopes_and_no_others() {
    let host = Host::start();
    let add = |name: &str, scopes: &[AccessScope]| host.tokens().add(name, scopes).unwrap();
    for (scopes, allowed) in [
        (&[AccessScope::Read][..], [200, 403, 403]),
        (&[AccessScope::Ingest], [403, 202, 403]),
        (&[AccessScope::Read, AccessScope::Ingest], [200, 202, 403]),
        (&[AccessScope::Admin], [200, 202, 200]),
    ] {
        let token = add(&format!("t{}", allowed.iter().sum::<u16>()), scopes);
        let statuses =
            [READ, INGEST, ADMIN].map(|(method, path)| send(&host, method, path, &token).status);
        assert_eq!(statuses, allowed, "{scopes:?}");
        assert_eq!(send(&host, "HEAD", READ.1, &token).status, allowed[0]);
    }
    let token = add("reader", &[AccessScope::Read]);
    send(&host, ADMIN.0, ADMIN.1, &token).is_error(
        403,
        "Forbidden",
        "Request refused: token `reader` does not have the scope `admin`.",
    );
    host.tokens().revoke("reader").unwrap();
    send(&host, READ.0, READ.1, &token).is_error(
        401,
        "Unauthorized",
        "Authentication required: the token is unknown, or was revoked (`delfin-host tokens add` creates a token).",
    );
}

#[test]
fn without_tokens_every_call_is_open_and_with_one_only_those_that_say_nothing() {
    let host = Host::start();
    for (method, path) in [READ, INGEST, ADMIN] {
        assert!(send(&host, method, path, "").status < 300, "{path}");
        // Clients that are set up already are not disturbed.
        assert!(send(&host, method, path, "unknown").status < 300, "{path}");
    }
    host.tokens().add("one", &[AccessScope::Read]).unwrap();
    for (method, path) in [READ, INGEST, ADMIN, ("GET", "/metrics")] {
        let answer = send(&host, method, path, "");
        answer.is_error(
            401,
            "Unauthorized",
            "Authentication required: send `Authorization: Bearer TOKEN` (`delfin-host tokens \
             add` creates a token).",
        );
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    for path in [
        "/healthz",
        "/readyz",
        "/openapi.json",
        "/ui",
        "/ui/",
        "/ui/app.js",
    ] {
        assert!(send(&host, "GET", path, "").status < 400, "{path}");
    }
    assert_eq!(send(&host, "GET", "/nothing", "").status, 404);
    host.tokens().revoke("one").unwrap();
    assert_eq!(
        send(&host, READ.0, READ.1, "").status,
        401,
        "the last token"
    );
}

#[test]
fn an_authorization_that_is_no_token_is_refused_and_not_repeated() {
    let host = Host::start();
    let token = host.tokens().add("one", &[AccessScope::Read]).unwrap();
    let get = |values: &[&str]| {
        let headers: Vec<_> = values
            .iter()
            .map(|value| ("Authorization", *value))
            .collect();
        host.send("GET", READ.1, &headers, b"")
    };
    for wrong in ["Basic aHVudGVyMg==", "Bearer", "hunter2", ""] {
        let answer = get(&[wrong]);
        assert_eq!(answer.status, 401, "{wrong}");
        assert!(wrong.is_empty() || !answer.body.contains(wrong) || wrong == "Bearer");
    }
    let good = format!("bearer  {}", *token);
    assert_eq!(get(&[&good]).status, 200);
    assert_eq!(get(&[&good, &good]).status, 401, "which one counts?");
}

#[test]
fn an_address_that_other_machines_reach_is_never_open() {
    let exposed = || ApiConfig {
        listen: ([192, 0, 2, 1], 8190).into(),
        ..ApiConfig::default()
    };
    let host = Host::with(exposed(), JournalConfig::default());
    assert_eq!(send(&host, READ.0, READ.1, "").status, 401);
    let accepted = ApiConfig {
        allow_unauthenticated: true,
        ..exposed()
    };
    let host = Host::with(accepted, JournalConfig::default());
    assert_eq!(send(&host, READ.0, READ.1, "").status, 200);
    host.tokens().add("one", &[AccessScope::Read]).unwrap();
    assert_eq!(send(&host, READ.0, READ.1, "").status, 401);
}
