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
    assert_eq!(config.url.url, "https://example.com:8443/hooks/s3cret?x=y");
    assert_eq!(config.url.redacted, "https://example.com:8443/…");
    let headers: Vec<_> = config
        .http
        .headers
        .iter()
        .map(|(name, _)| &**name)
        .collect();
    assert_eq!(headers, ["Authorization", "X-Tenant"]);
    assert!(config.hmac_secret.is_some() && config.http.proxy.is_some());
    assert_eq!(config.compression, Compression::Gzip);
    assert_eq!(config.response_format, ResponseFormat::Json);
    assert!(
        config.http.tls.client_certificate.is_some() && config.http.tls.ca_certificate.is_some()
    );
}

#[test]
fn a_bad_value_is_refused_with_the_remedy() {
    assert_eq!(
        read(json!({ "compression": "lz4", "proxy": "https://p" })).unwrap_err(),
        "`url` is missing (write the URL to post to, such as `https://example.com/delfin`); \
         `proxy` does not begin with `http://` (write `http://host:port`); \
         `compression` cannot be `\"lz4\"` (write `none` or `gzip` or `zstd`)"
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
    for name in ["IDEMPOTENCY-KEY", "x-delfin-signature", "Content-Type"] {
        let reason = "is set by the exporter (remove it)";
        refused(json!({ "headers": { name: "x" } }), reason);
    }
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
fn the_example_shows_the_defaults() {
    let example: Value = toml::from_str(include_str!("../../example.toml")).unwrap();
    for exporter in ["performance-webhook", "alert-webhook"] {
        let shown = &example["exporter"][exporter]["config"];
        let url = json!({ "url": shown["url"] });
        assert_eq!(
            read(shown.clone()),
            read(url),
            "every setting but `url` is shown with its default"
        );
    }
}
