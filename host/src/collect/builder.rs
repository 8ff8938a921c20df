//! Batch builders that already know their storage.
//!
//! A driver names a resource and its measurements. The builders add the labels
//! that are the same for the whole storage.

use std::sync::Arc;

use delfin_plugin_api::{AlertBatch, AlertBatchBuilder, BatchError, Labels, NewAlert};
use delfin_plugin_api::{PerformanceBatch, PerformanceBatchBuilder};

use super::{
    metric::{Metric, Resource, ResourceType},
    resource_names::ResourceNames,
    static_labels::StaticLabels,
    storage_info::StorageInfo,
};

/// What every series and every alert of a storage repeats about that storage.
#[derive(Clone, Debug, PartialEq)]
pub struct StorageLabels {
    pub id: String,
    pub info: StorageInfo,
    pub names: Arc<ResourceNames>,
    /// What the operator adds.
    pub fixed: Arc<StaticLabels>,
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

impl StorageLabels {
    /// The value of the label `resource_name`: the name, or else the id.
    fn resource_name<'a>(&'a self, resource: Resource<'a>) -> &'a str {
        match resource.resource_type {
            ResourceType::Storage => &self.info.name,
            resource_type => self.names.name_or_id(resource_type, resource.id),
        }
    }

    /// The name of the resource that the labels of a series describe.
    fn name_of<'a>(&'a self, labels: Labels<'a>) -> Option<&'a str> {
        let resource_type = ResourceType::named(labels.get("resource_type")?)?;
        let id = labels.get("resource_id").unwrap_or_default();
        let name = self.resource_name(Resource { resource_type, id });
        Some(name).filter(|name| !name.is_empty())
    }
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
        self.labelled_series(resource, metric, &[], points)
    }

    /// Adds a series with further labels, which are not those that every series has.
    ///
    /// # Errors
    ///
    /// The batch is at its size limit; the builder has not changed.
    pub fn labelled_series(
        &mut self,
        resource: Resource<'_>,
        metric: Metric<'_>,
        further: &[(&str, &str)],
        points: impl IntoIterator<Item = (i64, f64)>,
    ) -> Result<(), BatchError> {
        let labels = [
            ("storage_id", self.storage.id.as_str()),
            ("name", &self.storage.info.name),
            ("serial_number", &self.storage.info.serial_number),
            ("resource_type", resource.resource_type.as_str()),
            ("resource_id", resource.id),
            ("resource_name", self.storage.resource_name(resource)),
            KIND,
            ("unit", metric.unit),
            VALUE_TYPE,
        ];
        let labels = labels.into_iter().chain(further.iter().copied());
        let labels = labels.chain(self.storage.fixed.iter());
        self.batch.series(metric.name, labels, points)
    }

    /// The names of the storage's resources.
    #[must_use]
    pub fn names(&self) -> &'a ResourceNames {
        &self.storage.names
    }

    /// Adds the series of a batch. The labels of the storage replace those that they bring, and
    /// the labels `resource_name`, `type` and `value_type` are added where they are missing.
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
            labels.extend(self.storage.fixed.iter());
            let mut add = |(key, value)| {
                if labels.iter().all(|(name, _)| *name != key) {
                    labels.push((key, value));
                }
            };
            series.labels().iter().for_each(&mut add);
            if let Some(name) = self.storage.name_of(series.labels()) {
                add(("resource_name", name));
            }
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
        texts.extend(self.storage.fixed.iter());
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
    use delfin_plugin_api::Batch;
    use serde_json::json;

    use super::*;
    use crate::collect::{metric::IOPS, resource::ResourceKind, storage_info::StorageDetails};

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
            names: Arc::default(),
            fixed: Arc::default(),
        }
    }

    #[test]
    fn every_series_and_alert_has_the_labels_of_the_operator() {
        let labels = [("site".to_owned(), "hk".to_owned())];
        let storage = StorageLabels {
            fixed: Arc::new(StaticLabels::new(labels.into()).unwrap()),
            ..storage()
        };
        let mut of_driver = PerformanceBatchBuilder::new();
        let labels = [("resource_type", "volume"), ("site", "of the driver")];
        of_driver.series("iops", labels, [(7, 1.5)]).unwrap();
        let mut builder = SeriesBuilder::new(&storage);
        let resource = Resource {
            resource_type: ResourceType::Volume,
            id: "v",
        };
        builder.series(resource, IOPS, [(7, 1.5)]).unwrap();
        builder.batch(&of_driver.build()).unwrap();
        let batch = builder.build();
        assert_eq!(batch.rows(), 2);
        for series in batch.series() {
            assert_eq!(series.labels().get("site"), Some("hk"));
            let sites = series.labels().iter().filter(|(key, _)| *key == "site");
            assert_eq!(sites.count(), 1);
        }
        let mut alerts = AlertBuilder::new(&storage, &[]);
        alerts.alert(NewAlert {
            occur_time: 3,
            texts: &[("alert_id", "a"), ("site", "of the device")],
        });
        let alerts = alerts.build();
        let alert = alerts.alerts().next().unwrap();
        assert_eq!(alert.extra().get("site"), Some("hk"));
    }

    #[test]
    fn a_series_without_a_resource_name_gets_the_listed_one_or_the_id() {
        let mut names = ResourceNames::default();
        for (id, name) in [("v1", json!("data")), ("v2", json!(null))] {
            let fields = json!({"native_volume_id": id, "name": name});
            names.add(ResourceKind::Volumes, fields.as_object().unwrap());
        }
        let storage = StorageLabels {
            names: Arc::new(names),
            ..storage()
        };
        let named = |labels: &[(&str, &str)]| {
            let mut batch = PerformanceBatchBuilder::new();
            batch
                .series("iops", labels.iter().copied(), [(7, 1.5)])
                .unwrap();
            let mut builder = SeriesBuilder::new(&storage);
            builder.batch(&batch.build()).unwrap();
            let batch = builder.build();
            let series = batch.series().next().unwrap();
            series.labels().get("resource_name").map(str::to_owned)
        };
        let volume = |id| [("resource_type", "volume"), ("resource_id", id)];
        assert_eq!(named(&volume("v1")).as_deref(), Some("data"));
        assert_eq!(named(&volume("v2")).as_deref(), Some("v2"));
        assert_eq!(
            named(&[("resource_type", "storage")]).as_deref(),
            Some("array")
        );
        assert_eq!(
            named(&[("resource_type", "share"), ("resource_id", "v1")]),
            None
        );
        let own = [volume("v1").as_slice(), &[("resource_name", "own")]].concat();
        assert_eq!(named(&own).as_deref(), Some("own"));
    }

    #[test]
    fn a_series_has_the_nine_labels_in_order() {
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
                ("resource_name", "p0"),
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
