//! Attributes to labels.

use std::borrow::Cow;

use delfin_plugin_api::protobuf::{MalformedMessage, ProtobufField, ProtobufReader};
use serde_json::{Map, Value};

use crate::{
    ingest::MAX_LABELS,
    inputs::{SeriesWriter, SourceSeries},
};

/// How deeply lists and maps can be nested: as in JSON that is read.
const MAX_DEPTH: u32 = 64;

/// The attributes that all points of a resource have. They are read once, because a request can have
/// many points with long ones.
#[derive(Default)]
pub(super) struct ResourceAttributes<'a> {
    attributes: Vec<Attribute<'a>>,
    /// What is wrong with one of them.
    problem: Option<&'static str>,
}

/// The name and the text of an attribute.
type Attribute<'a> = (&'a str, Cow<'a, str>);

impl<'a> ResourceAttributes<'a> {
    /// Adds the attributes of a message.
    pub(super) fn read(
        &mut self,
        message: &'a [u8],
        writer: &SeriesWriter<'_>,
    ) -> Result<(), MalformedMessage> {
        for attribute in super::messages(message, 1) {
            // More than a series can have are refused by the writer.
            if self.attributes.len() > MAX_LABELS || self.problem.is_some() {
                break;
            }
            match read_attribute(attribute?, writer)? {
                Ok(attribute) => self.attributes.push(attribute),
                Err(problem) => self.problem = Some(problem),
            }
        }
        Ok(())
    }

    /// Adds the attributes as labels, unless the series has labels with their names.
    pub(super) fn push_to<'s>(&'s self, series: &mut SourceSeries<'s>) -> Result<(), &'static str> {
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        for (name, text) in &self.attributes {
            if series.get(name).is_none() {
                series.push_label(name, &**text);
            }
        }
        Ok(())
    }
}

/// Reads an attribute, or says what is wrong with it.
pub(super) fn read_attribute<'a>(
    attribute: &'a [u8],
    writer: &SeriesWriter<'_>,
) -> Result<Result<Attribute<'a>, &'static str>, MalformedMessage> {
    if attribute.len() as u64 > 2 * writer.max_string_bytes() {
        return Ok(Err(
            "one is too long (shorten it, or raise `api.max_string_bytes`)",
        ));
    }
    let (mut name, mut value) = (&b""[..], &b""[..]);
    for field in ProtobufReader::new(attribute) {
        match field? {
            (1, ProtobufField::Bytes(text)) => name = text,
            (2, ProtobufField::Bytes(message)) => value = message,
            _ => {}
        }
    }
    let read = match str::from_utf8(name) {
        Ok(name) => text_of(value)?.map(|text| (name, text)),
        Err(_) => None,
    };
    Ok(read.ok_or("one is not UTF-8, or is nested too deeply"))
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
