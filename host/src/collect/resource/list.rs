//! What a driver lists, in the form of the table of kinds.
//!
//! Promises: a resource has exactly the fields of its kind, and those for series that its driver
//! gives; a value that does not have the type of
//! its field is null; texts, members and lists are not longer than their limits.

use serde_json::{Map, Number, Value};

use super::table::{FieldType, ResourceKind};

/// The fields of a resource by their names.
pub type ResourceFields = Map<String, Value>;

/// How many resources of a kind a storage can have.
const MAX_RESOURCES: usize = 100_000;
/// The longest text of a field, in bytes. The rest is cut off.
const MAX_TEXT: usize = 1024;
/// How many members a group can have.
const MAX_MEMBERS: usize = 100_000;
/// How many bytes the texts of a list can have together.
const MAX_LIST_BYTES: usize = 128 << 20;

/// A resource of a storage.
#[derive(Clone, Debug, PartialEq)]
pub struct StorageResource {
    /// The id that the storage gives. Other resources of its kind can have the same.
    pub native_id: String,
    pub fields: ResourceFields,
}

/// The resources of a kind that a storage has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResourceList {
    pub resources: Vec<StorageResource>,
    /// How many the driver listed without an id.
    pub without_id: usize,
    /// How many are left out, because the list is too long.
    pub beyond_limit: usize,
}

impl ResourceList {
    /// Takes what a driver listed.
    #[must_use]
    pub fn new(kind: ResourceKind, listed: Vec<ResourceFields>) -> Self {
        Self::within(kind, listed, MAX_RESOURCES, MAX_LIST_BYTES)
    }

    fn within(
        kind: ResourceKind,
        listed: Vec<ResourceFields>,
        max_resources: usize,
        mut bytes: usize,
    ) -> Self {
        let mut list = Self::default();
        for mut given in listed {
            let mut fields = ResourceFields::new();
            let mut size = 0;
            for field in kind.fields() {
                let value = given.remove(field.name).unwrap_or_default();
                let value = conform(field.field_type, value);
                size += size_of(&value);
                fields.insert(field.name.to_owned(), value);
            }
            for field in kind.series_fields() {
                let value = given.remove(field.name).unwrap_or_default();
                let value = conform(field.field_type, value);
                if !value.is_null() {
                    fields.insert(field.name.to_owned(), value);
                }
            }
            let native_id = fields[kind.native_id()].as_str().unwrap_or_default();
            if native_id.is_empty() {
                list.without_id += 1;
            } else if list.resources.len() == max_resources || bytes < size {
                list.beyond_limit += 1;
            } else {
                bytes -= size;
                list.resources.push(StorageResource {
                    native_id: native_id.to_owned(),
                    fields,
                });
            }
        }
        list
    }
}

/// The value as one of its type, or null.
fn conform(field_type: FieldType, value: Value) -> Value {
    let conformed = match field_type {
        FieldType::Text => as_text(value).map(Value::String),
        FieldType::Integer => as_integer(&value).map(Value::from),
        FieldType::Flag => as_flag(&value).map(Value::Bool),
        FieldType::Ratio => as_ratio(&value).map(Value::Number),
        FieldType::Texts => Some(as_texts(value)),
    };
    conformed.unwrap_or(Value::Null)
}

fn as_text(value: Value) -> Option<String> {
    let mut text = match value {
        Value::String(text) => text,
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    if text.len() > MAX_TEXT {
        text.truncate(text.floor_char_boundary(MAX_TEXT));
    }
    Some(text)
}

/// Drivers give numbers also as texts and with fractions.
fn as_integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => whole(number),
        Value::String(text) => {
            let text = text.trim();
            let number = text.parse().ok().map(Number::from_i128);
            whole(
                &number
                    .flatten()
                    .or_else(|| Number::from_f64(text.parse().ok()?))?,
            )
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn whole(number: &Number) -> Option<i64> {
    const LIMIT: f64 = (1_u64 << 63) as f64;
    number.as_i64().or_else(|| {
        let number = number.as_f64()?.trunc();
        (-LIMIT..LIMIT).contains(&number).then_some(number as i64)
    })
}

fn as_flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => Some(number.as_f64()? != 0.0),
        Value::String(text) => text.trim().to_lowercase().parse().ok(),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn as_ratio(value: &Value) -> Option<Number> {
    let number = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    Number::from_f64(number).filter(|_| number >= 0.0)
}

fn as_texts(value: Value) -> Value {
    let members = match value {
        Value::Array(members) => members,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            Vec::new()
        }
    };
    let texts = members.into_iter().filter_map(as_text);
    texts.take(MAX_MEMBERS).collect()
}

fn size_of(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(members) => members.iter().map(size_of).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> ResourceFields {
        match value {
            Value::Object(fields) => fields,
            other => panic!("{other} is not an object"),
        }
    }

    fn volume(value: Value) -> ResourceFields {
        let list = ResourceList::new(ResourceKind::Volumes, vec![fields(value)]);
        list.resources.into_iter().next().unwrap().fields
    }

    #[test]
    fn values_get_the_type_of_their_field_or_are_null() {
        let check = |field: &str, given: Value, wanted: Value| {
            let shown = given.to_string();
            let volume = volume(json!({"native_volume_id": "v", field: given}));
            assert_eq!(volume[field], wanted, "{field} {shown}");
        };
        check("total_capacity", json!(7), json!(7));
        check("total_capacity", json!(7.9), json!(7));
        check("total_capacity", json!(" 7 "), json!(7));
        check("total_capacity", json!("7.5"), json!(7));
        check("total_capacity", json!(1e30), Value::Null);
        check(
            "total_capacity",
            json!(18_446_744_073_709_551_615_u64),
            Value::Null,
        );
        check("total_capacity", json!("much"), Value::Null);
        check("name", json!(5), json!("5"));
        check("name", json!({"a": 1}), Value::Null);
        check("compressed", json!("True"), json!(true));
        check("compressed", json!(0), json!(false));
        check("compressed", json!("perhaps"), Value::Null);
        check("data_reduction", json!("2.5"), json!(2.5));
        check("data_reduction", json!(3), json!(3.0));
        let refused = volume(json!({"native_volume_id": "v", "data_reduction": -1}));
        assert!(!refused.contains_key("data_reduction"));
    }

    #[test]
    fn a_resource_has_the_fields_of_its_kind_and_no_others() {
        let volume = volume(json!({"native_volume_id": 5, "native_diskgroup_id": "x"}));
        assert_eq!(volume.len(), ResourceKind::Volumes.fields().len());
        assert_eq!(volume["native_volume_id"], "5");
        assert_eq!(volume["name"], Value::Null);
    }

    #[test]
    fn what_has_no_id_or_is_beyond_a_limit_is_counted() {
        let given = |id: Value| fields(json!({"native_volume_id": id, "name": "12345"}));
        let listed: Vec<_> = [json!("a"), json!(""), json!("b"), Value::Null, json!("c")]
            .into_iter()
            .map(given)
            .collect();
        let count = |max_resources, bytes| {
            let kind = ResourceKind::Volumes;
            let list = ResourceList::within(kind, listed.clone(), max_resources, bytes);
            assert_eq!(list.without_id, 2);
            (list.resources.len(), list.beyond_limit)
        };
        assert_eq!(count(3, 100), (3, 0));
        assert_eq!(count(2, 100), (2, 1));
        assert_eq!(count(3, 13), (2, 1));
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let name = "ö".repeat(MAX_TEXT);
        let volume = volume(json!({"native_volume_id": "v", "name": format!("x{name}")}));
        assert_eq!(volume["name"].as_str().unwrap().len(), MAX_TEXT - 1);
    }

    #[test]
    fn members_of_a_group_are_texts() {
        let group = json!({"native_port_group_id": "g", "ports": ["p", 1, null]});
        let list = ResourceList::new(ResourceKind::PortGroups, vec![fields(group)]);
        assert_eq!(list.resources[0].fields["ports"], json!(["p", "1"]));
    }
}
