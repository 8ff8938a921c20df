use base64::{Engine, prelude::BASE64_STANDARD};
use hyper::header::{AUTHORIZATION, HeaderValue};

use super::super::{auth::Guard, config::Config};

#[test]
fn only_the_right_name_and_password_are_admitted() {
    let login = serde_json::json!({ "username": "prom", "password": "s:cret" });
    let config: Config = serde_json::from_value(login).unwrap();
    let guard = Guard::new(&config.login.unwrap());
    let admits = |value: Option<&str>| {
        let value = value.map(|value| HeaderValue::from_str(value).unwrap());
        guard.admits(&value.into_iter().map(|v| (AUTHORIZATION, v)).collect())
    };
    let basic = |credentials| format!("Basic {}", BASE64_STANDARD.encode(credentials));
    assert!(admits(Some(&basic("prom:s:cret"))));
    assert!(admits(Some(
        &basic("prom:s:cret").replace("Basic", "basic")
    )));
    for wrong in ["prom:s:cre", "prom:", "", "other:s:cret", "prom:s:cret "] {
        assert!(!admits(Some(&basic(wrong))), "{wrong}");
    }
    assert!(!admits(Some("Bearer s:cret")));
    assert!(!admits(None));
}
