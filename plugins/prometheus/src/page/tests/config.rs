use std::time::Duration;

use serde_json::{Value, json};

use super::super::config::Config;

fn read(config: Value) -> Result<Config, String> {
    serde_json::from_value(config).map_err(|error: serde_json::Error| error.to_string())
}

#[test]
fn without_settings_only_this_machine_sees_the_page() {
    let config = read(json!({})).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:8195");
    assert_eq!(config.metric_expiration, Duration::from_secs(3000));
    assert!(!config.send_timestamps);
    assert_eq!((config.login, config.tls), (None, None));
}

#[test]
fn a_page_for_other_machines_needs_a_login_or_a_word_that_it_needs_none() {
    let check = |config: Value, accepted| {
        assert_eq!(read(config.clone()).is_ok(), accepted, "{config}");
    };
    for ip in ["0.0.0.0", "192.0.2.7", "::"] {
        check(json!({ "metric_server_ip": ip }), false);
        check(
            json!({ "metric_server_ip": ip, "allow_unauthenticated": true }),
            true,
        );
        check(
            json!({ "metric_server_ip": ip, "username": "u", "password": "p" }),
            true,
        );
    }
    for ip in ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"] {
        check(json!({ "metric_server_ip": ip }), true);
    }
}

#[test]
fn every_mistake_is_reported_and_no_password() {
    let mistakes = read(json!({
        "metric_server_ip": "localhost",
        "metric_server_port": 65536,
        "metric_expiration": "0s",
        "send_timestamps": "no",
        "password": ["hunter2"],
        "tls_key": "key.pem",
    }))
    .unwrap_err();
    for part in [
        "`username` is missing (`username` and `password` come together)",
        "`password` has a wrong value",
        "`metric_server_ip` cannot be `\"localhost\"`",
        "`metric_server_port` cannot be `65536`",
        "`metric_expiration` cannot be `\"0s\"`",
        "`send_timestamps` cannot be `\"no\"`",
        "`tls_certificate` is missing",
    ] {
        assert!(mistakes.contains(part), "{part}: {mistakes}");
    }
    assert!(!mistakes.contains("hunter2"), "{mistakes}");
}

#[test]
fn a_password_is_not_printed() {
    let config = read(json!({ "username": "u", "password": "hunter2" })).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn the_example_shows_every_setting_with_its_default() {
    let example: Value = toml::from_str(include_str!("../../../example.toml")).unwrap();
    let shown = &example["exporter"]["PerformanceExporterPrometheus"]["config"];
    assert_eq!(read(shown.clone()), read(json!({})));
}
