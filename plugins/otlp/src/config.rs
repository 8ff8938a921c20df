//! The settings, from `[exporter.NAME.config]`.
//!
//! Promises: all mistakes are reported at once, each with its key and a remedy; a secret
//! is not shown; a bad value never falls back to a default.

use delfin_plugin_api::{
    http::{ClientSettings, Compression, ReceiverUrl, WithClientSettings},
    setting::{ConfigError, Mistakes},
    workers::read_workers,
};
use serde::Deserialize;
use serde_json::Value;

use crate::REQUEST_LIMITS;

const USER_AGENT: &str = concat!("delfin-exporter-otlp/", env!("CARGO_PKG_VERSION"));
const URL: &str = "write the address of the receiver, such as `http://localhost:4318`";

const PROTOCOL: &str = "write `http/protobuf` or `grpc`";

/// Headers of a gRPC call that the client sets.
const OWN_HEADERS: [&str; 3] = ["grpc-accept-encoding", "grpc-encoding", "grpc-timeout"];

/// The transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OtlpProtocol {
    /// A message is the body of an HTTP request.
    Http,
    /// A message is that of a gRPC call.
    Grpc,
}

/// Checked settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WithClientSettings<RawSettings>")]
pub(crate) struct Config {
    pub(crate) protocol: OtlpProtocol,
    /// The URL before `/v1/metrics` or `/v1/logs`; for gRPC it has no path.
    pub(crate) url: ReceiverUrl,
    pub(crate) http: ClientSettings,
    pub(crate) compression: Compression,
    /// Requests at the same time.
    pub(crate) workers: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSettings {
    protocol: Option<Value>,
    url: Option<Value>,
    compression: Option<Value>,
    workers: Option<Value>,
}

impl TryFrom<WithClientSettings<RawSettings>> for Config {
    type Error = ConfigError;

    fn try_from(settings: WithClientSettings<RawSettings>) -> Result<Self, ConfigError> {
        let WithClientSettings { client, own } = settings;
        let mut mistakes = Mistakes::default();
        let protocol = |value: &Value| match value.as_str()? {
            "http/protobuf" => Some(OtlpProtocol::Http),
            "grpc" => Some(OtlpProtocol::Grpc),
            _ => None,
        };
        let protocol = mistakes.read("protocol", own.protocol, protocol, PROTOCOL);
        let protocol = protocol.unwrap_or(OtlpProtocol::Http);
        let url = ReceiverUrl::read_base(own.url, URL, &mut mistakes);
        // Nothing is redacted of a URL without a path.
        if protocol == OtlpProtocol::Grpc && url.url != url.redacted {
            mistakes.add(format!(
                "`url` cannot hold `{}` with a path (gRPC has none: write a host and a port)",
                url.redacted
            ));
        }
        let http = ClientSettings::read(USER_AGENT, &OWN_HEADERS, client, &mut mistakes);
        let allowed = [Compression::Gzip, Compression::Zstd, Compression::None];
        let compression = Compression::read(own.compression, &allowed, &mut mistakes);
        let default = REQUEST_LIMITS.workers;
        let workers = read_workers("workers", own.workers, default, &mut mistakes);
        mistakes.into_result(Self {
            protocol,
            url,
            http,
            compression,
            workers,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(config: Value) -> Result<Config, String> {
        serde_json::from_value(config).map_err(|error: serde_json::Error| error.to_string())
    }

    #[test]
    fn a_bad_value_is_refused_with_the_remedy() {
        assert_eq!(
            read(json!({ "compression": "lz4" })).unwrap_err(),
            "`url` is missing (write the address of the receiver, such as `http://localhost:4318`); \
             `compression` cannot be `\"lz4\"` (write `gzip` or `zstd` or `none`)"
        );
        let scheme = read(json!({ "url": "grpc://a:4317" })).unwrap_err();
        assert!(scheme.contains("`url` cannot hold"), "{scheme}");
        let grpc = |url: &str| read(json!({ "protocol": "grpc", "url": url }));
        assert!(grpc("http://a:4317/").is_ok());
        assert_eq!(
            grpc("http://a:4317/v1/s3cret").unwrap_err(),
            "`url` cannot hold `http://a:4317/…` with a path (gRPC has none: write a host and a port)"
        );
        let protocol = read(json!({ "protocol": "http", "url": "http://a" })).unwrap_err();
        let text = "`protocol` cannot be `\"http\"` (write `http/protobuf` or `grpc`)";
        assert_eq!(protocol, text);
    }

    #[test]
    fn the_example_shows_the_defaults() {
        let example: Value = toml::from_str(include_str!("../example.toml")).unwrap();
        for exporter in ["PerformanceExporterOtlp", "AlertExporterOtlp"] {
            let shown = &example["exporter"][exporter]["config"];
            assert_eq!(read(shown.clone()), read(json!({ "url": shown["url"] })));
        }
    }
}
