//! What librdkafka is told: its own properties, by their own names.
//!
//! Promises: what the exporter's guarantees rest on cannot be overridden, and a
//! value that may be a secret is never printed.

use std::collections::BTreeMap;

use serde_json::Value;

use super::mistakes::Mistakes;
use crate::secret::Secrets;

const VALUE: &str = "write text, a number, true or false";

/// librdkafka's default of `message.max.bytes`.
const MAX_MESSAGE_BYTES: usize = 1_000_000;

/// What holds unless the table says otherwise.
const DEFAULTS: [(&str, &str); 6] = [
    ("client.id", "delfin-host"),
    // Java's way of choosing a partition, so that both agree about a key.
    ("partitioner", "murmur2_random"),
    // A broker that is back is noticed soon.
    ("reconnect.backoff.max.ms", "1000"),
    // A topic that is missing is reported before a call is over.
    ("topic.metadata.propagation.max.ms", "5000"),
    // The host keeps the data: what waits here only hides the broker's pace.
    ("queue.buffering.max.kbytes", "65536"),
    ("message.max.bytes", "1000000"),
];

/// What the exporter's guarantees rest on, and whose business it is.
const GUARANTEES: [(&str, &str); 3] = [
    ("acks", "all"),
    ("enable.idempotence", "true"),
    // What a call's deadline ends must not end before it.
    ("message.timeout.ms", "0"),
];

/// What may not stand in the table, with the remedy.
const RESERVED: [(&str, &str); 18] = [
    ("acks", "every message is acknowledged by all replicas"),
    (
        "request.required.acks",
        "every message is acknowledged by all replicas",
    ),
    ("enable.idempotence", "it is always on"),
    (
        "enable.gapless.guarantee",
        "the host sends again what failed",
    ),
    ("message.timeout.ms", "the exporter's `timeout` says it"),
    ("delivery.timeout.ms", "the exporter's `timeout` says it"),
    ("transactional.id", "messages are not sent in transactions"),
    ("bootstrap.servers", "use `bootstrap_servers`"),
    ("metadata.broker.list", "use `bootstrap_servers`"),
    ("linger.ms", "use `linger`"),
    ("queue.buffering.max.ms", "use `linger`"),
    ("compression.codec", "use `compression`"),
    ("compression.type", "use `compression`"),
    ("batch.size", "use `message_bytes`"),
    ("delivery.report.only.error", "every report is needed"),
    ("plugin.library.paths", "the host alone loads libraries"),
    ("test.mock.num.brokers", "what is sent there is lost"),
    (
        "log.queue",
        "librdkafka's log always comes out of the host's",
    ),
];

/// Properties of librdkafka, and which of their values nobody may see.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Properties {
    values: BTreeMap<String, String>,
    secrets: Secrets,
}

impl Default for Properties {
    fn default() -> Self {
        let known = DEFAULTS.into_iter().chain(GUARANTEES);
        let values = known.map(|(key, value)| (key.to_owned(), value.to_owned()));
        Self {
            values: values.collect(),
            secrets: Secrets::default(),
        }
    }
}

impl Properties {
    /// Each property with its value.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let values = self.values.iter();
        values.map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// What must not be seen.
    pub(crate) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// The largest message that librdkafka takes.
    pub(super) fn max_message_bytes(&self) -> usize {
        let bytes = self.values.get("message.max.bytes");
        let bytes = bytes.and_then(|bytes| bytes.parse().ok());
        // What is no number is refused by librdkafka, with its reason.
        bytes.unwrap_or(MAX_MESSAGE_BYTES)
    }

    /// How much waits in librdkafka at most.
    pub(super) fn max_queue_bytes(&self) -> usize {
        let kbytes = self.values.get("queue.buffering.max.kbytes");
        let kbytes = kbytes.and_then(|kbytes| kbytes.parse::<usize>().ok());
        kbytes.map_or(usize::MAX, |kbytes| kbytes.saturating_mul(1024))
    }

    /// Sets a property, in place of what it was.
    pub(super) fn set(&mut self, key: &str, value: String) {
        if is_secret(key) {
            self.secrets.add(&value);
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
    let Some(table) = mistakes.read_unseen("librdkafka", table, known, right) else {
        return;
    };
    for (key, value) in &table {
        let reserved = RESERVED.iter().find(|(name, _)| name == key);
        if let Some((_, remedy)) = reserved {
            mistakes.add(format!("`librdkafka.{key}` cannot be set ({remedy})"));
            continue;
        }
        let name = format!("librdkafka.{key}");
        let value = mistakes.read_unseen(&name, Some(value), property, VALUE);
        if let Some(value) = value {
            properties.set(key, value);
        }
    }
}

/// The text of a property.
pub(super) fn property(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    (!text.contains('\0')).then_some(text)
}

/// Whether nobody may see a property's value. Rather one too many.
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
