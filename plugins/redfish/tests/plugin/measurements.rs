//! Measurements.

use std::collections::BTreeSet;

use delfin_plugin_api::testkit::TestResponse;
use delfin_tests::redfish::{
    MockService,
    array::{self, advance},
};
use serde_json::{Value, json};

use crate::calls::{CollectedSeries, TestedStorage};

fn find(rows: &[CollectedSeries], metric: &str, id: &str) -> Option<f64> {
    let mut found = rows.iter();
    let found = found.find(|row| row.name == metric && row.resource == id)?;
    Some(found.points.last()?.1)
}

#[test]
fn what_could_not_be_measured_has_its_rate_at_the_next_answer() {
    let service = MockService::start(array::modern());
    let mut storage = TestedStorage::open(&service, json!({}));
    storage.collect().unwrap();
    let failing = vec![TestResponse::new(500)];
    service
        .state()
        .next
        .insert(array::VOLUME_METRICS.to_owned(), failing);
    advance(&mut service.state().documents, 1_000);
    let read_iops = |rows: &[CollectedSeries]| find(rows, "readIops", "Storage/A1/Volumes/V1");
    assert_eq!(read_iops(&storage.collect().unwrap()), None);
    assert!(read_iops(&storage.collect().unwrap()).is_some_and(|value| value > 0.0));
}

#[test]
fn counters_of_every_kind_become_rates() {
    let service = MockService::start(array::modern());
    let mut storage = TestedStorage::open(&service, json!({}));
    storage.identify().unwrap();
    assert!(
        storage.collect().unwrap().is_empty(),
        "one reading is no rate"
    );
    advance(&mut service.state().documents, 1_000);
    let rows = storage.collect().unwrap();
    let volume = |metric| find(&rows, metric, "Storage/A1/Volumes/V1").unwrap();
    // How much time has passed is not known; that each metric has the same is.
    let seconds = 100_000.0 / volume("readIops");
    let near = |value: f64, expected: f64| {
        assert!(
            (value - expected).abs() < expected * 1e-6,
            "{value} {expected}"
        )
    };
    near(volume("writeIops") * seconds, 50_000.0);
    near(volume("iops") * seconds, 150_000.0);
    near(volume("readThroughput") * seconds, 6_553.6);
    near(volume("readResponseTime"), 1.0);
    near(volume("writeResponseTime"), 1.0);
    near(volume("readCacheHitRatio"), 80.0);
    near(volume("cacheHitRatio"), 130.0 / 1.5);
    near(volume("readIoSize"), 65.536);
    for (metric, id) in [
        ("iops", "Storage/A1/StoragePools/P1"),
        ("iops", "test"),
        ("iops", "Chassis/Shelf1/Drives/D3"),
        ("readThroughput", "Chassis/Shelf1/Drives/D3"),
        ("throughput", "Storage/A1/Controllers/CB/Ports/0"),
    ] {
        assert!(
            find(&rows, metric, id).is_some_and(|value| value > 0.0),
            "{metric} of {id}"
        );
    }
    assert_eq!(find(&rows, "ioSize", "Storage/A1/StoragePools/P1"), None);
}

#[test]
fn counters_in_the_documents_of_a_collection_are_read_from_there() {
    let service = MockService::start(array::service());
    service.state().expands = true;
    service.state().page = 50;
    let mut storage = TestedStorage::open(&service, json!({}));
    storage.identify().unwrap();
    let before = service.paths().len();
    storage.collect().unwrap();
    advance(&mut service.state().documents, 10);
    let rows = storage.collect().unwrap();
    assert!(find(&rows, "readIops", "StorageServices/S1/Volumes/LUN2").is_some());
    let asked: Vec<String> = service.paths().split_off(before);
    let expected = format!("{}?$expand=.($levels=1)", array::SERVICE_VOLUMES);
    assert_eq!(asked, [expected.as_str(), expected.as_str()]);
}

#[test]
fn a_reset_of_the_counters_costs_one_interval() {
    let service = MockService::start(array::service());
    let mut storage = TestedStorage::open(&service, json!({}));
    advance(&mut service.state().documents, 100);
    storage.collect().unwrap();
    let id = array::SERVICE_VOLUME.trim_start_matches("/redfish/v1/");
    advance(&mut service.state().documents, 1);
    assert_eq!(find(&storage.collect().unwrap(), "iops", id), None);
    advance(&mut service.state().documents, 2);
    assert!(find(&storage.collect().unwrap(), "iops", id).is_some());
}

#[test]
fn measurements_that_cannot_be_read_cost_no_other_resource_its_points() {
    let service = MockService::start(array::modern());
    let mut storage = TestedStorage::open(&service, json!({}));
    storage.collect().unwrap();
    {
        let mut state = service.state();
        state.documents.remove(array::VOLUME_METRICS);
        let drive = format!("{}/Metrics", array::DRIVE);
        state.documents.insert(
            drive,
            json!({"ReadIOKiBytes": {"a": []}, "NVMeSMART": Value::Null}),
        );
    }
    advance(&mut service.state().documents, 10);
    let rows = storage.collect().unwrap();
    assert_eq!(find(&rows, "iops", "Storage/A1/Volumes/V1"), None);
    assert!(find(&rows, "iops", "Storage/A1/Volumes/V2").is_some());
}

#[test]
fn each_resource_has_its_turn_if_the_requests_are_too_few() {
    let mut documents = array::modern();
    let volumes: Vec<Value> = (1..=40)
        .map(|number| {
            let path = format!("/redfish/v1/Storage/A1/Volumes/V{number}");
            let metrics = format!("{path}/Metrics");
            let mut volume = documents[array::VOLUME].clone();
            volume["@odata.id"] = json!(path);
            volume["Metrics"] = json!({ "@odata.id": metrics });
            let counters = documents[array::VOLUME_METRICS].clone();
            documents.insert(metrics, counters);
            documents.insert(path.clone(), volume);
            json!({ "@odata.id": path })
        })
        .collect();
    documents.get_mut("/redfish/v1/Storage/A1/Volumes").unwrap()["Members"] = volumes.into();
    let service = MockService::start(documents);
    service.state().page = 50;
    service.state().expands = true;
    let mut storage = TestedStorage::open(&service, json!({"max_requests": "20"}));
    storage.identify().unwrap();
    for _ in 0..3 {
        storage.collect().unwrap();
    }
    advance(&mut service.state().documents, 10);
    let mut measured = BTreeSet::new();
    for _ in 0..3 {
        let rows = storage.collect().unwrap();
        assert!(!rows.is_empty());
        measured.extend(
            rows.into_iter()
                .map(|row| row.resource)
                .filter(|id| id.contains("/V")),
        );
    }
    assert_eq!(measured.len(), 40);
    let mut limited = TestedStorage::open(&service, json!({"max_requests": "10"}));
    let error = limited.identify().unwrap_err();
    assert!(
        error.starts_with("Retry 0: the storage needs more than 10 requests"),
        "{error}"
    );
}
