use serde_json::json;

use super::*;

fn read(config: Value) -> Result<Config, String> {
    serde_json::from_value(config).map_err(|error: serde_json::Error| error.to_string())
}

fn refused(mut config: Value, reason: &str) {
    if config.get("url").is_none() {
        config["url"] = json!("https://a");
    }
    let mistakes = read(config).unwrap_err();
    assert!(mistakes.contains(reason), "{mistakes}");
}

#[test]
fn every_setting_is_read() {
    let config = read(json!({
        "url": "https://example.com:8443/hooks/s3cret?x=y",
        "headers": { "X-Tenant": "7", "Authorization": "Splunk s3cret" },
        "hmac_secret": "s3cret",
        "ca_certificate": "ca.pem",
        "client_certificate": "c.pem",
        "client_key": "c.key",
        "proxy": "http://u:s3cret@proxy:3128",
        "compression": "gzip",
        "response_format": "json",
    }))
    .unwrap();
    assert_eq!(config.url, "https://example.com:8443/hooks/s3cret?x=y");
    assert_eq!(config.redacted_url, "https://example.com:8443/…");
    let headers: Vec<_> = config.headers.iter().map(|(name, _)| &**name).collect();
    assert_eq!(headers, ["Authorization", "X-Tenant"]);
    assert!(config.hmac_secret.is_some() && config.proxy.is_some() && config.gzip);
    assert_eq!(config.response_format, ResponseFormat::Json);
    assert!(config.tls.client_certificate.is_some() && config.tls.ca_certificate.is_some());
}

#[test]
fn a_bad_value_is_refused_with_the_remedy() {
    assert_eq!(
        read(json!({ "compression": "zstd", "proxy": "https://p" })).unwrap_err(),
        "`url` is missing (write the URL to post to, such as `https://example.com/delfin`); \
         `proxy` does not begin with `http://` (write `http://host:port`); \
         `compression` cannot be `\"zstd\"` (write `none` or `gzip`)"
    );
    refused(json!({ "url": "example.com" }), "`url` cannot hold");
    refused(json!({ "url": 7 }), "`url` cannot be `7`");
    refused(json!({ "client_key": "k" }), "come together");
    refused(
        json!({ "response_format": "html" }),
        "write `any` or `json`",
    );
    refused(json!({ "insecure": true }), "unknown field `insecure`");
}

#[test]
fn headers_that_the_exporter_sets_are_refused() {
    let check = |name: &str, value: Value, reason: &str| {
        refused(json!({ "headers": { name: value } }), reason);
    };
    for name in [
        "Content-Type",
        "IDEMPOTENCY-KEY",
        "host",
        "x-delfin-signature",
    ] {
        check(name, json!("x"), "is set by the exporter (remove it)");
    }
    check("a b", json!("x"), "is not a valid header name");
    check("", json!("x"), "is not a valid header name");
    check("X-A", json!("x\r\nHost: y"), "not allowed in a header");
    check("X-A", json!(7), "is not text");
    refused(json!({ "headers": [7] }), "`headers` is not a table");
    refused(json!({ "headers": { "X-A": "1", "x-a": "2" } }), "twice");
    let both = json!({ "headers": { "Authorization": "x" }, "bearer_token": "t" });
    refused(both, "(keep one)");
}

#[test]
fn credentials_in_the_url_are_refused_and_no_secret_is_shown() {
    let mistakes = read(json!({
        "url": "https://hunter1:hunter2@a/hunter3",
        "headers": { "X-Key": ["hunter4"], "X-Other": "hunter5\n" },
        "password": "hunter6",
        "hmac_secret": ["hunter7"],
        "proxy": "hunter8",
    }));
    let mistakes = mistakes.unwrap_err();
    assert!(mistakes.contains("(use `username` and `password`)"));
    assert!(!mistakes.contains("hunter"), "{mistakes}");
    let config = read(json!({
        "url": "https://a",
        "headers": { "X-Key": "hunter1" },
        "bearer_token": "hunter2",
        "hmac_secret": "hunter3",
        "proxy": "http://hunter4:hunter5@p",
    }));
    assert!(!format!("{config:?}").contains("hunter"));
}

#[test]
fn unencrypted_credentials_to_another_machine_are_noticed() {
    let check = |url: &str, plain: bool| {
        let config = read(json!({ "url": url, "bearer_token": "t" })).unwrap();
        assert_eq!(config.sends_plain_credentials(), plain, "{url}");
        let config = read(json!({ "url": url })).unwrap();
        assert!(!config.sends_plain_credentials(), "{url}");
    };
    for url in [
        "http://a",
        "http://10.0.0.7:80/x",
        "http://[2001:db8::1]:80",
    ] {
        check(url, true);
    }
    for url in [
        "https://a",
        "http://localhost:8190/v1",
        "http://127.0.0.9",
        "http://[::1]:8190",
        "http://[::1]",
    ] {
        check(url, false);
    }
}

#[test]
fn the_example_shows_every_setting() {
    let text = include_str!("../../example.toml");
    let example: Value = toml::from_str(text).unwrap();
    for exporter in ["performance-webhook", "alert-webhook"] {
        let shown = &example["exporter"][exporter]["config"];
        let url = json!({ "url": shown["url"] });
        assert_eq!(
            read(shown.clone()),
            read(url),
            "every setting but `url` is shown with its default"
        );
    }
    for key in [
        "headers",
        "username",
        "password",
        "bearer_token",
        "hmac_secret",
        "ca_certificate",
        "client_certificate",
        "client_key",
        "proxy",
        "compression",
    ] {
        assert!(
            text.lines()
                .any(|line| line.trim_start_matches('#').starts_with(key)),
            "no `{key}`"
        );
    }
}
