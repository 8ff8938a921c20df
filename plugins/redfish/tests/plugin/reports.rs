//! Metric reports.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use delfin_plugin_api::testkit::TestResponse;
use delfin_tests::redfish::{
    MockService,
    array::{self, advance},
    telemetry::{add_service, append, report, value, vendor_value},
};
use serde_json::{Value, json};

use crate::calls::{CollectedSeries, TestedStorage};

const FILESYSTEM: &str = "/redfish/v1/Storage/A1/FileSystems/F1";
const FILESYSTEM_ID: &str = "Storage/A1/FileSystems/F1";

/// A time that a value has, and its milliseconds.
fn seconds_ago(seconds: u64) -> (String, i64) {
    let now = DateTime::<Utc>::from(SystemTime::now());
    let time = now - Duration::from_secs(seconds);
    (time.to_rfc3339(), time.timestamp_millis())
}

/// A value of the file system's metrics.
fn of_filesystem(property: &str, number: &str, time: &str) -> Value {
    let path = format!("{FILESYSTEM}/Metrics#/IOStatistics/{property}");
    value(&format!("FS_{property}"), &path, number, time)
}

fn points<'a>(rows: &'a [CollectedSeries], name: &str, resource: &str) -> Option<&'a [(i64, f64)]> {
    let mut rows = rows.iter();
    let row = rows.find(|row| row.name == name && row.resource == resource)?;
    Some(&row.points)
}

fn value_of(rows: &[CollectedSeries], name: &str, resource: &str) -> Option<f64> {
    Some(points(rows, name, resource)?.last()?.1)
}

fn asked(service: &MockService, path: &str) -> usize {
    let paths = service.paths();
    paths.iter().filter(|asked| *asked == path).count()
}

#[test]
fn counters_of_a_report_become_rates_at_their_own_times() {
    let ((first, _), (second, second_ms), (third, third_ms), (fourth, fourth_ms)) = (
        seconds_ago(300),
        seconds_ago(240),
        seconds_ago(180),
        seconds_ago(120),
    );
    let mut values = Vec::new();
    for (time, reads, seconds) in [(&first, 0, 0), (&second, 6_000, 6), (&third, 6_600, 12)] {
        values.push(of_filesystem("ReadIORequests", &reads.to_string(), time));
        values.push(of_filesystem(
            "WriteIORequests",
            &(reads / 2).to_string(),
            time,
        ));
        values.push(of_filesystem(
            "ReadIOKiBytes",
            &(reads * 64).to_string(),
            time,
        ));
        values.push(of_filesystem(
            "ReadIORequestTime",
            &format!("PT{seconds}S"),
            time,
        ));
    }
    let mut documents = array::modern();
    add_service(&mut documents, &[("Files", values)], &[]);
    let service = MockService::start(documents);
    let mut storage = TestedStorage::open(&service, json!({}));
    let rows = storage.collect().unwrap();
    let of = |rows: &[CollectedSeries], name: &str| {
        points(rows, name, FILESYSTEM_ID).map(<[(i64, f64)]>::to_vec)
    };
    let near = |found: Option<Vec<(i64, f64)>>, expected: &[(i64, f64)]| {
        let found = found.unwrap();
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for ((at, value), (expected_at, expected)) in found.iter().zip(expected) {
            assert_eq!(at, expected_at);
            // The two times were not taken in the same instant.
            assert!(
                (value - expected).abs() < expected * 0.01,
                "{value} {expected}"
            );
        }
    };
    near(
        of(&rows, "readIops"),
        &[(second_ms, 100.0), (third_ms, 10.0)],
    );
    near(of(&rows, "iops"), &[(second_ms, 150.0), (third_ms, 15.0)]);
    near(
        of(&rows, "readThroughput"),
        &[(second_ms, 6.553_6), (third_ms, 0.655_36)],
    );
    near(
        of(&rows, "readResponseTime"),
        &[(second_ms, 1.0), (third_ms, 10.0)],
    );
    // Each value counts once.
    assert_eq!(of(&storage.collect().unwrap(), "readIops"), None);
    let value = of_filesystem("ReadIORequests", "12600", &fourth);
    append(&mut service.state().documents, "Files", value);
    near(
        of(&storage.collect().unwrap(), "readIops"),
        &[(fourth_ms, 100.0)],
    );
    // A counter that has become smaller starts again.
    let value = of_filesystem("ReadIORequests", "0", &seconds_ago(60).0);
    append(&mut service.state().documents, "Files", value);
    assert_eq!(of(&storage.collect().unwrap(), "readIops"), None);
}

#[test]
fn what_a_report_kept_of_earlier_windows_is_not_measured_again() {
    let times = [300, 240, 180].map(seconds_ago);
    let values = times
        .iter()
        .zip(["0", "60", "120"])
        .map(|((time, _), number)| of_filesystem("ReadIORequests", number, time));
    let mut documents = array::modern();
    add_service(&mut documents, &[("Files", values.collect())], &[]);
    let service = MockService::start(documents);
    let mut storage = TestedStorage::open(&service, json!({}));
    let rows = storage.collect_since(times[2].1).unwrap();
    let found = points(&rows, "readIops", FILESYSTEM_ID).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, times[2].1);
}

#[test]
fn a_metric_of_a_document_is_not_taken_from_a_report() {
    let mut documents = array::modern();
    let property = |name: &str| format!("{}#/IOStatistics/{name}", array::VOLUME_METRICS);
    let values = [(300, "0"), (240, "60000000")].map(|(seconds, number)| {
        let time = seconds_ago(seconds).0;
        value("Reads", &property("ReadIORequests"), number, &time)
    });
    // What the document does not have.
    let mut values = values.to_vec();
    values.push(value(
        "QueueDepth",
        &property("QueueDepth"),
        "7",
        &seconds_ago(240).0,
    ));
    add_service(&mut documents, &[("Volumes", values)], &[]);
    let service = MockService::start(documents);
    let mut storage = TestedStorage::open(&service, json!({}));
    assert!(storage.collect().unwrap().is_empty());
    advance(&mut service.state().documents, 10);
    let rows = storage.collect().unwrap();
    assert_eq!(
        points(&rows, "readIops", "Storage/A1/Volumes/V1")
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn values_that_name_a_device_are_those_of_its_resource() {
    let mut documents = array::modern();
    let drive = "/redfish/v1/Chassis/Shelf1/Drives/D3";
    documents.remove(&format!("{drive}/Metrics"));
    let port = "/redfish/v1/Storage/A1/Controllers/CB/Ports/0";
    documents.remove(&format!("{port}/Metrics"));
    let mut values = Vec::new();
    for (seconds, units, kilobytes) in [(300, "10", "0"), (240, "70", "61440")] {
        let time = seconds_ago(seconds).0;
        values.push(vendor_value("HostReadCommandsLower", "D3", units, &time));
        values.push(vendor_value("DataUnitsReadLower", "D3", units, &time));
        values.push(vendor_value("DataUnitsReadLower", "D9", units, &time));
        values.push(value("FCRxKBCount", port, kilobytes, &time));
        values.push(value("FCTxKBCount", port, kilobytes, &time));
    }
    add_service(&mut documents, &[("NVMeSMARTData", values)], &[]);
    let service = MockService::start(documents);
    let mut storage = TestedStorage::open(&service, json!({}));
    let rows = storage.collect().unwrap();
    let near = |found: Option<f64>, expected: f64| {
        let found = found.unwrap();
        assert!(
            (found - expected).abs() < expected * 0.01,
            "{found} {expected}"
        );
    };
    near(value_of(&rows, "readIops", "Chassis/Shelf1/Drives/D3"), 1.0);
    near(
        value_of(&rows, "readThroughput", "Chassis/Shelf1/Drives/D3"),
        0.512,
    );
    let port = "Storage/A1/Controllers/CB/Ports/0";
    near(value_of(&rows, "throughput", port), 2_048.0 * 1_024.0 / 1e6);
}

#[test]
fn rates_and_times_are_converted_from_the_units_of_their_definitions() {
    let (time, at_ms) = seconds_ago(60);
    let values = ["ReadLatency", "Bandwidth", "ReadIOPS", "WriteLatency"]
        .map(|id| value(id, FILESYSTEM, "500", &time));
    // The storage as a whole is its only subsystem.
    let mut values = values.to_vec();
    values.push(value("TotalIOPS", "/redfish/v1/Storage/A1", "7", &time));
    let definitions = [
        ("ReadLatency", "us"),
        ("Bandwidth", "MiBy/s"),
        ("ReadIOPS", "{IO}/s"),
        ("TotalIOPS", "1/s"),
        ("WriteLatency", "furlong"),
    ];
    let mut documents = array::modern();
    documents.remove("/redfish/v1/Storage/A1/Metrics");
    add_service(&mut documents, &[("Files", values)], &definitions);
    let service = MockService::start(documents);
    let mut storage = TestedStorage::open(&service, json!({}));
    let rows = storage.collect().unwrap();
    let of = |name| points(&rows, name, FILESYSTEM_ID).map(|points| points[0]);
    assert_eq!(of("readResponseTime"), Some((at_ms, 0.5)));
    assert_eq!(of("throughput"), Some((at_ms, 524.288)));
    assert_eq!(of("readIops"), Some((at_ms, 500.0)));
    assert_eq!(of("writeResponseTime"), None);
    assert_eq!(value_of(&rows, "iops", "test"), Some(7.0));
    let rows = storage.collect().unwrap();
    assert_eq!(points(&rows, "readIops", FILESYSTEM_ID), None);
    let definition = "/redfish/v1/TelemetryService/MetricDefinitions/ReadLatency";
    assert_eq!(asked(&service, definition), 1);
}

#[test]
fn what_cannot_be_used_costs_no_other_value_and_is_not_asked_for_again() {
    let (time, at_ms) = seconds_ago(60);
    let good = value("ReadIOPS", FILESYSTEM, "5", &time);
    let with = |key: &str, content: Value| {
        let mut value = good.clone();
        value["MetricId"] = json!("WriteIOPS");
        value[key] = content;
        value
    };
    let values = vec![
        json!(7),
        json!([]),
        json!({"MetricValue": "1"}),
        with("MetricValue", json!("N/A")),
        with("MetricValue", json!("-1")),
        with("MetricValue", json!("NaN")),
        with("MetricValue", json!({"a": 1})),
        with("MetricValue", Value::Null),
        with("MetricProperty", json!({"a": 1})),
        with("MetricProperty", json!("http://192.0.2.9/redfish/v1#/x")),
        with("MetricId", json!(["ReadIOPS"])),
        with("Timestamp", json!("2999-01-01T00:00:00Z")),
        good.clone(),
    ];
    let mut documents = array::modern();
    let power = value(
        "PowerConsumedWatts",
        "/redfish/v1/Chassis/Shelf1/Power",
        "3",
        &time,
    );
    let reports = [("Files", values), ("Power", vec![power])];
    add_service(&mut documents, &reports, &[]);
    documents.insert(report("Broken"), json!({"MetricValues": "none"}));
    let members = &mut documents
        .get_mut("/redfish/v1/TelemetryService/MetricReports")
        .unwrap()["Members"];
    for id in ["Broken", "Absent"] {
        members
            .as_array_mut()
            .unwrap()
            .push(json!({"@odata.id": report(id)}));
    }
    let service = MockService::start(documents);
    let mut storage = TestedStorage::open(&service, json!({}));
    let rows = storage.collect().unwrap();
    assert_eq!(
        points(&rows, "readIops", FILESYSTEM_ID),
        Some(&[(at_ms, 5.0)][..])
    );
    assert_eq!(points(&rows, "writeIops", FILESYSTEM_ID), None);
    storage.collect().unwrap();
    let counts = ["Files", "Power", "Broken", "Absent"].map(|id| asked(&service, &report(id)));
    assert_eq!(counts, [2, 1, 1, 1]);
}

#[test]
fn reports_that_cannot_be_read_cost_no_other_measurement() {
    for answer in [
        TestResponse::new(503).header("retry-after", "86400"),
        TestResponse::new(500),
        TestResponse::new(200).body("[]"),
    ] {
        let mut documents = array::modern();
        add_service(&mut documents, &[("Files", Vec::new())], &[]);
        let service = MockService::start(documents);
        let telemetry = "/redfish/v1/TelemetryService".to_owned();
        service
            .state()
            .next
            .insert(telemetry, vec![answer.clone(); 9]);
        let mut storage = TestedStorage::open(&service, json!({}));
        storage.collect().unwrap();
        advance(&mut service.state().documents, 10);
        let rows = storage.collect().unwrap();
        assert!(points(&rows, "iops", "Storage/A1/Volumes/V1").is_some());
    }
}
