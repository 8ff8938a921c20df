use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::collect::{
    builder::StorageLabels,
    info_labels::SERIES_LABELS,
    resource_names::ResourceNames,
    storage_info::{Capacity, StorageDetails},
};

fn storage(details: StorageDetails) -> StorageLabels {
    let pool = json!({"native_storage_pool_id": "p1", "name": "gold"});
    let mut names = ResourceNames::default();
    names.add(ResourceKind::StoragePools, pool.as_object().unwrap());
    StorageLabels {
        id: "s-1".to_owned(),
        info: StorageInfo {
            name: "array".to_owned(),
            vendor: "acme".to_owned(),
            model: "one".to_owned(),
            serial_number: "sn".to_owned(),
            details,
        },
        names: Arc::new(names),
        fixed: Arc::default(),
    }
}

/// Each series as text: metric, value, unit, and the labels of an info series.
fn written(
    storage: &StorageLabels,
    write: impl FnOnce(&mut ResourceSeries<'_, '_>) -> Result<(), BatchError>,
) -> Vec<String> {
    let mut series = SeriesBuilder::new(storage);
    let mut writer = ResourceSeries {
        series: &mut series,
        time_ms: 7,
    };
    write(&mut writer).unwrap();
    let batch = series.build();
    let shown = batch.series().map(|series| {
        let points: Vec<_> = series.points().collect();
        let [(7, value)] = points[..] else {
            panic!("{points:?}");
        };
        let unit = series.labels().get("unit").unwrap();
        let mut text = format!("{} {value} {unit}", series.name());
        for (key, value) in series.labels().into_iter().skip(9) {
            text += &format!(" {key}={value}");
        }
        text
    });
    shown.collect()
}

fn of_resource(kind: ResourceKind, fields: Value) -> Vec<String> {
    let fields = fields.as_object().unwrap();
    let storage = storage(StorageDetails::default());
    written(&storage, |series| series.resource(kind, fields))
}

#[test]
fn a_volume_has_capacities_a_status_and_its_pool() {
    let volume = json!({
        "native_volume_id": "v1", "total_capacity": 100, "used_capacity": 30, "status": "degraded",
        "native_storage_pool_id": "p1", "wwn": "60a9", "compressed": true, "data_reduction": 2.5,
    });
    assert_eq!(
        of_resource(ResourceKind::Volumes, volume),
        [
            "totalCapacity 100 B",
            "usedCapacity 30 B",
            "freeCapacity 70 B",
            "dataReduction 2.5 1",
            "status 1 1",
            "info 1 1 pool_id=p1 wwn=60a9 compressed=true pool_name=gold",
        ]
    );
}

#[test]
fn a_disk_has_its_size_and_a_port_its_health() {
    let disk = json!({
        "native_disk_id": "d1", "capacity": 50, "status": "failed", "firmware": "F1",
        "serial_number": "sn-7", "health_score": 90,
    });
    assert_eq!(
        of_resource(ResourceKind::Disks, disk),
        [
            "totalCapacity 50 B",
            "healthScore 90 %",
            "status 2 1",
            "info 1 1 firmware=F1 disk_serial_number=sn-7",
        ]
    );
    let port = json!({"native_port_id": "p", "health_status": "normal"});
    assert_eq!(of_resource(ResourceKind::Ports, port), ["status 0 1"]);
}

#[test]
fn what_a_storage_does_not_report_has_no_series() {
    let pool = json!({"native_storage_pool_id": "p1", "name": "gold", "status": null});
    assert_eq!(of_resource(ResourceKind::StoragePools, pool), [""; 0]);
    let share = json!({"native_share_id": "s"});
    assert_eq!(of_resource(ResourceKind::Shares, share), [""; 0]);
    let unknown = storage(StorageDetails::default());
    let info = unknown.info.clone();
    let offline = written(&unknown, |series| {
        series.storage(&info, ResourceStatus::Offline)
    });
    assert_eq!(offline, ["status 3 1", "info 1 1 vendor=acme model=one"]);
}

#[test]
fn a_storage_has_its_capacity_and_firmware() {
    let storage = storage(StorageDetails {
        firmware_version: Some("9.1".to_owned()),
        capacity: Capacity {
            total: 100,
            used: 60,
            free: 40,
            raw: 120,
            subscribed: 150,
        },
        data_reduction: Some(3.0),
        ..StorageDetails::default()
    });
    let info = storage.info.clone();
    assert_eq!(
        written(&storage, |series| series
            .storage(&info, ResourceStatus::Normal)),
        [
            "totalCapacity 100 B",
            "usedCapacity 60 B",
            "freeCapacity 40 B",
            "subscribedCapacity 150 B",
            "dataReduction 3 1",
            "status 0 1",
            "info 1 1 vendor=acme model=one firmware=9.1",
        ]
    );
}

#[test]
fn active_alerts_are_counted_by_severity_and_every_count_has_a_point() {
    let counts = [("Critical", 2), ("Minor", 0), ("other", 3)].into();
    assert_eq!(
        written(&storage(StorageDetails::default()), |series| {
            series.active_alerts(&counts)
        }),
        [
            "activeAlerts 5 1",
            "fatalAlerts 0 1",
            "criticalAlerts 2 1",
            "majorAlerts 0 1",
            "minorAlerts 0 1",
            "warningAlerts 0 1",
        ]
    );
}

#[test]
fn no_label_of_an_info_series_is_one_that_every_series_has() {
    for kind in ResourceKind::all() {
        for (label, field) in info_labels(kind) {
            assert!(!SERIES_LABELS.contains(label), "{label}");
            let mut fields = kind.fields().iter();
            assert!(fields.any(|known| known.name == *field), "{kind:?} {field}");
        }
    }
}
