//! What a driver writes into: a batch that already knows which storage it is of.
//!
//! A driver names a resource and what is measured of it; the labels that are
//! the same for the whole storage are put there by the sinks.

use delfin_plugin_api::{AlertBatch, AlertBatchBuilder, NewAlert};
use delfin_plugin_api::{PerformanceBatch, PerformanceBatchBuilder};

use super::driver::{DriverError, Metric, Resource, StorageInfo};

/// What every series and every alert of a storage says of that storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageLabels {
    /// The storage's id.
    pub id: String,
    /// Who it is.
    pub info: StorageInfo,
}

/// Takes the series of one storage.
#[derive(Debug)]
pub struct SeriesSink<'a> {
    storage: &'a StorageLabels,
    batch: PerformanceBatchBuilder,
}

/// Takes the alerts of one storage.
#[derive(Debug)]
pub struct AlertSink<'a> {
    storage: &'a StorageLabels,
    batch: AlertBatchBuilder,
}

impl<'a> SeriesSink<'a> {
    /// A sink without a series.
    #[must_use]
    pub fn new(storage: &'a StorageLabels) -> Self {
        let batch = PerformanceBatchBuilder::new();
        Self { storage, batch }
    }

    /// The id of the storage: as a resource, the storage has that id too.
    #[must_use]
    pub fn storage_id(&self) -> &'a str {
        &self.storage.id
    }

    /// Adds a series: what was measured of a resource, each point with its time
    /// in milliseconds since the epoch.
    ///
    /// # Errors
    ///
    /// The batch has no room for more; it is as before.
    pub fn series(
        &mut self,
        resource: Resource<'_>,
        metric: Metric<'_>,
        points: impl IntoIterator<Item = (i64, f64)>,
    ) -> Result<(), DriverError> {
        let labels = [
            ("storage_id", self.storage.id.as_str()),
            ("name", &self.storage.info.name),
            ("serial_number", &self.storage.info.serial_number),
            ("resource_type", resource.resource_type.as_str()),
            ("resource_id", resource.id),
            ("type", "RAW"),
            ("unit", metric.unit),
            ("value_type", "gauge"),
        ];
        Ok(self.batch.series(metric.name, labels, points)?)
    }

    /// The batch.
    #[must_use]
    pub fn build(self) -> PerformanceBatch {
        self.batch.build()
    }
}

impl<'a> AlertSink<'a> {
    /// A sink without an alert.
    #[must_use]
    pub fn new(storage: &'a StorageLabels) -> Self {
        let batch = AlertBatchBuilder::new();
        Self { storage, batch }
    }

    /// Adds an alert. What it says of its storage is overwritten.
    pub fn alert(&mut self, alert: NewAlert<'_>) {
        let info = &self.storage.info;
        let mut texts = Vec::from(alert.texts);
        texts.extend([
            ("storage_id", self.storage.id.as_str()),
            ("storage_name", &info.name),
            ("vendor", &info.vendor),
            ("model", &info.model),
            ("serial_number", &info.serial_number),
        ]);
        self.batch.alert(NewAlert {
            occur_time: alert.occur_time,
            texts: &texts,
        });
    }

    /// The batch.
    #[must_use]
    pub fn build(self) -> AlertBatch {
        self.batch.build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::{ResourceType, StorageDetails};

    fn storage() -> StorageLabels {
        StorageLabels {
            id: "id-1".into(),
            info: StorageInfo {
                name: "array".into(),
                vendor: "acme".into(),
                model: "one".into(),
                serial_number: "sn".into(),
                details: StorageDetails::default(),
            },
        }
    }

    #[test]
    fn a_series_has_the_eight_labels_in_order() {
        let storage = storage();
        let mut sink = SeriesSink::new(&storage);
        let resource = Resource {
            resource_type: ResourceType::StoragePool,
            id: "p0",
        };
        let metric = Metric {
            name: "iops",
            unit: "IOPS",
        };
        sink.series(resource, metric, [(7, 1.5)]).unwrap();
        let batch = sink.build();
        let series = batch.series().next().unwrap();
        assert_eq!(series.name(), "iops");
        assert_eq!(
            series.labels().iter().collect::<Vec<_>>(),
            [
                ("storage_id", "id-1"),
                ("name", "array"),
                ("serial_number", "sn"),
                ("resource_type", "storagePool"),
                ("resource_id", "p0"),
                ("type", "RAW"),
                ("unit", "IOPS"),
                ("value_type", "gauge"),
            ]
        );
        assert_eq!(series.points().collect::<Vec<_>>(), [(7, 1.5)]);
    }

    #[test]
    fn an_alert_cannot_claim_another_storage() {
        let storage = storage();
        let mut sink = AlertSink::new(&storage);
        sink.alert(NewAlert {
            occur_time: 3,
            texts: &[("storage_id", "other"), ("alert_id", "a")],
        });
        let batch = sink.build();
        let alert = batch.alerts().next().unwrap();
        assert_eq!(alert.storage_id(), Some("id-1"));
        assert_eq!(alert.storage_name(), Some("array"));
        assert_eq!(alert.vendor(), Some("acme"));
        assert_eq!(alert.model(), Some("one"));
        assert_eq!(alert.serial_number(), Some("sn"));
        assert_eq!(alert.alert_id(), Some("a"));
    }
}
