//! What a driver process says about its storage and about itself.

use delfin_plugin_protocol::{CapabilitiesMessage, MetricMessage, StorageMessage};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::answer::line;
use crate::collect::{
    Capabilities, Capacity, DriverError, MetricInfo, ResourceType, StorageDetails, StorageInfo,
};

/// Reads the answer of `identify`. Vendor and model are those of the registration where the
/// answer has none.
pub(super) fn storage(value: Value, vendor: &str, model: &str) -> Result<StorageInfo, DriverError> {
    let found: StorageMessage = read("identify", value)?;
    for (key, text) in [
        ("name", &found.name),
        ("serial_number", &found.serial_number),
    ] {
        if text.trim().is_empty() {
            return Err(DriverError::BadAnswer {
                reason: format!("the answer to `identify` has an empty `{key}`"),
            });
        }
    }
    let text = |text: Option<String>| text.map(line).filter(|text| !text.is_empty());
    let capacity = found.capacity;
    Ok(StorageInfo {
        name: line(found.name),
        vendor: text(found.vendor).unwrap_or_else(|| vendor.to_owned()),
        model: text(found.model).unwrap_or_else(|| model.to_owned()),
        serial_number: line(found.serial_number),
        details: StorageDetails {
            description: text(found.description),
            location: text(found.location),
            firmware_version: text(found.firmware_version),
            capacity: Capacity {
                total: capacity.total,
                used: capacity.used,
                free: capacity.free,
                raw: capacity.raw,
                subscribed: capacity.subscribed,
            },
            data_reduction: found.data_reduction.filter(|ratio| *ratio >= 0.0),
        },
    })
}

/// Reads the answer of `capabilities`. Resource types that this host does not know are left
/// out.
pub(super) fn capabilities(value: Value) -> Result<Capabilities, DriverError> {
    let found: CapabilitiesMessage = read("capabilities", value)?;
    let metric = |metric: MetricMessage| MetricInfo {
        name: line(metric.name),
        unit: line(metric.unit),
        description: line(metric.description),
    };
    let known = found.metrics.into_iter().filter_map(|(kind, metrics)| {
        let resource = ResourceType::named(&kind)?;
        Some((resource, metrics.into_iter().map(metric).collect()))
    });
    Ok(Capabilities {
        is_historic: found.is_historic,
        retention_ms: found
            .retention_ms
            .map(|millis| i64::try_from(millis).unwrap_or(i64::MAX)),
        resource_metrics: known.collect(),
        alert_identity: found.alert_identity,
    })
}

/// Reads the answer of a call.
pub(super) fn read<T: DeserializeOwned>(call: &str, value: Value) -> Result<T, DriverError> {
    serde_json::from_value(value).map_err(|error| DriverError::BadAnswer {
        reason: line(format!("the answer to `{call}` cannot be read: {error}")),
    })
}
