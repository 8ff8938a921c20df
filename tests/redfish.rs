//! The Redfish driver with the real host, and a service that is strict.

#![expect(clippy::expect_used, reason = "a test says by a panic that it failed")]

use std::sync::mpsc::{self, Sender};

use delfin_tests::{
    FILES, Host, Setup,
    redfish::{
        MockService, PASSWORD,
        array::{self, advance, log},
        messages::{ago, event, fan},
        telemetry::{add_service, append, value},
    },
};
use serde_json::{Value, json};

const FILESYSTEM: &str = "/redfish/v1/Storage/A1/FileSystems/F1";

/// An array with everything that the driver reads.
fn service() -> (MockService, Sender<Vec<u8>>) {
    let mut documents = array::with_faults();
    log(&mut documents, 7, fan("FanFailed", 5), false);
    add_service(
        &mut documents,
        &[("Files", Vec::new())],
        &[("ReadLatency", "us")],
    );
    let service = MockService::start(documents);
    let (events, pieces) = mpsc::channel();
    service.state().streams.push(pieces);
    (service, events)
}

fn registration(service: &MockService, password: &str) -> Value {
    let mut storage = service.options(json!({"request_timeout": "5s"}));
    storage["vendor"] = json!("redfish");
    storage["model"] = json!("redfish");
    storage["rest"]["password"] = json!(password);
    storage
}

fn register(host: &Host, service: &MockService) -> String {
    let (status, answer) = host.send(
        "POST",
        "/v1/storages",
        Some(&registration(service, PASSWORD)),
    );
    assert_eq!(status, 201, "{answer}");
    let id = answer["id"].as_str().expect("an id").to_owned();
    let config =
        json!({"array_polling": {"perf_collection": true, "interval": 1, "is_historic": true}});
    let path = format!("/v1/storages/{id}/metrics-config");
    let (status, answer) = host.send("PUT", &path, Some(&config));
    assert_eq!(status, 200, "{answer}");
    id
}

/// The last point of a series.
fn last_point(setup: &Setup, name: &str, resource: &str) -> Option<(i64, f64)> {
    let rows = setup.json_lines("performance.jsonl").into_iter().rev();
    let mut rows = rows.filter(|row| row["name"] == name);
    let row = rows.find(|row| row["labels"]["resource_id"] == resource)?;
    let (time, value) = row["values"].as_object()?.iter().next_back()?;
    Some((time.parse().ok()?, value.as_f64()?))
}

fn wait_for_point(host: &Host, setup: &Setup, name: &str, resource: &str) -> (i64, f64) {
    host.wait_for(&format!("{name} of {resource}"), || {
        last_point(setup, name, resource)
    })
}

/// Asks for alerts until the exporter has one.
fn wait_for_alert(
    host: &Host,
    setup: &Setup,
    id: &str,
    is_wanted: impl Fn(&Value) -> bool,
) -> Value {
    let path = format!("/v1/storages/{id}/alerts/sync");
    host.wait_for("an alert", || {
        let (status, answer) = host.send("POST", &path, Some(&json!({})));
        assert_eq!(status, 200, "{answer}");
        let alerts = setup.json_lines("alerts.jsonl").into_iter();
        alerts.into_iter().find(&is_wanted)
    })
}

fn is_named(name: &str, category: &str) -> impl Fn(&Value) -> bool {
    move |alert| alert["alert_name"] == name && alert["category"] == category
}

#[test]
fn a_registered_storage_has_resources_measurements_reports_and_alerts() {
    let (service, events) = service();
    let setup = Setup::new(&["file", "redfish"], FILES);
    let host = setup.start();

    let wrong = registration(&service, "wrong");
    let (status, answer) = host.send("POST", "/v1/storages", Some(&wrong));
    assert_eq!(status, 400, "{answer}");
    let text = answer["error_msg"].as_str().unwrap_or_default();
    assert!(
        text.contains("refuses the login of `monitor` with 401"),
        "{answer}"
    );
    assert!(!text.contains("wrong"), "{answer}");

    let id = register(&host, &service);
    let gib = 1_u64 << 30;
    let storage = host.get(&format!("/v1/storages/{id}")).1;
    assert_eq!(
        (
            &storage["name"],
            &storage["serial_number"],
            &storage["total_capacity"]
        ),
        (&json!("a1-hk"), &json!("SN-A1-0001"), &json!(1_000 * gib))
    );

    // Capacity and status follow from the lists.
    let pool = "Storage/A1/StoragePools/P1";
    let (_, used) = wait_for_point(&host, &setup, "usedCapacity", pool);
    assert_eq!(used, (400 * gib) as f64);
    let (_, status) = wait_for_point(&host, &setup, "status", "Storage/A1/Controllers/CB");
    assert_eq!(status, 1.0, "degraded");

    // Counters of documents, and values of reports.
    let first = value("ReadLatency", FILESYSTEM, "250", &ago(0));
    append(&mut service.state().documents, "Files", first);
    let (time, latency) = wait_for_point(&host, &setup, "readResponseTime", FILESYSTEM_ID);
    assert_eq!(latency, 0.25);
    let volume = "Storage/A1/Volumes/V1";
    wait_for_point(&host, &setup, "readIops", volume);
    advance(&mut service.state().documents, 1_000);
    host.wait_for("a rate", || {
        last_point(&setup, "readIops", volume).filter(|(_, value)| *value > 0.0)
    });
    let next = value("ReadLatency", FILESYSTEM, "750", &ago(0));
    append(&mut service.state().documents, "Files", next);
    let next = host.wait_for("the next value of the report", || {
        let point = last_point(&setup, "readResponseTime", FILESYSTEM_ID);
        point.filter(|(at, _)| *at > time)
    });
    assert_eq!(next.1, 0.75);

    check_alerts(&host, &setup, &id, &service, &events);
    let (status, log) = host.stop();
    assert!(status.success(), "{log}");
    assert!(!log.contains(PASSWORD), "{log}");
    assert!(service.state().sessions.is_empty(), "the session was ended");
}

const FILESYSTEM_ID: &str = "Storage/A1/FileSystems/F1";

/// An alert of the log, one of an event, and the ends of both.
fn check_alerts(
    host: &Host,
    setup: &Setup,
    id: &str,
    service: &MockService,
    events: &Sender<Vec<u8>>,
) {
    let fan_alert = wait_for_alert(host, setup, id, is_named("FanFailed", "Fault"));
    assert_eq!(
        (
            &fan_alert["severity"],
            &fan_alert["resource_type"],
            &fan_alert["storage_id"]
        ),
        (&json!("Critical"), &json!("Disk"), &json!(id))
    );
    let warning = "ResourceStatusChangedWarning";
    events
        .send(event(warning, "Warning", 41))
        .expect("a connection");
    let alert = wait_for_alert(host, setup, id, is_named(warning, "Fault"));
    assert_eq!(alert["location"], "Storage/A1/Volumes/V1");
    events
        .send(event("ResourceStatusChangedOK", "OK", 42))
        .expect("a connection");
    wait_for_alert(host, setup, id, is_named(warning, "Recovery"));
    log(&mut service.state().documents, 8, fan("FanOK", 0), false);
    wait_for_alert(host, setup, id, is_named("FanFailed", "Recovery"));
}

#[test]
fn a_service_that_goes_and_a_host_that_is_killed_lose_no_alert() {
    let (service, _events) = service();
    let setup = Setup::new(&["file", "redfish"], FILES);
    let host = setup.start();
    let id = register(&host, &service);
    wait_for_alert(&host, &setup, &id, is_named("FanFailed", "Fault"));
    let volume = "Storage/A1/Volumes/V1";
    wait_for_point(&host, &setup, "readIops", volume);

    service.state().is_gone = true;
    let path = format!("/v1/storages/{id}");
    host.wait_for("the status of the storage", || {
        (host.get(&path).1["status"] != "normal").then_some(())
    });
    let (before, _) = wait_for_point(&host, &setup, "readIops", volume);
    service.state().is_gone = false;
    host.wait_for("a measurement after the outage", || {
        last_point(&setup, "readIops", volume).filter(|(time, _)| *time > before)
    });

    host.kill();
    let before = setup.json_lines("performance.jsonl").len();
    let managers = "/redfish/v1/Managers";
    service.state().failing.insert(managers.to_owned());
    let host = setup.start();
    // A service that fails in parts ends no alert, and says which part.
    let path = format!("/v1/storages/{id}/alerts/sync");
    let (status, answer) = host.send("POST", &path, Some(&json!({})));
    assert_ne!(status, 200, "{answer}");
    let text = answer["error_msg"].as_str().unwrap_or_default();
    assert!(
        text.contains(&format!("`{managers}` answers 500")),
        "{answer}"
    );
    service.state().failing.clear();
    host.wait_for("a measurement after the restart", || {
        let rows = setup.json_lines("performance.jsonl");
        let mut rows = rows.iter().skip(before);
        rows.find(|row| row["name"] == "readIops").cloned()
    });
    let active = host.get("/v1/alerts/active").1;
    assert_eq!(active["alerts"][0]["alert_name"], "FanFailed", "{active}");
    let alerts = setup.json_lines("alerts.jsonl");
    assert!(!alerts.iter().any(is_named("FanFailed", "Recovery")));
    // The fault ends while the host was away, too.
    log(&mut service.state().documents, 8, fan("FanOK", 0), false);
    wait_for_alert(&host, &setup, &id, is_named("FanFailed", "Recovery"));
    let exporter = host.exporter("AlertExporterFile");
    assert_eq!(exporter["dead_lettered"], 0, "{exporter}");
    let (status, log) = host.stop();
    assert!(status.success(), "{log}");
}
