//! The settings, from `[exporter.NAME.config]`.
//!
//! Promises: all mistakes are reported at once, each with its key and a remedy;
//! a value that may be a secret is not shown; a bad value never falls back to a
//! default.

mod headers;

use delfin_plugin_api::{
    http::{Authorization, Tls, check_url, redact_url},
    setting::{ConfigError, Mistakes, Secret},
};
use serde::Deserialize;
use serde_json::Value;

use self::headers::read_headers;
use crate::outcome::ResponseFormat;

const URL: &str = "write the URL to post to, such as `https://example.com/delfin`";
const COMPRESSION: &str = "write `none` or `gzip`";
const RESPONSE_FORMAT: &str = "write `any` or `json`";
const PROXY: &str = "write `http://host:port`";

/// Checked settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RawSettings")]
pub(crate) struct Config {
    /// Its path and query may be a secret.
    pub(crate) url: String,
    /// The URL without its path and query, for logs and messages.
    pub(crate) redacted_url: String,
    /// Additional headers.
    pub(crate) headers: Vec<(String, Secret)>,
    pub(crate) authorization: Option<Authorization>,
    /// The key that signs bodies.
    pub(crate) hmac_secret: Option<Secret>,
    pub(crate) tls: Tls,
    pub(crate) proxy: Option<Secret>,
    pub(crate) gzip: bool,
    pub(crate) response_format: ResponseFormat,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSettings {
    url: Option<Value>,
    headers: Option<Value>,
    username: Option<Value>,
    password: Option<Value>,
    bearer_token: Option<Value>,
    hmac_secret: Option<Value>,
    ca_certificate: Option<Value>,
    client_certificate: Option<Value>,
    client_key: Option<Value>,
    proxy: Option<Value>,
    compression: Option<Value>,
    response_format: Option<Value>,
}

impl Config {
    /// Whether credentials leave this machine unencrypted.
    pub(crate) fn sends_plain_credentials(&self) -> bool {
        let own = |(name, _): &(String, Secret)| name.eq_ignore_ascii_case("authorization");
        let credentials = self.authorization.is_some() || self.headers.iter().any(own);
        credentials && self.redacted_url.starts_with("http://") && !is_loopback(&self.redacted_url)
    }
}

impl TryFrom<RawSettings> for Config {
    type Error = ConfigError;

    fn try_from(written: RawSettings) -> Result<Self, ConfigError> {
        let mut mistakes = Mistakes::default();
        let (url, redacted_url) = read_url(written.url, &mut mistakes);
        let authorization = Authorization::read(
            written.username,
            written.password,
            written.bearer_token,
            &mut mistakes,
        );
        let headers = read_headers(written.headers, authorization.is_some(), &mut mistakes);
        let hmac_secret = mistakes.secret("hmac_secret", written.hmac_secret);
        let tls = Tls::read(
            written.ca_certificate,
            written.client_certificate,
            written.client_key,
            &mut mistakes,
        );
        let proxy = mistakes.secret("proxy", written.proxy);
        if proxy
            .as_ref()
            .is_some_and(|proxy| !proxy.reveal().starts_with("http://"))
        {
            mistakes.add(format!("`proxy` does not begin with `http://` ({PROXY})"));
        }
        let read_gzip = |value: &Value| match value.as_str()? {
            "none" => Some(false),
            "gzip" => Some(true),
            _ => None,
        };
        let gzip = mistakes.read("compression", written.compression, read_gzip, COMPRESSION);
        let read_format = |value: &Value| match value.as_str()? {
            "any" => Some(ResponseFormat::Any),
            "json" => Some(ResponseFormat::Json),
            _ => None,
        };
        let response_format = mistakes.read(
            "response_format",
            written.response_format,
            read_format,
            RESPONSE_FORMAT,
        );
        mistakes.into_result(Self {
            url,
            redacted_url,
            headers,
            authorization,
            hmac_secret,
            tls,
            proxy,
            gzip: gzip.unwrap_or(false),
            response_format: response_format.unwrap_or(ResponseFormat::Any),
        })
    }
}

/// The URL, and the part of it that may be shown: some services put a password
/// into the path.
fn read_url(value: Option<Value>, mistakes: &mut Mistakes) -> (String, String) {
    if value.is_none() {
        mistakes.add(format!("`url` is missing ({URL})"));
    }
    let url = mistakes.text("url", value).unwrap_or_default();
    if url.is_empty() {
        return (url, String::new());
    }
    let redacted = check_url("url", &url, mistakes).map(|_| redact_url(&url));
    (url, redacted.unwrap_or_default())
}

fn is_loopback(url: &str) -> bool {
    let authority = url.split('/').nth(2).unwrap_or_default();
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        Some(_) | None => authority,
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let address = host.parse::<std::net::IpAddr>();
    host.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests;
