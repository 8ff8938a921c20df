//! Batches as requests of OTLP.
//!
//! Promises: rows of one storage that follow each other are one resource; nothing is left out
//! without being counted.
//!
//! Knows nothing of connections.

mod alert;
mod performance;

use delfin_plugin_api::{Batch, protobuf::ProtobufWriter};

/// A batch that can be sent over OTLP.
pub trait OtlpBatch: Batch {
    /// The path of the receiver for this kind, over HTTP.
    const PATH: &str;

    /// The method of the receiver for this kind, over gRPC.
    const METHOD: &str;

    /// Appends the request.
    fn encode(&self, request: &mut ProtobufWriter) -> EncodedItems;
}

/// What a request has.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct EncodedItems {
    /// The number of points or log records.
    pub items: u64,
    /// Points that are left out, because OTLP has no time before 1970 or after 2554.
    pub skipped_times: u64,
}

/// The columns or labels of a storage, and their names as attributes of its resource.
const RESOURCE: [(&str, &str); 5] = [
    ("storage_id", "storage.id"),
    ("storage_name", "storage.name"),
    ("serial_number", "storage.serial_number"),
    ("vendor", "storage.vendor"),
    ("model", "storage.model"),
];

const SERVICE: &str = "delfin-host";

// Fields that several messages have.
const RESOURCE_FIELD: u32 = 1;
const SCOPE_FIELD: u32 = 1;
const KEY: u32 = 1;
const VALUE: u32 = 2;
const STRING_VALUE: u32 = 1;

/// Writes `Resource`: the service, and what is known of the storage. Receivers that want an
/// instance of the service get the storage.
fn push_resource<'a>(writer: &mut ProtobufWriter, get: impl Fn(&str) -> Option<&'a str>) {
    writer.message(RESOURCE_FIELD, |resource| {
        push_attribute(resource, 1, "service.name", SERVICE);
        if let Some(storage) = get("storage_id") {
            push_attribute(resource, 1, "service.instance.id", storage);
        }
        for (key, name) in RESOURCE {
            if let Some(value) = get(key) {
                push_attribute(resource, 1, name, value);
            }
        }
    });
}

/// Writes `InstrumentationScope`.
fn push_scope(writer: &mut ProtobufWriter) {
    writer.message(SCOPE_FIELD, |scope| {
        scope.text(1, "delfin-exporter-otlp");
        scope.text(2, env!("CARGO_PKG_VERSION"));
    });
}

/// Writes an attribute with a text, unless it is empty.
fn push_attribute(writer: &mut ProtobufWriter, field: u32, name: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    writer.message(field, |attribute| {
        attribute.text(KEY, name);
        attribute.message(VALUE, |any| any.text(STRING_VALUE, value));
    });
}

/// A time in nanoseconds since the Unix epoch; `None` if OTLP cannot express it.
fn nanos(time_ms: i64) -> Option<u64> {
    u64::try_from(time_ms).ok()?.checked_mul(1_000_000)
}

#[cfg(test)]
mod tests;
