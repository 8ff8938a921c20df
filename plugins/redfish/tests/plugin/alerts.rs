//! Alerts of logs and of events.

use std::sync::mpsc;

use delfin_plugin_api::testkit::TestResponse;
use delfin_tests::{
    redfish::{
        EVENTS, MockService,
        array::{self, ENTRIES, log},
        messages::{ago, event, fan},
    },
    wait_for,
};
use serde_json::{Value, json};

use crate::calls::TestedStorage;

fn names(alerts: &[Value]) -> Vec<&str> {
    let names = alerts
        .iter()
        .map(|alert| alert["alert_name"].as_str().unwrap());
    names.collect()
}

#[test]
fn an_entry_is_an_alert_with_what_its_registry_says() {
    let mut documents = array::with_faults();
    log(&mut documents, 7, fan("FanFailed", 5), false);
    let service = MockService::start(documents);
    let mut storage = TestedStorage::open(&service, json!({"events": "false"}));
    let alerts = storage.alerts(json!({})).unwrap();
    let mut alert = alerts[0].clone();
    alert.as_object_mut().unwrap().remove("occur_time");
    assert_eq!(
        alert,
        json!({
            "alert_id": "AcmeStorage.1.2.FanFailed",
            "alert_name": "FanFailed",
            "severity": "Critical",
            "category": "Fault",
            "type": "EquipmentAlarm",
            "resource_type": "Disk",
            "location": "Chassis/Shelf1/Drives/D2/Metrics",
            "description": "Fan 2 has failed.",
            "recovery_advice": "Replace the fan.",
            "sequence_number": "Managers/M1/LogServices/Log/Entries/7",
            "match_key": "AcmeStorage.FanFailed/Chassis/Shelf1/Drives/D2/Metrics/2",
        })
    );
    // It is one alert however often it is logged, and it ends with the message that ends it.
    log(
        &mut service.state().documents,
        8,
        fan("FanFailed", 4),
        false,
    );
    let alerts = storage.alerts(json!({})).unwrap();
    assert_eq!(alerts.len(), 1);
    assert_eq!(
        alerts[0]["sequence_number"],
        "Managers/M1/LogServices/Log/Entries/8"
    );
    log(&mut service.state().documents, 9, fan("FanOK", 3), false);
    assert!(storage.alerts(json!({})).unwrap().is_empty());
    let loads = service.paths();
    let loads = loads
        .iter()
        .filter(|path| path.ends_with("AcmeStorage.json"));
    assert_eq!(loads.count(), 1, "the registry is read once");
}

#[test]
fn old_and_resolved_entries_are_no_alerts_and_a_window_selects() {
    let mut documents = array::with_faults();
    let with_severity = |mut entry: Value, severity: &str| {
        entry["Severity"] = json!(severity);
        entry["MessageId"] = Value::Null;
        entry["Message"] = json!(format!("{severity} message"));
        entry
    };
    log(
        &mut documents,
        1,
        with_severity(fan("", 60 * 24 * 30), "Critical"),
        false,
    );
    log(
        &mut documents,
        2,
        with_severity(fan("", 60), "Warning"),
        false,
    );
    let mut resolved = with_severity(fan("", 50), "Critical");
    resolved["Resolved"] = json!(true);
    log(&mut documents, 3, resolved, false);
    log(&mut documents, 4, with_severity(fan("", 40), "OK"), false);
    let service = MockService::start(documents);
    let mut storage = TestedStorage::open(&service, json!({"events": "false"}));
    let alerts = storage.alerts(json!({})).unwrap();
    assert_eq!(names(&alerts), ["Warning message"]);
    let time = alerts[0]["occur_time"].as_i64().unwrap();
    let window = |start: i64, end: i64| json!({"start_ms": start, "end_ms": end});
    assert_eq!(storage.alerts(window(time, time + 1)).unwrap().len(), 1);
    assert!(
        storage
            .alerts(window(time + 1, time + 2))
            .unwrap()
            .is_empty()
    );
}

#[test]
fn the_newest_entries_are_read_in_both_orders() {
    for is_newest_first in [true, false] {
        let mut documents = array::with_faults();
        documents.get_mut("/redfish/v1/").unwrap()["ProtocolFeaturesSupported"]["TopSkipQuery"] =
            json!(true);
        for id in 1..=1_200 {
            let minutes = 2_000 - u64::from(id);
            let entry = json!({
                "Created": ago(minutes), "Severity": "Warning", "Message": format!("entry {id}")
            });
            log(&mut documents, id, entry, is_newest_first);
        }
        let service = MockService::start(documents);
        service.state().page = 100;
        let mut storage = TestedStorage::open(&service, json!({"events": "false"}));
        let alerts = storage.alerts(json!({})).unwrap();
        assert_eq!(alerts.len(), 1_000);
        let names = names(&alerts);
        assert!(names.contains(&"entry 1200") && !names.contains(&"entry 200"));
        let pages = service.paths();
        let pages = pages
            .iter()
            .filter(|path| path.starts_with(ENTRIES))
            .count();
        assert!((10..=11).contains(&pages), "{pages} pages");
    }
}

#[test]
fn a_log_that_fails_is_an_error_and_ends_no_alert() {
    let service = MockService::start(array::with_faults());
    let mut storage = TestedStorage::open(&service, json!({"events": "false"}));
    storage.alerts(json!({})).unwrap();
    let failing = TestResponse::new(500).body("boom");
    service
        .state()
        .next
        .insert(ENTRIES.to_owned(), vec![failing]);
    let error = storage.alerts(json!({})).unwrap_err();
    assert_eq!(error, format!("Reject 0: `{ENTRIES}` answers 500: boom"));
    assert!(storage.alerts(json!({})).unwrap().is_empty());
}

#[test]
fn a_part_with_logs_that_fails_is_an_error_and_ends_no_alert() {
    let mut documents = array::with_faults();
    log(&mut documents, 7, fan("FanFailed", 5), false);
    let entry = json!({ "@odata.id": format!("{ENTRIES}/7") });
    documents.get_mut(ENTRIES).unwrap()["Members"] = json!([entry]);
    let service = MockService::start(documents);
    let managers = "/redfish/v1/Managers";
    let logs = format!("{managers}/M1/LogServices");
    for (path, status) in [
        (managers.to_owned(), 500),
        (format!("{managers}/M1"), 403),
        (logs.clone(), 500),
        (format!("{logs}/Log"), 500),
        (format!("{ENTRIES}/7"), 500),
        ("/redfish/v1/Chassis/Shelf1".to_owned(), 500),
    ] {
        let mut storage = TestedStorage::open(&service, json!({"events": "false"}));
        let failing = TestResponse::new(status).body("boom");
        service.state().next.insert(path.clone(), vec![failing]);
        let error = storage.alerts(json!({})).unwrap_err();
        let expected = format!("Reject 0: `{path}` answers {status}: boom");
        assert_eq!(error, expected);
        assert_eq!(names(&storage.alerts(json!({})).unwrap()), ["FanFailed"]);
    }
    // What the service does not have is no fault.
    service.state().documents.remove(managers);
    let mut storage = TestedStorage::open(&service, json!({"events": "false"}));
    assert!(storage.alerts(json!({})).unwrap().is_empty());
}

#[test]
fn a_registry_and_events_that_could_not_be_read_are_tried_again() {
    let mut documents = array::with_faults();
    log(&mut documents, 7, fan("FanFailed", 5), false);
    let service = MockService::start(documents);
    let failing = || vec![TestResponse::new(500)];
    for path in [
        "/redfish/v1/EventService",
        "/redfish/v1/Registries/AcmeStorage.json",
    ] {
        service.state().next.insert(path.to_owned(), failing());
    }
    let mut storage = TestedStorage::open(&service, json!({}));
    let alerts = storage.alerts(json!({})).unwrap();
    assert_eq!(alerts[0]["severity"], "Warning");
    assert!(!service.paths().iter().any(|path| path == EVENTS));
    let alerts = storage.alerts(json!({})).unwrap();
    assert_eq!(alerts[0]["severity"], "Critical");
    wait_for("the stream", || {
        service
            .paths()
            .iter()
            .any(|path| path == EVENTS)
            .then_some(())
    });
}

#[test]
fn faults_that_differ_in_their_arguments_or_texts_are_several_alerts() {
    let entry = |text: &str, arguments: &[&str], name: &str| {
        json!({
            "Created": ago(5), "MessageId": format!("Acme.1.0.{name}"), "Message": text,
            "MessageArgs": arguments, "Severity": "Critical",
        })
    };
    let mut documents = array::with_faults();
    log(
        &mut documents,
        1,
        entry("Drive 1 failed", &[], "Drive"),
        false,
    );
    log(
        &mut documents,
        2,
        entry("Drive 2 failed", &[], "Drive"),
        false,
    );
    log(
        &mut documents,
        3,
        entry("Disk 5 failed", &["5"], "Disk"),
        false,
    );
    log(
        &mut documents,
        4,
        entry("Disk 6 failed", &["6"], "Disk"),
        false,
    );
    let service = MockService::start(documents);
    service.state().page = 50;
    let mut storage = TestedStorage::open(&service, json!({"events": "false"}));
    let mut texts = || {
        let alerts = storage.alerts(json!({})).unwrap();
        let texts = alerts
            .iter()
            .map(|alert| alert["description"].as_str().unwrap());
        texts.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        texts(),
        [
            "Disk 5 failed",
            "Disk 6 failed",
            "Drive 1 failed",
            "Drive 2 failed"
        ]
    );
    let mut end = entry("Disk 5 works", &["5"], "Disk");
    end["Severity"] = json!("OK");
    log(&mut service.state().documents, 5, end, false);
    let resolved = json!(true);
    service.state().documents.get_mut(ENTRIES).unwrap()["Members"][1]["Resolved"] = resolved;
    assert_eq!(texts(), ["Disk 6 failed", "Drive 1 failed"]);
}

#[test]
fn an_alert_is_resolved_where_the_service_lets_users_do_it() {
    let mut documents = array::with_faults();
    let mut entry = fan("FanFailed", 5);
    entry["Resolved"] = json!(false);
    log(&mut documents, 7, entry, false);
    let service = MockService::start(documents);
    let mut storage = TestedStorage::open(&service, json!({"events": "false"}));
    let number = storage.alerts(json!({})).unwrap()[0]["sequence_number"].clone();
    let number = number.as_str().unwrap();
    storage.clear(number).unwrap();
    let path = format!("{ENTRIES}/7");
    assert_eq!(service.state().documents[&path]["Resolved"], true);
    service
        .state()
        .documents
        .get_mut(&path)
        .unwrap()
        .as_object_mut()
        .unwrap()
        .remove("Resolved");
    let error = storage.clear(number).unwrap_err();
    assert!(
        error.contains("does not let users resolve the alert"),
        "{error}"
    );
    let error = storage.clear("Systems/1").unwrap_err();
    assert_eq!(
        error,
        "Reject 0: no alert has the sequence number `Systems/1`"
    );
}

#[test]
fn events_are_alerts_of_the_next_call_and_the_stream_is_opened_again() {
    let service = MockService::start(array::with_faults());
    let (second, pieces) = mpsc::channel();
    service.state().streams.push(pieces);
    let (first, pieces) = mpsc::channel();
    service.state().streams.push(pieces);
    let mut storage = TestedStorage::open(&service, json!({}));
    assert!(storage.alerts(json!({})).unwrap().is_empty());
    first.send(b"data: no JSON\n\n".to_vec()).unwrap();
    first
        .send(event("ResourceStatusChangedWarning", "Warning", 41))
        .unwrap();
    let alert = wait_for("the alert of the event", || {
        storage.alerts(json!({})).unwrap().pop()
    });
    assert_eq!(alert["sequence_number"], "event/41");
    assert_eq!(alert["location"], "Storage/A1/Volumes/V1");
    assert_eq!(
        (&alert["severity"], &alert["resource_type"]),
        (&json!("Warning"), &json!("Volume"))
    );
    assert_eq!(storage.alerts(json!({})).unwrap().len(), 1, "it lasts");
    let error = storage.clear("event/41").unwrap_err();
    assert!(error.contains("event without a log entry"), "{error}");

    drop(first);
    second
        .send(event("ResourceStatusChangedOK", "OK", 42))
        .unwrap();
    wait_for("the end of the alert", || {
        storage.alerts(json!({})).unwrap().is_empty().then_some(())
    });
    let requests = service.requests();
    let streams: Vec<&str> = requests
        .iter()
        .filter(|request| request.path == EVENTS)
        .map(|request| request.header("last-event-id"))
        .collect();
    assert_eq!(streams[..2], ["", "41"]);
}

#[test]
fn an_event_that_is_also_in_the_log_is_one_alert_and_ends_with_its_entry() {
    let service = MockService::start(array::with_faults());
    let (events, pieces) = mpsc::channel();
    service.state().streams.push(pieces);
    let mut storage = TestedStorage::open(&service, json!({}));
    storage.alerts(json!({})).unwrap();
    events
        .send(event("ResourceStatusChangedCritical", "Critical", 7))
        .unwrap();
    wait_for("the event", || storage.alerts(json!({})).unwrap().pop());
    let entry = json!({
        "Created": ago(0), "EventId": "7", "Severity": "Critical",
        "MessageId": "ResourceEvent.1.3.ResourceStatusChangedCritical",
        "Links": {"OriginOfCondition": {"@odata.id": array::VOLUME}},
    });
    log(&mut service.state().documents, 1, entry, false);
    let alerts = storage.alerts(json!({})).unwrap();
    assert_eq!(alerts.len(), 1);
    assert_eq!(
        alerts[0]["sequence_number"],
        "Managers/M1/LogServices/Log/Entries/1"
    );
    service.state().documents.get_mut(ENTRIES).unwrap()["Members"] = json!([]);
    assert!(storage.alerts(json!({})).unwrap().is_empty());
}
