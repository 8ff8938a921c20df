//! A driver that reads a file in place of a storage.
//!
//! The file is JSON: `name`, `serial_number`, `volumes` with `id`, `name` and `iops`, and `alerts`
//! with `id`, `name` and `time_ms`. It is read in each call, as a storage is asked.

use std::{collections::BTreeMap, fs, path::PathBuf};

use delfin_plugin_api::{
    AlertBatch, AlertBatchBuilder, Context, Failure, Host, NewAlert, PerformanceBatch,
    PerformanceBatchBuilder,
    driver::{
        Capabilities, Driver, DriverFailure, DriverWindow, MetricInfo, RegisteredStorage,
        StorageInfo,
    },
    export_plugin,
    time::now_ms,
};
use serde::{Deserialize, Serialize};

export_plugin! {
    driver "example" "array_rust" => FileArray: "Example array",
}

struct FileArray {
    path: PathBuf,
}

/// What the file has.
#[derive(Deserialize, Serialize)]
struct ArrayContent {
    name: String,
    serial_number: String,
    volumes: Vec<ArrayVolume>,
    alerts: Vec<ArrayAlert>,
}

#[derive(Deserialize, Serialize)]
struct ArrayVolume {
    id: String,
    name: String,
    iops: f64,
}

#[derive(Deserialize, Serialize)]
struct ArrayAlert {
    id: u64,
    name: String,
    time_ms: i64,
}

impl FileArray {
    fn content(&self) -> Result<ArrayContent, Failure> {
        let path = self.path.display();
        let text = fs::read_to_string(&self.path);
        let text =
            text.map_err(|error| Failure::retry(format!("cannot read `{path}`: {error}")))?;
        serde_json::from_str(&text)
            .map_err(|error| Failure::rejected(format!("`{path}` is not valid: {error}")))
    }
}

impl Driver for FileArray {
    fn open(storage: RegisteredStorage, _: &Host, _: &Context<'_>) -> Result<Self, DriverFailure> {
        let file = storage.extra("file").and_then(|file| file.as_str());
        let file = file.ok_or_else(|| {
            Failure::misconfigured("`extra_attributes.file` is missing (name the file to read)")
        })?;
        Ok(Self { path: file.into() })
    }

    fn identify(&mut self, _: &Context<'_>) -> Result<StorageInfo, DriverFailure> {
        let content = self.content()?;
        Ok(StorageInfo {
            name: content.name,
            serial_number: content.serial_number,
            ..StorageInfo::default()
        })
    }

    fn capabilities(&mut self, _: &Context<'_>) -> Result<Capabilities, DriverFailure> {
        let iops = MetricInfo {
            name: "iops".to_owned(),
            unit: "IOPS".to_owned(),
            description: "Requests per second".to_owned(),
        };
        Ok(Capabilities {
            metrics: BTreeMap::from([("volume".to_owned(), vec![iops])]),
            alert_identity: vec!["sequence_number".to_owned()],
            ..Capabilities::default()
        })
    }

    fn collect(
        &mut self,
        _: DriverWindow,
        _: &Context<'_>,
    ) -> Result<PerformanceBatch, DriverFailure> {
        let mut series = PerformanceBatchBuilder::new();
        for volume in self.content()?.volumes {
            let labels = [
                ("resource_type", "volume"),
                ("resource_id", &volume.id),
                ("resource_name", &volume.name),
                ("unit", "IOPS"),
            ];
            let added = series.series("iops", labels, [(now_ms(), volume.iops)]);
            added.map_err(Failure::rejected)?;
        }
        Ok(series.build())
    }

    fn list_alerts(
        &mut self,
        window: Option<DriverWindow>,
        _: &Context<'_>,
    ) -> Result<AlertBatch, DriverFailure> {
        let mut alerts = AlertBatchBuilder::new();
        for alert in self.content()?.alerts {
            if window.is_none_or(|window| window.contains(alert.time_ms)) {
                let number = alert.id.to_string();
                alerts.alert(NewAlert {
                    occur_time: alert.time_ms,
                    texts: &[
                        ("alert_id", "fault"),
                        ("alert_name", &alert.name),
                        ("severity", "Major"),
                        ("category", "Fault"),
                        ("type", "EquipmentAlarm"),
                        ("sequence_number", &number),
                    ],
                });
            }
        }
        Ok(alerts.build())
    }

    fn clear_alert(&mut self, sequence_number: &str, _: &Context<'_>) -> Result<(), DriverFailure> {
        let mut content = self.content()?;
        content
            .alerts
            .retain(|alert| alert.id.to_string() != sequence_number);
        let text = serde_json::to_string(&content).map_err(Failure::rejected)?;
        fs::write(&self.path, text).map_err(Failure::retry)?;
        Ok(())
    }

    fn list_resources(
        &mut self,
        kind: &str,
        _: &Context<'_>,
    ) -> Result<Vec<serde_json::Value>, DriverFailure> {
        if kind != "volumes" {
            return Err(DriverFailure::unsupported(format!(
                "the array has no {kind}"
            )));
        }
        let volumes = self.content()?.volumes.into_iter();
        let volumes = volumes.map(
            |volume| serde_json::json!({ "native_volume_id": volume.id, "name": volume.name }),
        );
        Ok(volumes.collect())
    }
}
