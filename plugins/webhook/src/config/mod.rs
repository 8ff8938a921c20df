//! The settings, from `[exporter.NAME.config]`.
//!
//! Promises: all mistakes are reported at once, each with its key and a remedy;
//! a value that may be a secret is not shown; a bad value never falls back to a
//! default.

use delfin_plugin_api::{
    http::{ClientSettings, Compression, ReceiverUrl, WithClientSettings},
    setting::{ConfigError, Mistakes, Secret},
    workers::read_workers,
};
use serde::Deserialize;
use serde_json::Value;

use crate::{REQUEST_LIMITS, outcome::ResponseFormat};

const URL: &str = "write the URL to post to, such as `https://example.com/delfin`";
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
#[serde(try_from = "WithClientSettings<RawSettings>")]
pub(crate) struct Config {
    pub(crate) url: ReceiverUrl,
    pub(crate) http: ClientSettings,
    /// The key that signs bodies.
    pub(crate) hmac_secret: Option<Secret>,
    pub(crate) compression: Compression,
    /// Requests at the same time.
    pub(crate) workers: usize,
    pub(crate) response_format: ResponseFormat,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSettings {
    url: Option<Value>,
    hmac_secret: Option<Value>,
    compression: Option<Value>,
    workers: Option<Value>,
    response_format: Option<Value>,
}

impl TryFrom<WithClientSettings<RawSettings>> for Config {
    type Error = ConfigError;

    fn try_from(settings: WithClientSettings<RawSettings>) -> Result<Self, ConfigError> {
        let WithClientSettings {
            client,
            own: written,
        } = settings;
        let mut mistakes = Mistakes::default();
        let url = ReceiverUrl::read(written.url, URL, &mut mistakes);
        let http = ClientSettings::read(USER_AGENT, &OWN_HEADERS, client, &mut mistakes);
        let hmac_secret = mistakes.secret("hmac_secret", written.hmac_secret);
        let allowed = [Compression::None, Compression::Gzip, Compression::Zstd];
        let compression = Compression::read(written.compression, &allowed, &mut mistakes);
        let default = REQUEST_LIMITS.workers;
        let workers = read_workers("workers", written.workers, default, &mut mistakes);
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
            http,
            hmac_secret,
            compression,
            workers,
            response_format: response_format.unwrap_or(ResponseFormat::Any),
        })
    }
}

#[cfg(test)]
mod tests;
