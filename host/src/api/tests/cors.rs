use super::host::{Answer, Host};
use crate::config::{ApiConfig, JournalConfig};

const ORIGIN: &str = "https://dash.example";

fn host() -> Host {
    let config = ApiConfig {
        cors_origins: vec![ORIGIN.to_owned()],
        ..ApiConfig::default()
    };
    Host::with(config, JournalConfig::default())
}

fn send(host: &Host, method: &str, headers: &[(&str, &str)]) -> Answer {
    host.send(method, "/v1/exporters", headers, b"")
}

#[test]
fn a_page_of_an_allowed_origin_reads_answers_also_of_errors() {
    let host = host();
    let page = [("Origin", ORIGIN), ("Sec-Fetch-Site", "cross-site")];
    let answer = send(&host, "GET", &page);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN));
    assert_eq!(answer.header("vary"), Some("origin"));
    host.tokens().add("one", &[]).unwrap();
    let answer = send(&host, "GET", &page);
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN));
}

#[test]
fn a_browser_may_ask_before_it_has_a_token() {
    let host = host();
    host.tokens().add("one", &[]).unwrap();
    let ask = |origin| {
        let headers = [
            ("Origin", origin),
            ("Access-Control-Request-Method", "POST"),
            (
                "Access-Control-Request-Headers",
                "authorization,content-type",
            ),
        ];
        send(&host, "OPTIONS", &headers)
    };
    let answer = ask(ORIGIN);
    assert_eq!(answer.status, 204);
    let header = |name| answer.header(name);
    assert_eq!(header("access-control-allow-origin"), Some(ORIGIN));
    assert_eq!(
        header("access-control-allow-headers"),
        Some("authorization,content-type")
    );
    assert!(header("access-control-allow-methods").is_some_and(|it| it.contains("POST")));
    assert_eq!(header("access-control-allow-credentials"), None);
    assert_eq!(ask("https://evil.example").status, 403);
}

#[test]
fn every_other_origin_is_refused_as_before() {
    let host = host();
    for origin in [
        "https://evil.example",
        "http://dash.example",
        "https://dash.example:1",
        "null",
    ] {
        let answer = send(&host, "GET", &[("Origin", origin)]);
        assert_eq!(answer.status, 403, "{origin}");
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
    let twice = [("Origin", ORIGIN), ("Origin", ORIGIN)];
    assert_eq!(send(&host, "GET", &twice).status, 403);
    // The page may be allowed, but the name of the host is not.
    let rebound = [("Origin", ORIGIN), ("Host", "dash.example")];
    assert_eq!(send(&host, "GET", &rebound).status, 403);
}
