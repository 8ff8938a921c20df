use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::json;

use super::*;
use crate::{
    http::{Client, ClientSettings},
    testkit::{TestReceiver, TestRequest, TestResponse},
};

const TIME: Duration = Duration::from_secs(20);

fn read(value: Value) -> Result<Option<OAuth2Settings>, String> {
    let mut mistakes = Mistakes::default();
    let settings = OAuth2Settings::read(Some(value), &mut mistakes);
    let read = mistakes.into_result(settings);
    read.map_err(|error| error.to_string())
}

fn client(receiver: &TestReceiver, extra: &Value) -> Client {
    let mut oauth2 = json!({ "token_url": receiver.url("/token"), "client_id": "a b", "client_secret": "hunter2&" });
    let extra = extra.as_object().unwrap().clone();
    oauth2.as_object_mut().unwrap().extend(extra);
    Client::new(&ClientSettings {
        oauth2: read(oauth2).unwrap(),
        ..ClientSettings::default()
    })
    .unwrap()
}

/// A server whose first token is `t1`, the next one `t2`, and so on, with these seconds to live. It
/// accepts tokens from number `valid` on.
fn server(expires_in: Value, valid: usize) -> TestReceiver {
    let tokens = Arc::new(AtomicUsize::new(0));
    TestReceiver::start(move |request: &TestRequest| {
        if request.path == "/token" {
            let number = tokens.fetch_add(1, Ordering::Relaxed) + 1;
            let token = json!({ "access_token": format!("t{number}"), "token_type": "Bearer", "expires_in": expires_in });
            return TestResponse::new(200).body(token.to_string());
        }
        let shown = request.header("authorization").strip_prefix("Bearer t");
        let is_valid = shown.and_then(|number| number.parse::<usize>().ok()) >= Some(valid);
        TestResponse::new(if is_valid { 204 } else { 401 })
    })
}

fn paths(receiver: &TestReceiver) -> Vec<String> {
    let requests = receiver.requests().into_iter();
    requests.map(|request| request.path).collect()
}

#[test]
fn a_token_is_fetched_once_and_sent_with_each_request() {
    let receiver = server(json!(3600), 1);
    let client = client(&receiver, &json!({ "scope": "read write" }));
    for _ in 0..2 {
        let response = client.post(&receiver.url("/in")).send(b"x", TIME).unwrap();
        assert_eq!(response.status(), 204);
    }
    assert_eq!(paths(&receiver), ["/token", "/in", "/in"]);
    let asked = &receiver.requests()[0];
    // `a%20b:hunter2%26`
    assert_eq!(
        asked.header("authorization"),
        "Basic YSUyMGI6aHVudGVyMiUyNg=="
    );
    let body = "grant_type=client_credentials&scope=read%20write";
    assert_eq!(asked.body, body.as_bytes());
}

#[test]
fn the_credentials_can_be_in_the_body() {
    let receiver = server(json!(3600), 1);
    let client = client(&receiver, &json!({ "sent_in": "body" }));
    client.get(&receiver.url("/in")).send(b"", TIME).unwrap();
    let asked = &receiver.requests()[0];
    assert_eq!(asked.header("authorization"), "");
    let body = "grant_type=client_credentials&client_id=a%20b&client_secret=hunter2%26";
    assert_eq!(asked.body, body.as_bytes());
}

#[test]
fn a_token_is_replaced_when_it_expires_or_is_refused() {
    // Expired at once.
    let receiver = server(json!(0), 1);
    let client_0 = client(&receiver, &json!({}));
    for _ in 0..2 {
        client_0
            .post(&receiver.url("/in"))
            .send(b"x", TIME)
            .unwrap();
    }
    assert_eq!(paths(&receiver), ["/token", "/in", "/token", "/in"]);

    // Revoked before its time, which the server does not say.
    let receiver = server(Value::Null, 2);
    let client = client(&receiver, &json!({}));
    let response = client.post(&receiver.url("/in")).send(b"x", TIME).unwrap();
    // The first one was new, so it is not tried again.
    assert_eq!(response.status(), 401);
    let response = client.post(&receiver.url("/in")).send(b"x", TIME).unwrap();
    assert_eq!(response.status(), 204);
    assert_eq!(paths(&receiver), ["/token", "/in", "/token", "/in"]);
}

#[test]
fn a_known_token_that_is_refused_is_replaced_within_the_request() {
    let tokens = Arc::new(AtomicUsize::new(0));
    let revoked = Arc::clone(&tokens);
    let receiver = TestReceiver::start(move |request: &TestRequest| {
        let number = revoked.load(Ordering::Relaxed);
        if request.path == "/token" {
            let token = json!({ "access_token": format!("t{number}"), "token_type": "bearer" });
            return TestResponse::new(200).body(token.to_string());
        }
        let is_valid = request.header("authorization") == format!("Bearer t{number}");
        TestResponse::new(if is_valid { 204 } else { 401 })
    });
    let client = client(&receiver, &json!({}));
    for number in 0..2 {
        tokens.store(number, Ordering::Relaxed);
        let response = client.post(&receiver.url("/in")).send(b"x", TIME).unwrap();
        assert_eq!(response.status(), 204);
    }
    let expected = ["/token", "/in", "/in", "/token", "/in"];
    assert_eq!(paths(&receiver), expected);
}

#[test]
fn what_the_token_server_answers_becomes_the_outcome() {
    let of = |answer: TestResponse| {
        let receiver = TestReceiver::start(move |_| answer.clone());
        let request = client(&receiver, &json!({}));
        let failure = match request.post(&receiver.url("/in")).send(b"x", TIME) {
            Ok(response) => response.failure("in"),
            Err(error) => error.failure("in"),
        };
        assert_eq!(paths(&receiver), ["/token"]);
        let failure = Err(failure);
        assert!(!format!("{failure:?}").contains("hunter2"));
        failure
    };
    let check = |answer: TestResponse, name: &str, part: &str| {
        crate::testkit::check_outcome(&of(answer), name, part);
    };
    let refused = TestResponse::new(400).body(r#"{"error":"invalid_client"}"#);
    check(refused, "unauthorized", "invalid_client");
    check(TestResponse::new(404), "misconfigured", "token_url");
    check(TestResponse::new(503), "retry", "503");
    check(
        TestResponse::new(200).body("<html>"),
        "misconfigured",
        "does not answer with a token",
    );
    let mac = TestResponse::new(200).body(r#"{"access_token":"s3cret","token_type":"mac"}"#);
    check(mac, "misconfigured", "no bearer token");
    check(TestResponse::closed(), "retry", "");
}

#[test]
fn every_mistake_is_reported_and_no_secret_is_shown() {
    let settings =
        json!({ "token_url": "ftp://a", "client_secret": "hunter2", "sent_in": "query" });
    let mistakes = read(settings).unwrap_err();
    for part in [
        "`oauth2.token_url` cannot hold",
        "`oauth2.client_id` is missing (write a table",
        "`oauth2.sent_in` cannot be `\"query\"` (write `header` or `body`)",
    ] {
        assert!(mistakes.contains(part), "{mistakes}");
    }
    assert!(!mistakes.contains("hunter2"), "{mistakes}");
    assert!(read(json!("t")).unwrap_err().contains("is not a table"));
    assert!(
        read(json!({ "url": 1 }))
            .unwrap_err()
            .contains("unknown field `url`")
    );
}
