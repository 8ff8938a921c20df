//! The series that follow from what a storage lists: capacity, status, and descriptive labels.
//!
//! They are the same for every driver, so no driver writes them. Each has one point: the value that
//! the last list has. An info series has the value 1; its labels describe the resource and change
//! seldom, so that queries can join it with other series.

use std::collections::BTreeMap;

use delfin_plugin_api::BatchError;
use serde_json::Value;

use super::{
    builder::SeriesBuilder,
    info_labels::info_labels,
    metric::{
        ACTIVE_ALERTS, DATA_REDUCTION, FREE_CAPACITY, HEALTH_SCORE, INFO, Metric, Resource,
        ResourceType, SEVERITY_ALERTS, STATUS, SUBSCRIBED_CAPACITY, TOTAL_CAPACITY, USED_CAPACITY,
    },
    resource::{ResourceFields, ResourceKind},
    resource_status::ResourceStatus,
    storage_info::StorageInfo,
};

/// Writes the series of one storage at one time.
pub struct ResourceSeries<'a, 'b> {
    pub series: &'a mut SeriesBuilder<'b>,
    /// The time of each point, in milliseconds since the Unix epoch.
    pub time_ms: i64,
}

impl<'b> ResourceSeries<'_, 'b> {
    /// Adds the series of the storage as a whole.
    ///
    /// # Errors
    ///
    /// The batch is at its size limit.
    pub fn storage(
        &mut self,
        info: &StorageInfo,
        status: ResourceStatus,
    ) -> Result<(), BatchError> {
        let details = &info.details;
        let capacity = &details.capacity;
        // A storage without a total does not report its capacity.
        let known = |bytes: u64| (capacity.total > 0).then_some(bytes as f64);
        let subscribed = known(capacity.subscribed).filter(|bytes| *bytes > 0.0);
        let resource = self.whole_storage();
        let values = [
            (TOTAL_CAPACITY, known(capacity.total)),
            (USED_CAPACITY, known(capacity.used)),
            (FREE_CAPACITY, known(capacity.free)),
            (SUBSCRIBED_CAPACITY, subscribed),
            (DATA_REDUCTION, details.data_reduction),
            (STATUS, Some(status.value())),
        ];
        self.values(resource, values)?;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let labels = [
            ("vendor", info.vendor.clone()),
            ("model", info.model.clone()),
            ("firmware", text(&details.firmware_version)),
            ("location", text(&details.location)),
        ];
        self.info(resource, &labels)
    }

    /// Adds the numbers of active alerts of the storage: all, and those of each severity that is a
    /// fault. Other severities count only in all of them.
    ///
    /// # Errors
    ///
    /// The batch is at its size limit.
    pub fn active_alerts(
        &mut self,
        by_severity: &BTreeMap<&'static str, u64>,
    ) -> Result<(), BatchError> {
        let resource = self.whole_storage();
        let all: u64 = by_severity.values().sum();
        let of_severities = SEVERITY_ALERTS.map(|(severity, metric)| {
            let alerts = by_severity.get(severity).copied().unwrap_or_default();
            (metric, Some(alerts as f64))
        });
        let all = [(ACTIVE_ALERTS, Some(all as f64))];
        self.values(resource, all.into_iter().chain(of_severities))
    }

    /// Adds the series of a listed resource, if its kind has any.
    ///
    /// # Errors
    ///
    /// The batch is at its size limit.
    pub fn resource(
        &mut self,
        kind: ResourceKind,
        fields: &ResourceFields,
    ) -> Result<(), BatchError> {
        let text = |field: &str| fields.get(field).and_then(Value::as_str);
        let number = |field: &str| fields.get(field).and_then(Value::as_f64);
        let (Some(resource_type), Some(id)) = (kind.resource_type(), text(kind.native_id())) else {
            return Ok(());
        };
        let resource = Resource { resource_type, id };
        let [total, used, free] = capacities(number);
        let status = text("status").or_else(|| text("health_status"));
        let values = [
            (TOTAL_CAPACITY, total),
            (USED_CAPACITY, used),
            (FREE_CAPACITY, free),
            (SUBSCRIBED_CAPACITY, number("subscribed_capacity")),
            (DATA_REDUCTION, number("data_reduction")),
            (HEALTH_SCORE, number("health_score")),
            (
                STATUS,
                status.map(|word| ResourceStatus::of_word(word).value()),
            ),
        ];
        self.values(resource, values)?;
        let mut labels: Vec<(&str, String)> = Vec::new();
        for (label, field) in info_labels(kind) {
            let value = fields.get(*field).map_or_else(String::new, shown);
            labels.push((label, value));
        }
        if let Some(pool) = labels.iter().find(|(label, _)| *label == "pool_id") {
            let pool_type = ResourceType::StoragePool;
            let name = self
                .series
                .names()
                .name_or_id(pool_type, &pool.1)
                .to_owned();
            labels.push(("pool_name", name));
        }
        self.info(resource, &labels)
    }

    fn whole_storage(&self) -> Resource<'b> {
        Resource {
            resource_type: ResourceType::Storage,
            id: self.series.storage_id(),
        }
    }

    fn values(
        &mut self,
        resource: Resource<'_>,
        values: impl IntoIterator<Item = (Metric<'static>, Option<f64>)>,
    ) -> Result<(), BatchError> {
        for (metric, value) in values {
            if let Some(value) = value {
                self.series
                    .series(resource, metric, [(self.time_ms, value)])?;
            }
        }
        Ok(())
    }

    /// Adds an info series, without the labels that have no value. A resource without labels has no info
    /// series.
    fn info(
        &mut self,
        resource: Resource<'_>,
        labels: &[(&str, String)],
    ) -> Result<(), BatchError> {
        let labels = labels.iter().filter(|(_, value)| !value.is_empty());
        let labels: Vec<_> = labels.map(|(key, value)| (*key, value.as_str())).collect();
        if labels.is_empty() {
            return Ok(());
        }
        self.series
            .labelled_series(resource, INFO, &labels, [(self.time_ms, 1.0)])
    }
}

/// Total, used and free. One that is missing follows from the two others.
fn capacities(number: impl Fn(&str) -> Option<f64>) -> [Option<f64>; 3] {
    let total = number("total_capacity").or_else(|| number("capacity"));
    let (used, free) = (number("used_capacity"), number("free_capacity"));
    let difference = |part: Option<f64>| Some((total? - part?).max(0.0));
    [
        total.or_else(|| Some(used? + free?)),
        used.or_else(|| difference(free)),
        free.or_else(|| difference(used)),
    ]
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => String::new(),
    }
}

#[cfg(test)]
mod tests;
