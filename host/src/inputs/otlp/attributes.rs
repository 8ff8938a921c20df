//! Attributes to labels.

use std::borrow::Cow;

use delfin_plugin_api::protobuf::{MalformedMessage, ProtobufField, ProtobufReader};
use serde_json::{Map, Value};

use crate::inputs::SourceSeries;

/// How deeply lists and maps can be nested: as in JSON that is read.
const MAX_DEPTH: u32 = 64;

/// Adds an attribute as a label, unless `only_new` and the series has a label with its name. Whether it is UTF-8.
pub(super) fn push_attribute<'a>(
    series: &mut SourceSeries<'a>,
    attribute: &'a [u8],
    only_new: bool,
) -> Result<bool, MalformedMessage> {
    let (mut key, mut value) = (&b""[..], &b""[..]);
    for field in ProtobufReader::new(attribute) {
        match field? {
            (1, ProtobufField::Bytes(text)) => key = text,
            (2, ProtobufField::Bytes(message)) => value = message,
            _ => {}
        }
    }
    let Ok(key) = str::from_utf8(key) else {
        return Ok(false);
    };
    if only_new && series.get(key).is_some() {
        return Ok(true);
    }
    let Some(text) = text_of(value)? else {
        return Ok(false);
    };
    series.push_label(key, text);
    Ok(true)
}

/// The text of a value: lists and maps as JSON. `None`: it is not UTF-8, or nested too deeply.
fn text_of(value: &[u8]) -> Result<Option<Cow<'_, str>>, MalformedMessage> {
    let mut text = Some(Cow::Borrowed(""));
    for field in ProtobufReader::new(value) {
        text = match field? {
            (1, ProtobufField::Bytes(bytes)) => str::from_utf8(bytes).ok().map(Cow::Borrowed),
            (number, field) => json_of_field(number, field, 0)?.map(|json| match json {
                Value::String(text) => Cow::Owned(text),
                Value::Null => Cow::Borrowed(""),
                other => Cow::Owned(other.to_string()),
            }),
        };
    }
    Ok(text)
}

fn json_of(value: &[u8], depth: u32) -> Result<Option<Value>, MalformedMessage> {
    let mut json = Some(Value::Null);
    for field in ProtobufReader::new(value) {
        let (number, field) = field?;
        json = json_of_field(number, field, depth)?;
    }
    Ok(json)
}

fn json_of_field(
    number: u32,
    field: ProtobufField<'_>,
    depth: u32,
) -> Result<Option<Value>, MalformedMessage> {
    Ok(match (number, field) {
        (1, ProtobufField::Bytes(bytes)) => str::from_utf8(bytes).ok().map(Value::from),
        (2, ProtobufField::Varint(flag)) => Some(Value::from(flag != 0)),
        (3, ProtobufField::Varint(number)) => Some(Value::from(number as i64)),
        (4, ProtobufField::Fixed64(bits)) => Some(Value::from(f64::from_bits(bits))),
        (5 | 6, ProtobufField::Bytes(_)) if depth == MAX_DEPTH => None,
        (5, ProtobufField::Bytes(list)) => {
            let mut items = Vec::new();
            for item in super::messages(list, 1) {
                let Some(item) = json_of(item?, depth + 1)? else {
                    return Ok(None);
                };
                items.push(item);
            }
            Some(Value::Array(items))
        }
        (6, ProtobufField::Bytes(map)) => {
            let mut members = Map::new();
            for member in super::messages(map, 1) {
                let member = member?;
                let mut key = String::new();
                let mut value = Value::Null;
                for text in super::messages(member, 1) {
                    key = String::from_utf8_lossy(text?).into_owned();
                }
                for message in super::messages(member, 2) {
                    let Some(json) = json_of(message?, depth + 1)? else {
                        return Ok(None);
                    };
                    value = json;
                }
                members.insert(key, value);
            }
            Some(Value::Object(members))
        }
        (7, ProtobufField::Bytes(bytes)) => Some(Value::from(hex(bytes))),
        _ => Some(Value::Null),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
