use std::collections::{BTreeMap, BTreeSet};

use delfin_plugin_api::{Batch, PerformanceBatch};
use serde_json::json;

use super::*;
use crate::collect::{StorageLabels, resource::ResourceList};

fn options(json: serde_json::Value) -> DriverOptions {
    json.as_object().unwrap().clone()
}

fn driver(id: &str, json: serde_json::Value) -> FakeDriver {
    FakeDriver::new(id, &options(json)).unwrap()
}

fn collect(driver: &mut FakeDriver, start_ms: i64, end_ms: i64) -> PerformanceBatch {
    let info = driver.storage().unwrap();
    let labels = StorageLabels {
        id: "s-1".to_owned(),
        info,
        names: Default::default(),
        fixed: Default::default(),
    };
    let mut builder = SeriesBuilder::new(&labels);
    let window = TimeWindow { start_ms, end_ms };
    driver.collect(window, &mut builder).unwrap();
    builder.build()
}

#[test]
fn a_storage_has_as_many_series_of_each_type_as_delfins_and_sixteen_points_in_sixteen_minutes() {
    let batch = collect(&mut driver("s-1", json!({})), 0, 960_000);
    assert_eq!((batch.rows(), batch.items()), (31_629, 506_064));
    let mut types: BTreeMap<&str, usize> = BTreeMap::new();
    for series in batch.series() {
        *types
            .entry(series.labels().get("resource_type").unwrap())
            .or_default() += 1;
    }
    let expected = [
        ("controller", 40),
        ("disk", 700),
        ("filesystem", 110),
        ("port", 70),
        ("storage", 9),
        ("storagePool", 700),
        ("volume", 30_000),
    ];
    assert_eq!(types, BTreeMap::from(expected));
    let points = batch.series().flat_map(|series| series.points());
    assert!(
        points
            .clone()
            .all(|(_, value)| (1.0..=100.0).contains(&value))
    );
    let times: BTreeSet<i64> = points.map(|(time, _)| time).collect();
    assert_eq!(times, (0..16).map(|minute| minute * 60_000).collect());
}

#[test]
fn resource_ids_and_units_are_delfins() {
    let mut driver = driver("s-1", json!({"volumes": 2}));
    let batch = collect(&mut driver, 0, 60_000);
    let find = |kind: &str, id: &str, name: &str| {
        let series = batch.series().find(|series| {
            let labels = series.labels();
            series.name() == name
                && labels.get("resource_type") == Some(kind)
                && labels.get("resource_id") == Some(id)
        });
        series.unwrap().labels().get("unit").unwrap()
    };
    assert_eq!(find("storage", "s-1", "iops"), "IOPS");
    assert_eq!(find("volume", "volume_1", "readIoSize"), "KB");
    assert_eq!(find("controller", "controller_4", "cpuUsage"), "%");
    assert_eq!(find("filesystem", "filesystem_9", "readResponseTime"), "ms");
    assert_eq!(find("storagePool", "storagePool_99", "throughput"), "MB/s");
}

#[test]
fn the_same_time_has_the_same_value_in_every_window() {
    let none = json!({"volumes": 0, "disks": 0, "storage_pools": 0});
    let mut driver = driver("s-1", none);
    let long = collect(&mut driver, 0, 600_000);
    let late = collect(&mut driver, 540_000, 600_000);
    for (long, late) in long.series().zip(late.series()) {
        assert_eq!(long.points().last(), late.points().next());
    }
}

#[test]
fn a_window_that_is_slightly_too_long_or_short_has_one_point_per_minute() {
    let count = |end_ms| {
        times(TimeWindow {
            start_ms: 0,
            end_ms,
        })
        .count()
    };
    assert_eq!(
        [1, 10_000, 59_990, 60_000, 60_004, 120_000, 900_003].map(count),
        [1, 1, 1, 1, 1, 2, 15]
    );
}

#[test]
fn storages_differ_and_each_stays_the_same() {
    let mut same = [driver("a", json!({})), driver("a", json!({}))];
    let [first, second] = same.each_mut().map(|driver| driver.storage().unwrap());
    assert_eq!(first, second);
    let other = driver("b", json!({})).storage().unwrap();
    assert_ne!(first.serial_number, other.serial_number);
    let seeded = driver("a", json!({"seed": 7})).storage().unwrap();
    assert_eq!(first.serial_number, seeded.serial_number);
    assert_ne!(first.details.capacity, seeded.details.capacity);
    assert_eq!(
        [first.name, first.vendor, first.model],
        ["fake_driver", "fake_vendor", "fake_model"]
    );
}

#[test]
fn the_four_alerts_are_listed_for_any_range_in_milliseconds() {
    let mut driver = driver("s-1", json!({}));
    let labels = StorageLabels {
        id: "s-1".to_owned(),
        info: driver.storage().unwrap(),
        names: Default::default(),
        fixed: Default::default(),
    };
    let mut list = |range| {
        let mut builder = AlertBuilder::new(&labels, &[]);
        driver.list_alerts(range, &mut builder).unwrap();
        builder.build()
    };
    let january = TimeWindow {
        start_ms: 13_445_566_900,
        end_ms: 13_445_566_999,
    };
    let (all, some) = (list(None), list(Some(january)));
    assert_eq!(all.as_arrow(), some.as_arrow());
    let names: Vec<_> = all
        .alerts()
        .filter_map(|alert| alert.alert_name())
        .collect();
    assert_eq!(
        names,
        [
            "SNMP connect failed",
            "Link state down",
            "Power failure",
            "Communication failure"
        ]
    );
    assert!(
        all.alerts()
            .all(|alert| alert.occur_time() > 1_600_000_000_000)
    );
}

#[test]
fn options_may_be_strings_in_the_extra_attributes_next_to_unknown_ones() {
    let given = json!({
        "rest": {"host": "10.0.0.1"},
        "extra_attributes": {"volumes": "3", "is_historic": "true", "array_id": "0011"}
    });
    let mut driver = driver("s-1", given);
    assert!(driver.capabilities().unwrap().is_historic);
    assert_eq!(collect(&mut driver, 0, 60_000).rows(), 1_629 + 3 * 15);
}

#[test]
fn a_wrong_option_says_what_would_be_right() {
    let check = |json, message: &str| {
        let error = FakeDriver::new("s", &options(json)).err().unwrap();
        assert_eq!(error.to_string(), message);
    };
    check(
        json!({"volumes": -1}),
        "driver option `volumes` is wrong: is not a number from 0 to 100000",
    );
    check(
        json!({"extra_attributes": {"disks": "many"}}),
        "driver option `disks` is wrong: is not a number from 0 to 100000",
    );
    check(
        json!({"volume": 1}),
        "driver option `volume` is wrong: is not one of storage_pools, volumes, controllers, \
         ports, disks, filesystems, is_historic and seed",
    );
}

#[test]
fn resources_are_listed_for_every_kind_and_are_the_same_at_each_call() {
    let mut driver = FakeDriver::new("id", &DriverOptions::new()).unwrap();
    for kind in ResourceKind::all() {
        let listed = driver.list_resources(kind).unwrap();
        assert_eq!(listed, driver.list_resources(kind).unwrap());
        let list = ResourceList::new(kind, listed.clone());
        assert_eq!(list.resources.len(), listed.len(), "{kind:?}");
        assert!(!listed.is_empty(), "{kind:?}");
        let fields = || kind.fields().iter().chain(kind.series_fields());
        let known = |name: &String| fields().any(|field| field.name == name);
        assert!(
            listed.iter().all(|fields| fields.keys().all(known)),
            "{kind:?}"
        );
    }
    let volumes = driver.list_resources(ResourceKind::Volumes).unwrap();
    assert_eq!(volumes.len(), 2_000);
    assert_eq!(volumes[7]["native_volume_id"], "volume_7");
}
