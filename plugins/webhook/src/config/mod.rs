//! The settings, from `[exporter.NAME.config]`.
//!
//! Promises: all mistakes are reported at once, each with its key and a remedy;
//! a value that may be a secret is not shown; a bad value never falls back to a
//! default.

use delfin_plugin_api::{
    http::{ClientSettings, WrittenClientSettings, check_url, redact_url},
    setting::{ConfigError, Mistakes, Secret},
};
use serde::Deserialize;
use serde_json::Value;

use crate::outcome::ResponseFormat;

const URL: &str = "write the URL to post to, such as `https://example.com/delfin`";
const COMPRESSION: &str = "write `none` or `gzip`";
const RESPONSE_FORMAT: &str = "write `any` or `json`";

const USER_AGENT: &str = concat!("delfin-exporter-webhook/", env!("CARGO_PKG_VERSION"));

/// Headers that the exporter sets.
const OWN_HEADERS: [&str; 3] = [
    "idempotency-key",
    "x-delfin-signature",
    "x-delfin-timestamp",
];

/// Checked settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RawSettings")]
pub(crate) struct Config {
    /// Its path and query may be a secret.
    pub(crate) url: String,
    /// The URL without its path and query, for logs and messages.
    pub(crate) redacted_url: String,
    pub(crate) http: ClientSettings,
    /// The key that signs bodies.
    pub(crate) hmac_secret: Option<Secret>,
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

impl TryFrom<RawSettings> for Config {
    type Error = ConfigError;

    fn try_from(written: RawSettings) -> Result<Self, ConfigError> {
        let mut mistakes = Mistakes::default();
        let (url, redacted_url) = read_url(written.url, &mut mistakes);
        let client = WrittenClientSettings {
            username: written.username,
            password: written.password,
            bearer_token: written.bearer_token,
            headers: written.headers,
            ca_certificate: written.ca_certificate,
            client_certificate: written.client_certificate,
            client_key: written.client_key,
            proxy: written.proxy,
        };
        let http = ClientSettings::read(USER_AGENT, &OWN_HEADERS, client, &mut mistakes);
        let hmac_secret = mistakes.secret("hmac_secret", written.hmac_secret);
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
            http,
            hmac_secret,
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

#[cfg(test)]
mod tests;
