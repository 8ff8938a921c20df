//! The JSON form of a request, as the same message of Protocol Buffers.
//!
//! A table for each message has the names and the numbers of its fields. The reader skips a name that the table does not
//! have, as the protocol demands, but refuses the name of a known field that is spelled differently, and a request
//! without any known field: their content would be lost. 64-bit numbers are texts or numbers.

use base64::{Engine, engine::general_purpose::STANDARD};
use delfin_plugin_api::protobuf::ProtobufWriter;
use serde_json::{Map, Value};

use super::malformed;
use crate::{
    ingest::{IngestError, JSON_MEMORY_FACTOR, excerpt},
    inputs::SeriesWriter,
};

/// The fields of a message: name, number, type.
struct MessageSchema(&'static [(&'static str, u32, JsonFieldType)]);

#[derive(Clone, Copy)]
enum JsonFieldType {
    Text,
    /// Base64.
    Bytes,
    Bool,
    /// A number of variable length.
    Varint,
    /// As a number, or as its name.
    Temporality,
    /// Unsigned.
    Fixed64,
    /// Signed.
    Sfixed64,
    Double,
    Message(&'static MessageSchema),
}

use JsonFieldType::{Bool, Bytes, Double, Fixed64, Message, Sfixed64, Temporality, Text, Varint};

static REQUEST: MessageSchema =
    MessageSchema(&[("resourceMetrics", 1, Message(&RESOURCE_METRICS))]);
static RESOURCE_METRICS: MessageSchema = MessageSchema(&[
    ("resource", 1, Message(&RESOURCE)),
    ("scopeMetrics", 2, Message(&SCOPE_METRICS)),
]);
static RESOURCE: MessageSchema = MessageSchema(&[("attributes", 1, Message(&KEY_VALUE))]);
static SCOPE_METRICS: MessageSchema = MessageSchema(&[("metrics", 2, Message(&METRIC))]);
static METRIC: MessageSchema = MessageSchema(&[
    ("name", 1, Text),
    ("unit", 3, Text),
    ("gauge", 5, Message(&NUMBERS)),
    ("sum", 7, Message(&NUMBERS)),
    ("histogram", 9, Message(&HISTOGRAM)),
    ("exponentialHistogram", 10, Message(&EXPONENTIAL_HISTOGRAM)),
    ("summary", 11, Message(&SUMMARY)),
]);
static NUMBERS: MessageSchema = MessageSchema(&[
    ("dataPoints", 1, Message(&NUMBER_POINT)),
    ("aggregationTemporality", 2, Temporality),
    ("isMonotonic", 3, Bool),
]);
static HISTOGRAM: MessageSchema = MessageSchema(&[
    ("dataPoints", 1, Message(&HISTOGRAM_POINT)),
    ("aggregationTemporality", 2, Temporality),
]);
static EXPONENTIAL_HISTOGRAM: MessageSchema = MessageSchema(&[
    ("dataPoints", 1, Message(&EXPONENTIAL_POINT)),
    ("aggregationTemporality", 2, Temporality),
]);
static SUMMARY: MessageSchema = MessageSchema(&[("dataPoints", 1, Message(&SUMMARY_POINT))]);
static NUMBER_POINT: MessageSchema = MessageSchema(&[
    ("attributes", 7, Message(&KEY_VALUE)),
    ("timeUnixNano", 3, Fixed64),
    ("asDouble", 4, Double),
    ("asInt", 6, Sfixed64),
    ("flags", 8, Varint),
]);
static HISTOGRAM_POINT: MessageSchema = MessageSchema(&[
    ("attributes", 9, Message(&KEY_VALUE)),
    ("timeUnixNano", 3, Fixed64),
    ("count", 4, Fixed64),
    ("sum", 5, Double),
    ("flags", 10, Varint),
]);
static EXPONENTIAL_POINT: MessageSchema = MessageSchema(&[
    ("attributes", 1, Message(&KEY_VALUE)),
    ("timeUnixNano", 3, Fixed64),
    ("count", 4, Fixed64),
    ("sum", 5, Double),
    ("flags", 10, Varint),
]);
static SUMMARY_POINT: MessageSchema = MessageSchema(&[
    ("attributes", 7, Message(&KEY_VALUE)),
    ("timeUnixNano", 3, Fixed64),
    ("count", 4, Fixed64),
    ("sum", 5, Double),
    ("quantileValues", 6, Message(&QUANTILE)),
    ("flags", 8, Varint),
]);
static QUANTILE: MessageSchema = MessageSchema(&[("quantile", 1, Double), ("value", 2, Double)]);
static KEY_VALUE: MessageSchema =
    MessageSchema(&[("key", 1, Text), ("value", 2, Message(&ANY_VALUE))]);
static ANY_VALUE: MessageSchema = MessageSchema(&[
    ("stringValue", 1, Text),
    ("boolValue", 2, Bool),
    ("intValue", 3, Varint),
    ("doubleValue", 4, Double),
    ("arrayValue", 5, Message(&ARRAY_VALUE)),
    ("kvlistValue", 6, Message(&KEY_VALUES)),
    ("bytesValue", 7, Bytes),
]);
static ARRAY_VALUE: MessageSchema = MessageSchema(&[("values", 1, Message(&ANY_VALUE))]);
static KEY_VALUES: MessageSchema = MessageSchema(&[("values", 1, Message(&KEY_VALUE))]);

/// The message of a request in JSON.
pub(super) fn to_protobuf(
    body: &[u8],
    writer: &mut SeriesWriter<'_>,
) -> Result<ProtobufWriter, IngestError> {
    writer.check(body.len().saturating_mul(JSON_MEMORY_FACTOR))?;
    let value: Value =
        serde_json::from_slice(body).map_err(|error| malformed(error.to_string()))?;
    REQUEST.require_known(&value).map_err(malformed)?;
    let mut message = ProtobufWriter::default();
    REQUEST.write(&value, &mut message).map_err(malformed)?;
    drop(value);
    writer.check(message.as_bytes().len())?;
    Ok(message)
}

impl MessageSchema {
    /// Checks that an object with members has one of the fields.
    fn require_known(&self, value: &Value) -> Result<(), String> {
        let names = || value.as_object().into_iter().flat_map(Map::keys);
        let is_known = |name: &String| self.0.iter().any(|(known, _, _)| known == name);
        match names().next() {
            Some(first) if !names().any(is_known) => {
                let expected = self.0.iter().map(|(known, _, _)| format!("`{known}`"));
                let expected = expected.collect::<Vec<_>>().join(" or ");
                Err(match self.spelled_as(first) {
                    Some(known) => misspelled(first, known),
                    None => format!("it has the field `{}` (send {expected})", excerpt(first)),
                })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The field whose name differs from `name` by underscores and case only.
    fn spelled_as(&self, name: &str) -> Option<&'static str> {
        let plain = name.replace('_', "");
        let mut names = self.0.iter().map(|(known, _, _)| *known);
        names.find(|known| known.eq_ignore_ascii_case(&plain))
    }

    fn write(&self, value: &Value, message: &mut ProtobufWriter) -> Result<(), String> {
        let Value::Object(members) = value else {
            return Err(format!("`{}` is not an object", shown(value)));
        };
        for (name, value) in members {
            let field = self.0.iter().find(|(known, _, _)| known == name);
            let Some((_, number, field)) = field else {
                match self.spelled_as(name) {
                    Some(known) => return Err(misspelled(name, known)),
                    None => continue,
                }
            };
            let within = |reason: String| format!("{name}: {reason}");
            match value {
                Value::Null => {}
                Value::Array(items) => {
                    for item in items {
                        field.write(*number, item, message).map_err(within)?;
                    }
                }
                value => field.write(*number, value, message).map_err(within)?,
            }
        }
        Ok(())
    }
}

impl JsonFieldType {
    fn write(self, number: u32, value: &Value, message: &mut ProtobufWriter) -> Result<(), String> {
        let expected = |what: &str| format!("`{}` is not {what}", shown(value));
        match self {
            Text => message.text(number, value.as_str().ok_or_else(|| expected("a text"))?),
            Bytes => {
                let text = value.as_str().ok_or_else(|| expected("a text"))?;
                let bytes = STANDARD.decode(text).map_err(|_| expected("base64"))?;
                message.bytes(number, &bytes);
            }
            Bool => {
                let flag = value.as_bool();
                let flag = flag.ok_or_else(|| expected("`true` or `false`"))?;
                message.uint(number, flag.into());
            }
            Varint => message.uint(
                number,
                integer(value).ok_or_else(|| expected("an integer"))?,
            ),
            Temporality => {
                let named = match value.as_str() {
                    Some("AGGREGATION_TEMPORALITY_DELTA") => Some(1),
                    Some("AGGREGATION_TEMPORALITY_CUMULATIVE") => Some(2),
                    Some(_) | None => integer(value),
                };
                message.uint(number, named.unwrap_or_default());
            }
            Fixed64 => {
                let integer = unsigned(value).ok_or_else(|| expected("an integer, 0 or more"))?;
                message.fixed64(number, integer);
            }
            Sfixed64 => {
                let integer = integer(value).ok_or_else(|| expected("an integer"))?;
                message.fixed64(number, integer);
            }
            Double => message.double(number, double(value).ok_or_else(|| expected("a number"))?),
            Message(schema) => return message.message(number, |inner| schema.write(value, inner)),
        }
        Ok(())
    }
}

/// The bits of a signed or unsigned number, or of one in a text.
fn integer(value: &Value) -> Option<u64> {
    let signed = match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    unsigned(value).or_else(|| signed.map(|number: i64| number as u64))
}

fn unsigned(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn double(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        // Also `NaN` and `Infinity`, which JSON cannot write as numbers.
        Value::String(text) => text.parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn misspelled(name: &str, known: &str) -> String {
    format!("`{}` is not a field (send `{known}`)", excerpt(name))
}

fn shown(value: &Value) -> String {
    excerpt(&value.to_string())
}
