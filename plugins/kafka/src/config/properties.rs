//! The properties of librdkafka, by their own names.
//!
//! Promises: properties that the exporter's guarantees need cannot be overridden;
//! a value that may be a secret is never printed.

use std::collections::BTreeMap;

use delfin_plugin_api::{
    credentials::warn_of_plain_credentials, redact::Redactor, setting::Mistakes,
};
use serde_json::Value;

const VALUE: &str = "write text, a number, true or false";

/// The property with the addresses of brokers.
pub(crate) const BROKERS: &str = "bootstrap.servers";

/// librdkafka's default of `message.max.bytes`.
const MAX_MESSAGE_BYTES: usize = 1_000_000;

/// Defaults that differ from librdkafka's.
const DEFAULTS: [(&str, &str); 6] = [
    ("client.id", "delfin-host"),
    // The partitioner of the Java client, so that a key has the same partition.
    ("partitioner", "murmur2_random"),
    // Reconnect soon after a broker is back.
    ("reconnect.backoff.max.ms", "1000"),
    // Report a missing topic before the call times out.
    ("topic.metadata.propagation.max.ms", "5000"),
    // The host keeps the data: a longer queue here only takes memory.
    ("queue.buffering.max.kbytes", "65536"),
    ("message.max.bytes", "1000000"),
];

/// Properties that the exporter's guarantees need.
const GUARANTEES: [(&str, &str); 3] = [
    ("acks", "all"),
    ("enable.idempotence", "true"),
    // Messages must not expire on their own: the deadline of the call ends them.
    ("message.timeout.ms", "0"),
];

/// Properties that the table must not set, with the remedy.
const RESERVED: [(&str, &str); 18] = [
    ("acks", "every message is acknowledged by all replicas"),
    (
        "request.required.acks",
        "every message is acknowledged by all replicas",
    ),
    ("enable.idempotence", "it is always on"),
    ("enable.gapless.guarantee", "the host retries failed rows"),
    ("message.timeout.ms", "use the exporter's `timeout`"),
    ("delivery.timeout.ms", "use the exporter's `timeout`"),
    ("transactional.id", "messages are not sent in transactions"),
    ("bootstrap.servers", "use `bootstrap_servers`"),
    ("metadata.broker.list", "use `bootstrap_servers`"),
    ("linger.ms", "use `linger`"),
    ("queue.buffering.max.ms", "use `linger`"),
    ("compression.codec", "use `compression`"),
    ("compression.type", "use `compression`"),
    ("batch.size", "use `message_bytes`"),
    (
        "delivery.report.only.error",
        "the exporter needs every report",
    ),
    ("plugin.library.paths", "only the host loads libraries"),
    ("test.mock.num.brokers", "mock brokers lose messages"),
    ("log.queue", "librdkafka always logs to the host's log"),
];

/// Properties of librdkafka, and those of their values that are secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Properties {
    values: BTreeMap<String, String>,
    redactor: Redactor,
}

impl Default for Properties {
    fn default() -> Self {
        let known = DEFAULTS.into_iter().chain(GUARANTEES);
        let values = known.map(|(key, value)| (key.to_owned(), value.to_owned()));
        Self {
            values: values.collect(),
            redactor: Redactor::default(),
        }
    }
}

impl Properties {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let values = self.values.iter();
        values.map(|(key, value)| (key.as_str(), value.as_str()))
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    pub(crate) fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Logs a warning for each broker on another machine that gets a password without TLS.
    pub(crate) fn warn_of_plain_credentials(&self) {
        let protocol = self.get("security.protocol").unwrap_or_default();
        if protocol.eq_ignore_ascii_case("sasl_plaintext") {
            for broker in self.get(BROKERS).unwrap_or_default().split(',') {
                warn_of_plain_credentials(broker, "set `tls`");
            }
        }
    }

    pub(crate) fn remove(&mut self, key: &str) {
        self.values.remove(key);
    }

    /// The longest message that librdkafka takes.
    pub(super) fn max_message_bytes(&self) -> usize {
        let bytes = self.values.get("message.max.bytes");
        let bytes = bytes.and_then(|bytes| bytes.parse().ok());
        // librdkafka reports a value that is not a number.
        bytes.unwrap_or(MAX_MESSAGE_BYTES)
    }

    /// The size of librdkafka's queue.
    pub(super) fn max_queue_bytes(&self) -> usize {
        let kbytes = self.values.get("queue.buffering.max.kbytes");
        let kbytes = kbytes.and_then(|kbytes| kbytes.parse::<usize>().ok());
        kbytes.map_or(usize::MAX, |kbytes| kbytes.saturating_mul(1024))
    }

    pub(crate) fn set(&mut self, key: &str, value: String) {
        if is_secret(key) {
            self.redactor.hide(&value);
        }
        self.values.insert(key.to_owned(), value);
    }
}

impl std::fmt::Debug for Properties {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = self.iter().map(|(key, value)| {
            let value = if is_secret(key) { "***" } else { value };
            (key, value)
        });
        f.debug_map().entries(shown).finish()
    }
}

/// Reads the table `librdkafka`.
pub(super) fn read(table: Option<&Value>, properties: &mut Properties, mistakes: &mut Mistakes) {
    let right = "write a table of librdkafka's properties";
    let known = |value: &Value| value.as_object().cloned();
    let Some(table) = mistakes.read_secret("librdkafka", table, known, right) else {
        return;
    };
    for (key, value) in &table {
        let reserved = RESERVED.iter().find(|(name, _)| name == key);
        if let Some((_, remedy)) = reserved {
            mistakes.add(format!("`librdkafka.{key}` cannot be set ({remedy})"));
            continue;
        }
        let name = format!("librdkafka.{key}");
        let value = mistakes.read_secret(&name, Some(value), property, VALUE);
        if let Some(value) = value {
            properties.set(key, value);
        }
    }
}

/// The value of a property as text; `None` if it cannot be one.
pub(super) fn property(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    (!text.contains('\0')).then_some(text)
}

/// Whether a property's value may be a secret, by its name. Hiding one value too
/// many does no harm.
fn is_secret(key: &str) -> bool {
    [
        "password",
        "secret",
        "pem",
        "oauthbearer.config",
        "assertion",
        "token",
    ]
    .iter()
    .any(|word| key.contains(word))
        && !key.ends_with("url")
}
