//! Batch builders that already know their storage.
//!
//! A driver names a resource and its measurements. The builders add the labels
//! that are the same for the whole storage.

use delfin_plugin_api::{AlertBatch, AlertBatchBuilder, BatchError, NewAlert};
use delfin_plugin_api::{PerformanceBatch, PerformanceBatchBuilder};

use super::{
    metric::{Metric, Resource},
    storage_info::StorageInfo,
};

/// What every series and every alert of a storage repeats about that storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageLabels {
    pub id: String,
    pub info: StorageInfo,
}

/// The label of values as the storage has measured them.
const KIND: (&str, &str) = ("type", "RAW");

/// The label of values that do not accumulate.
const VALUE_TYPE: (&str, &str) = ("value_type", "gauge");

/// Builds the performance batch of one storage.
#[derive(Debug)]
pub struct SeriesBuilder<'a> {
    storage: &'a StorageLabels,
    batch: PerformanceBatchBuilder,
}

/// Builds the alert batch of one storage.
#[derive(Debug)]
pub struct AlertBuilder<'a> {
    storage: &'a StorageLabels,
    /// The columns that identify an alert; empty: those that the host uses by itself.
    identity: &'a [String],
    batch: AlertBatchBuilder,
}

impl<'a> SeriesBuilder<'a> {
    #[must_use]
    pub fn new(storage: &'a StorageLabels) -> Self {
        let batch = PerformanceBatchBuilder::new();
        Self { storage, batch }
    }

    /// The id of the storage. The storage as a resource has the same id.
    #[must_use]
    pub fn storage_id(&self) -> &'a str {
        &self.storage.id
    }

    /// Adds a series. A point is a time in milliseconds since the Unix epoch and a
    /// value.
    ///
    /// # Errors
    ///
    /// The batch is at its size limit; the builder has not changed.
    pub fn series(
        &mut self,
        resource: Resource<'_>,
        metric: Metric<'_>,
        points: impl IntoIterator<Item = (i64, f64)>,
    ) -> Result<(), BatchError> {
        let labels = [
            ("storage_id", self.storage.id.as_str()),
            ("name", &self.storage.info.name),
            ("serial_number", &self.storage.info.serial_number),
            ("resource_type", resource.resource_type.as_str()),
            ("resource_id", resource.id),
            KIND,
            ("unit", metric.unit),
            VALUE_TYPE,
        ];
        self.batch.series(metric.name, labels, points)
    }

    /// Adds the series of a batch. The labels of the storage replace those that they bring, and
    /// the labels `type` and `value_type` are added where they are missing.
    ///
    /// # Errors
    ///
    /// The batch is at its size limit.
    pub fn batch(&mut self, batch: &PerformanceBatch) -> Result<(), BatchError> {
        let own = [
            ("storage_id", self.storage.id.as_str()),
            ("name", &self.storage.info.name),
            ("serial_number", &self.storage.info.serial_number),
        ];
        for series in batch.series() {
            let mut labels = Vec::from(own);
            let mut add = |(key, value)| {
                if labels.iter().all(|(name, _)| *name != key) {
                    labels.push((key, value));
                }
            };
            series.labels().iter().for_each(&mut add);
            [KIND, VALUE_TYPE].into_iter().for_each(add);
            self.batch.series(series.name(), labels, series.points())?;
        }
        Ok(())
    }

    #[must_use]
    pub fn build(self) -> PerformanceBatch {
        self.batch.build()
    }
}

impl<'a> AlertBuilder<'a> {
    /// `identity` is [`Capabilities::alert_identity`](super::Capabilities).
    #[must_use]
    pub fn new(storage: &'a StorageLabels, identity: &'a [String]) -> Self {
        let batch = AlertBatchBuilder::new();
        Self {
            storage,
            identity,
            batch,
        }
    }

    /// Adds an alert. The storage's labels replace those that the alert brings. An alert
    /// without a match key gets one of the columns that identify it, if it has all of them.
    pub fn alert(&mut self, alert: NewAlert<'_>) {
        let info = &self.storage.info;
        let match_key = self.match_key(&alert);
        let mut texts = Vec::from(alert.texts);
        texts.extend(match_key.iter().map(|key| ("match_key", key.as_str())));
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

    /// Adds the alerts of a batch.
    pub fn batch(&mut self, batch: &AlertBatch) {
        for alert in batch.alerts() {
            let extra = alert.extra();
            let mut texts: Vec<(&str, &str)> = extra.iter().collect();
            texts.extend(alert.texts().map(|(column, text)| (column as &str, text)));
            self.alert(NewAlert {
                occur_time: alert.occur_time(),
                texts: &texts,
            });
        }
    }

    fn match_key(&self, alert: &NewAlert<'_>) -> Option<String> {
        let text = |column: &str| {
            let mut texts = alert.texts.iter().rev();
            let found = texts.find_map(|&(key, text)| (key == column).then_some(text));
            found.filter(|text| !text.is_empty())
        };
        if self.identity.is_empty() || text("match_key").is_some() {
            return None;
        }
        let texts = self.identity.iter().map(|column| text(column));
        texts.collect::<Option<Vec<_>>>().map(|key| key.join("/"))
    }

    #[must_use]
    pub fn build(self) -> AlertBatch {
        self.batch.build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::{
        metric::{IOPS, ResourceType},
        storage_info::StorageDetails,
    };

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
        let mut builder = SeriesBuilder::new(&storage);
        let resource = Resource {
            resource_type: ResourceType::StoragePool,
            id: "p0",
        };
        builder.series(resource, IOPS, [(7, 1.5)]).unwrap();
        let batch = builder.build();
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
        let mut builder = AlertBuilder::new(&storage, &[]);
        builder.alert(NewAlert {
            occur_time: 3,
            texts: &[("storage_id", "other"), ("alert_id", "a")],
        });
        let batch = builder.build();
        let alert = batch.alerts().next().unwrap();
        assert_eq!(alert.storage_id(), Some("id-1"));
        assert_eq!(alert.storage_name(), Some("array"));
        assert_eq!(alert.vendor(), Some("acme"));
        assert_eq!(alert.model(), Some("one"));
        assert_eq!(alert.serial_number(), Some("sn"));
        assert_eq!(alert.alert_id(), Some("a"));
    }

    #[test]
    fn the_columns_that_the_driver_declares_become_the_match_key() {
        let storage = storage();
        let identity = ["sequence_number".to_owned()];
        let mut builder = AlertBuilder::new(&storage, &identity);
        for texts in [
            [("sequence_number", "7"), ("location", "x")],
            [("sequence_number", "7"), ("location", "Node code=Array,x")],
            [("sequence_number", "7"), ("match_key", "k")],
            [("sequence_number", ""), ("location", "x")],
        ] {
            let texts = [&texts[..], &[("alert_id", "a")]].concat();
            builder.alert(NewAlert {
                occur_time: 3,
                texts: &texts,
            });
        }
        let batch = builder.build();
        let keys: Vec<_> = batch.alerts().map(|alert| alert.match_key()).collect();
        assert_eq!(keys, [Some("7"), Some("7"), Some("k"), None]);
    }
}
