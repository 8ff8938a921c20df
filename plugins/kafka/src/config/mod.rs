//! The settings, from `[exporter.NAME.config]`.
//!
//! Promises: all mistakes are reported at once, each with its key, its value
//! (unless it may be a secret) and a remedy; a bad value never falls back to a
//! default. A value that may be a secret is never printed.

mod properties;
mod security;

use std::{marker::PhantomData, time::Duration};

use delfin_plugin_api::{
    message::{MessageFormat, MessageLimits},
    setting::{ConfigError, Mistakes},
};
use serde::Deserialize;
use serde_json::Value;

use self::properties::property;
pub(crate) use self::properties::{BROKERS, Properties};
use crate::encode::KafkaBatch;

const SERVERS: &str = "write `broker1:9092,broker2:9092` or a list";
const TOPIC: &str = "write up to 249 of A-Z, a-z, 0-9, `.`, `_` and `-`";
const HOST: &str = "write a host name or an address";
const PORT: &str = "write a number from 1 to 65535";
const COMPRESSION: &str = "write `none`, `gzip`, `snappy`, `lz4` or `zstd`";
const LINGER: &str = "write `5ms` or `1s`, at most 60s; 0 to send at once";

const DEFAULT_HOST: &str = "localhost";
const DEFAULT_PORT: u16 = 9092;
const DEFAULT_BYTES: usize = 500_000;
const DEFAULT_LINGER: Duration = Duration::from_millis(5);

/// Checked settings of an exporter of batches `B`.
#[derive(Debug, Deserialize)]
#[serde(try_from = "RawSettings", bound = "B: KafkaBatch")]
pub(crate) struct Config<B> {
    pub(crate) topic: String,
    pub(crate) format: MessageFormat,
    pub(crate) limits: MessageLimits,
    /// The properties of librdkafka.
    pub(crate) properties: Properties,
    batches: PhantomData<fn(B)>,
}

/// The settings as they were written. Each takes any value, so that all mistakes
/// can be reported together, each with its key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSettings {
    bootstrap_servers: Option<Value>,
    topic: Option<Value>,
    kafka_topic_name: Option<Value>,
    kafka_ip: Option<Value>,
    kafka_port: Option<Value>,
    message_format: Option<Value>,
    message_rows: Option<Value>,
    message_bytes: Option<Value>,
    compression: Option<Value>,
    linger: Option<Value>,
    tls: Option<Value>,
    sasl: Option<Value>,
    librdkafka: Option<Value>,
}

impl<B: KafkaBatch> TryFrom<RawSettings> for Config<B> {
    type Error = ConfigError;

    fn try_from(written: RawSettings) -> Result<Self, ConfigError> {
        let mut mistakes = Mistakes::default();
        let mut properties = Properties::default();
        let servers = servers(&written, &mut mistakes);
        properties.set(BROKERS, servers);
        let topic = topic(&written, B::TOPIC, &mut mistakes);
        let format = MessageFormat::read::<B>(written.message_format.as_ref(), &mut mistakes);
        let compression = written.compression.as_ref();
        let compression = mistakes.read("compression", compression, codec, COMPRESSION);
        properties.set("compression.codec", compression.unwrap_or("none".into()));
        let linger = mistakes.read("linger", written.linger.as_ref(), linger, LINGER);
        let linger = linger.unwrap_or(DEFAULT_LINGER).as_millis();
        properties.set("linger.ms", linger.to_string());
        security::read(
            written.tls.as_ref(),
            written.sasl.as_ref(),
            &mut properties,
            &mut mistakes,
        );
        properties::read(written.librdkafka.as_ref(), &mut properties, &mut mistakes);
        let most = properties.max_message_bytes();
        let limits = MessageLimits::read::<B>(
            written.message_rows.as_ref(),
            written.message_bytes.as_ref(),
            DEFAULT_BYTES.min(most / 2),
            &mut mistakes,
        );
        if limits.bytes > most / 10 * 9 {
            mistakes.add(format!(
                "`message_bytes` cannot be `{}` (stay a tenth below librdkafka's \
                 `message.max.bytes`, which is {most})",
                limits.bytes
            ));
        }
        if most > properties.max_queue_bytes() {
            mistakes.add(format!(
                "`librdkafka.message.max.bytes` cannot be `{most}` (raise \
                 `librdkafka.queue.buffering.max.kbytes` too: the message must fit into the queue)"
            ));
        }
        mistakes.into_result(Self {
            topic,
            format,
            limits,
            properties,
            batches: PhantomData,
        })
    }
}

/// The brokers, from Kafka's setting or from Delfin's two.
fn servers(written: &RawSettings, mistakes: &mut Mistakes) -> String {
    let RawSettings {
        bootstrap_servers,
        kafka_ip,
        kafka_port,
        ..
    } = written;
    let ip = mistakes.read("kafka_ip", kafka_ip.as_ref(), host, HOST);
    let port = mistakes.read("kafka_port", kafka_port.as_ref(), port, PORT);
    let servers = mistakes.read(
        "bootstrap_servers",
        bootstrap_servers.as_ref(),
        server_list,
        SERVERS,
    );
    if bootstrap_servers.is_some() && (kafka_ip.is_some() || kafka_port.is_some()) {
        mistakes.add(
            "`bootstrap_servers` cannot be combined with `kafka_ip` or `kafka_port` (keep one of the two)"
                .to_owned(),
        );
    }
    servers.unwrap_or_else(|| {
        let ip = ip.as_deref().unwrap_or(DEFAULT_HOST);
        format!("{ip}:{}", port.unwrap_or(DEFAULT_PORT))
    })
}

fn topic(written: &RawSettings, default: &str, mistakes: &mut Mistakes) -> String {
    let topic = mistakes.read("topic", written.topic.as_ref(), topic_name, TOPIC);
    let delfin = written.kafka_topic_name.as_ref();
    let delfin = mistakes.read("kafka_topic_name", delfin, topic_name, TOPIC);
    if topic.is_some() && delfin.is_some() {
        mistakes.add(
            "`topic` cannot be combined with `kafka_topic_name` (keep one of the two)".to_owned(),
        );
    }
    topic.or(delfin).unwrap_or_else(|| default.to_owned())
}

fn server_list(value: &Value) -> Option<String> {
    let servers: Vec<&str> = match value {
        Value::String(text) => text.split(',').map(str::trim).collect(),
        Value::Array(texts) => texts.iter().map(Value::as_str).collect::<Option<_>>()?,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return None,
    };
    let fine = |server: &&str| !server.is_empty() && !server.contains([' ', ',', '\0']);
    (!servers.is_empty() && servers.iter().all(fine)).then(|| servers.join(","))
}

fn host(value: &Value) -> Option<String> {
    let host = value.as_str()?.trim();
    if host.is_empty() || host.contains([' ', ',', '\0', '/']) {
        return None;
    }
    // An IPv6 address needs brackets once a port follows.
    Some(match host.parse::<std::net::Ipv6Addr>() {
        Ok(address) => format!("[{address}]"),
        Err(_) => host.to_owned(),
    })
}

fn port(value: &Value) -> Option<u16> {
    // Delfin's configuration has ports as text.
    let port = match value.as_str() {
        Some(text) => text.trim().parse().ok()?,
        None => u16::try_from(value.as_u64()?).ok()?,
    };
    (port > 0).then_some(port)
}

fn topic_name(value: &Value) -> Option<String> {
    let name = value.as_str()?;
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let named = (1..=249).contains(&name.len()) && name != "." && name != "..";
    (named && name.chars().all(fine)).then(|| name.to_owned())
}

fn codec(value: &Value) -> Option<String> {
    let codec = value.as_str()?;
    let known = ["none", "gzip", "snappy", "lz4", "zstd"];
    known.contains(&codec).then(|| codec.to_owned())
}

fn linger(value: &Value) -> Option<Duration> {
    let linger = match value.as_str() {
        Some(text) => humantime::parse_duration(text.trim()).ok()?,
        // A number has no unit; only 0 means the same in every unit.
        None => value
            .as_u64()
            .filter(|&number| number == 0)
            .map(|_| Duration::ZERO)?,
    };
    (linger <= Duration::from_mins(1)).then_some(linger)
}

#[cfg(test)]
mod tests;
