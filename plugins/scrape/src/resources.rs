//! What a page says about the storage and its resources.

use delfin_plugin_api::driver::{Capacity, StorageInfo};
use serde_json::{Map, Value};

use crate::{
    config::ScrapeConfig,
    mapping::{
        FieldForm, MappedType, PageReading, ReadResource, ReadValue, ScrapeMapping, TargetValue,
    },
};

/// The storage. Without a name in the page, it has that of its selection or of its page; without a serial number,
/// the page and the selection are the serial number.
pub(crate) fn storage_info(
    reading: &PageReading,
    mapping: &ScrapeMapping,
    config: &ScrapeConfig,
) -> StorageInfo {
    let mut resources = reading.resources.iter();
    let storage = resources.find(|one| one.resource_type == MappedType::Storage);
    let mut fields = storage.map_or_else(Map::new, |storage| fields(storage, mapping));
    let name = storage.and_then(|storage| storage.name.clone());
    let mut text = |field: &str| match fields.remove(field) {
        Some(Value::String(text)) if !text.is_empty() => Some(text),
        _ => None,
    };
    let selected: Vec<&str> = config.select.iter().map(|(_, value)| &**value).collect();
    StorageInfo {
        name: text("name").or(name).unwrap_or_else(|| match &*selected {
            [] => config.page_name(),
            selected => selected.join(" "),
        }),
        serial_number: text("serial_number")
            .unwrap_or_else(|| format!("{}{}", config.page_id(), config.selection())),
        vendor: text("vendor"),
        model: text("model"),
        description: text("description"),
        location: text("location"),
        firmware_version: text("firmware_version"),
        capacity: capacity(&fields),
        data_reduction: fields.get("data_reduction").and_then(Value::as_f64),
    }
}

/// The capacity. One of total, used and free that is missing follows from the two others.
fn capacity(fields: &Map<String, Value>) -> Capacity {
    let bytes = |field: &str| fields.get(field).and_then(Value::as_u64);
    let (total, used, free) = (
        bytes("total_capacity"),
        bytes("used_capacity"),
        bytes("free_capacity"),
    );
    let both = used.zip(free).map(|(used, free)| used + free);
    let total = total.or(both).unwrap_or_default();
    let rest = |part: Option<u64>| part.map(|part| total.saturating_sub(part));
    Capacity {
        total,
        used: used.or(rest(free)).unwrap_or_default(),
        free: free.or(rest(used)).unwrap_or_default(),
        raw: bytes("raw_capacity").unwrap_or_default(),
        subscribed: bytes("subscribed_capacity").unwrap_or_default(),
    }
}

/// The resources of a type, as the host lists them.
pub(crate) fn list(reading: &PageReading, mapping: &ScrapeMapping, kind: MappedType) -> Vec<Value> {
    let resources = reading.resources.iter();
    let resources = resources.filter(|one| one.resource_type == kind);
    let listed = resources.map(|resource| {
        let mut fields = fields(resource, mapping);
        fields.insert(kind.native_id().to_owned(), resource.id.clone().into());
        let name = resource.name.as_ref().unwrap_or(&resource.id);
        fields.insert("name".to_owned(), name.clone().into());
        fields.into()
    });
    listed.collect()
}

fn fields(resource: &ReadResource, mapping: &ScrapeMapping) -> Map<String, Value> {
    let texts = resource.texts.iter();
    let mut fields: Map<String, Value> = texts
        .map(|(name, text)| (name.clone(), text.clone().into()))
        .collect();
    for (target, value) in &resource.values {
        let TargetValue::Field { name, form } = &mapping.targets[*target].what else {
            continue;
        };
        let value: Option<Value> = match value {
            ReadValue::Text(text) => Some(text.clone().into()),
            ReadValue::Number(number) => number.value().map(|number| match form {
                // Less than nothing is no capacity.
                FieldForm::Whole => (number.max(0.0).round() as u64).into(),
                FieldForm::Ratio | FieldForm::Text => number.into(),
            }),
        };
        fields.extend(value.map(|value| (name.clone(), value)));
    }
    fields
}
