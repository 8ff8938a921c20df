//! Replays recorded answers of Delfin, and lists the deviations.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::host::{Answer, Host, PortDriver, declared};
use crate::batch::Seq;

/// Delfin's calls, each file with its calls in their order.
const CASES: [&str; 2] = [
    include_str!("../../../tests/fixtures/delfin/storages.jsonl"),
    include_str!("../../../tests/fixtures/delfin/resources.jsonl"),
];

const JSON: [(&str, &str); 1] = [("Content-Type", "application/json")];

/// A storage as the exporter guide registers one.
const FAKE: &str = r#"{"vendor": "fake_storage", "model": "fake_driver",
    "rest": {"host": "10.0.0.1", "port": 8078, "username": "user-one", "password": "hunter2-long"}}"#;

/// The page that lists the cases in which status or error code deviate, with the reason.
const DEVIATIONS: &str = include_str!("../../../../docs/src/operator/delfin-differences.md");

/// Fields whose type deviates.
const DEVIATING_FIELDS: &[&str] = &[
    "updated_at",       // nothing but a change of the storage changes it
    "sequence_number",  // a text for every driver
    "occur_time",       // milliseconds
    "storage_name",     // what was given, if something was
    "extra_attributes", // any of them may be secret
];

fn without_secrets(answer: &Answer, name: &str) {
    for secret in ["hunter2", "\"pass\"", "newpass", "\"password\""] {
        assert!(!answer.body.contains(secret), "{name}: {}", answer.body);
    }
}

/// Both have the same members, of the same types, at every depth.
fn same_shape(golden: &Value, ours: &Value, place: &str) {
    match (golden, ours) {
        // A way of access that is not used is empty, and which are used depends
        // on the deviations before.
        (Value::Object(golden), Value::Object(ours)) if golden.is_empty() || ours.is_empty() => {}
        (Value::Object(golden), Value::Object(ours)) => {
            let names = |object: &serde_json::Map<String, Value>| -> Vec<String> {
                object.keys().cloned().collect()
            };
            let (mut a, mut b) = (names(golden), names(ours));
            a.sort();
            b.sort();
            assert_eq!(a, b, "{place}");
            for (name, value) in golden {
                if !DEVIATING_FIELDS.contains(&name.as_str()) {
                    same_shape(value, &ours[name], &format!("{place}.{name}"));
                }
            }
        }
        (Value::Array(golden), Value::Array(ours)) => {
            for (golden, ours) in golden.iter().zip(ours) {
                same_shape(golden, ours, place);
            }
        }
        (golden, ours) => assert_eq!(
            std::mem::discriminant(golden),
            std::mem::discriminant(ours),
            "{place}: {golden} and {ours}"
        ),
    }
}

/// The id of a storage or resource here, by its id in the recording.
type Ids = BTreeMap<String, String>;

fn learn_ids(golden: &Value, ours: &Value, ids: &mut Ids) {
    match (golden, ours) {
        (Value::Object(golden), Value::Object(ours)) => {
            if let (Some(Value::String(golden)), Some(Value::String(ours))) =
                (golden.get("id"), ours.get("id"))
            {
                ids.entry(golden.clone()).or_insert_with(|| ours.clone());
            }
            for (name, golden) in golden {
                learn_ids(golden, ours.get(name).unwrap_or(&Value::Null), ids);
            }
        }
        (Value::Array(golden), Value::Array(ours)) => {
            for (golden, ours) in golden.iter().zip(ours) {
                learn_ids(golden, ours, ids);
            }
        }
        _ => {}
    }
}

/// Status and error code of the cases that deviate, by the name of the case.
fn deviations() -> BTreeMap<&'static str, (u64, &'static str)> {
    let rows = DEVIATIONS.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, case, _, ours, _, _] = cells[..] else {
            panic!("a row has four columns: {row}")
        };
        let (status, code) = ours.split_once(' ').unwrap_or((ours, ""));
        (
            case.trim_matches('`'),
            (status.parse().unwrap(), code.trim_matches('`')),
        )
    })
    .collect()
}

/// Replays a case; says in what the answer differs.
fn replay(host: &Host, case: &Value, ids: &mut Ids) -> Option<String> {
    let name = case["name"].as_str().unwrap();
    let request = &case["request"];
    let mut path = request["path"].as_str().unwrap().to_owned();
    for (golden, ours) in ids.iter() {
        path = path.replace(golden, ours);
    }
    let headers: Vec<(&str, &str)> = request["headers"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
        .collect();
    let body = match (&request["body"], &request["body"]["__raw__"]) {
        (_, Value::String(raw)) => raw.clone(),
        (Value::Null, _) if headers.is_empty() => String::new(),
        (body, _) => body.to_string(),
    };
    let method = request["method"].as_str().unwrap();
    let answer = host.send(method, &path, &headers, body.as_bytes());
    without_secrets(&answer, name);
    let golden = &case["response"];
    let (mut status, mut code) = (golden["status"].as_u64().unwrap(), None);
    if status >= 400 {
        let said = golden["body"]["error_code"].as_str();
        code = Some(said.unwrap_or("NotFound").to_owned());
    }
    let deviation = deviations().get(name).copied();
    if let Some((other, other_code)) = deviation {
        if (status, code.as_deref()) == (other, Some(other_code)) {
            return Some(format!("{name} differs no more"));
        }
        (status, code) = (other, Some(other_code.to_owned()));
    }
    let said = match &answer.body {
        body if body.is_empty() => Value::Null,
        body => serde_json::from_str(body).unwrap(),
    };
    if u64::from(answer.status) != status {
        return Some(format!(
            "{name}: {} and not {status}: {said}",
            answer.status
        ));
    }
    match code.filter(|code| !code.is_empty()) {
        Some(code) if said["error_code"] != code.as_str() => {
            return Some(format!("{name}: not {code}: {said}"));
        }
        Some(_) => {}
        None if deviation.is_some() => {}
        None if golden["body"].is_null() => assert_eq!(answer.body, "", "{name}"),
        None => same_shape(&golden["body"], &said, name),
    }
    learn_ids(&golden["body"], &said, ids);
    if answer.status == 201 {
        synced(host, said["id"].as_str().unwrap());
    }
    None
}

#[test]
fn answers_equal_those_of_delfin_except_for_listed_deviations() {
    let cases = |text: &str| -> Vec<Value> {
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let [storages, resources] = CASES.map(cases);
    // The storages were recorded in two runs, each on a host without storages.
    let (late, early): (Vec<Value>, Vec<Value>) = storages
        .into_iter()
        .partition(|case| case["name"].as_str().unwrap().starts_with("x_"));
    let runs = [early, late, resources];
    let unknown = deviations()
        .into_keys()
        .filter(|name| runs.iter().flatten().all(|case| case["name"] != *name));
    let mut differences: Vec<String> = unknown.map(str::to_owned).collect();
    for run in &runs {
        let (host, mut ids) = (Host::start(), Ids::new());
        for case in run {
            differences.extend(replay(&host, case, &mut ids));
        }
    }
    assert_eq!(differences, [""; 0], "{}", differences.join("\n"));
}

fn registered(host: &Host) -> String {
    let answer = host.post("/v1/storages", FAKE);
    assert_eq!(answer.status, 201, "{}", answer.body);
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    synced(host, &id);
    id
}

#[test]
fn resources_come_with_the_registration_and_go_with_the_storage() {
    let host = Host::start();
    let id = registered(&host);
    let kinds = host.get(&format!("/v1/storages/{id}/resources")).json();
    let volumes = json!("volumes");
    let kinds = kinds["resources"].as_array().unwrap().clone();
    assert_eq!(kinds.len(), 15);
    let listed = kinds.iter().find(|one| one["kind"] == volumes).unwrap();
    assert_eq!(
        (&listed["count"], &listed["error"]),
        (&json!(1), &Value::Null)
    );
    assert!(listed["listed_at"].is_string());
    let found = host.get("/v1/volumes").json();
    host.post(&format!("/v1/storages/{id}/sync"), "");
    synced(&host, &id);
    assert_eq!(host.get("/v1/volumes").json(), found);
    host.send("DELETE", &format!("/v1/storages/{id}"), &[], b"");
    assert_eq!(host.get("/v1/volumes").json(), json!({"volumes": []}));
    let gone = format!("Storage {id} could not be found.");
    host.get(&format!("/v1/storages/{id}/resources"))
        .is_error(404, "StorageNotFound", &gone);
}

/// Waits for the end of a storage's sync.
fn synced(host: &Host, id: &str) {
    let path = format!("/v1/storages/{id}");
    while host.get(&path).json()["sync_status"] != "SYNCED" {
        std::thread::yield_now();
    }
}

#[test]
fn a_storage_is_registered_shown_and_deleted() {
    let host = Host::start();
    let id = registered(&host);
    let path = format!("/v1/storages/{id}");
    let shown = host.get(&path).json();
    assert_eq!(shown["name"], "fake_driver");
    assert_eq!(shown["vendor"], "fake_vendor");
    assert_eq!(shown["sync_status"], "SYNCED");
    assert_eq!(host.get("/v1/storages").json()["storages"], json!([shown]));
    assert_eq!(host.send("DELETE", &path, &[], b"").status, 202);
    let gone = format!("Storage {id} could not be found.");
    host.get(&path).is_error(404, "StorageNotFound", &gone);
    host.send("DELETE", &path, &[], b"")
        .is_error(404, "StorageNotFound", &gone);
    assert_eq!(host.get("/v1/storages").json(), json!({"storages": []}));
    registered(&host);
}

#[test]
fn the_collection_interval_is_set_and_shown() {
    let host = Host::start();
    let path = format!("/v1/storages/{}/metrics-config", registered(&host));
    let polling = |perf, interval, historic| {
        json!({"array_polling": {
            "perf_collection": perf, "interval": interval, "is_historic": historic
        }})
    };
    assert_eq!(host.get(&path).json(), polling(true, 60, false));
    let wanted = polling(false, 10, true);
    let answer = host.send("PUT", &path, &JSON, wanted.to_string().as_bytes());
    assert_eq!((answer.status, answer.json()), (200, wanted.clone()));
    assert_eq!(host.get(&path).json(), wanted);
    for wrong in [
        json!({}),
        json!({"array_polling": {}}),
        json!({"array_polling": {"perf_collection": true, "interval": 0, "is_historic": true}}),
        json!({"array_polling": {"perf_collection": 1, "interval": 5, "is_historic": true}}),
        json!({"array_polling": {"perf_collection": true, "interval": 5}}),
        json!({"array_polling": {"perf_collection": true, "interval": 5, "is_historic": true, "more": 1}}),
    ] {
        let answer = host.send("PUT", &path, &JSON, wrong.to_string().as_bytes());
        assert_eq!(answer.status, 400, "{wrong}");
        assert_eq!(answer.json()["error_code"], "InvalidInput");
    }
    assert_eq!(host.get(&path).json(), wanted);
}

#[test]
fn a_sync_is_answered_when_its_alerts_are_durable_even_with_an_empty_range() {
    let host = Host::start();
    let id = registered(&host);
    let journal = &host.journals.alerts;
    let sync = |body: &str| {
        let before = *journal.head().borrow();
        let answer = host.post(&format!("/v1/storages/{id}/alerts/sync"), body);
        assert_eq!((answer.status, answer.body.as_str()), (200, ""));
        // The schedule lists alerts on its own as well, and is complete then.
        let head = *journal.head().borrow();
        let records = (before.0 + 1..=head.0).map(|seq| journal.read(Seq(seq)).unwrap().unwrap());
        let records: Vec<_> = records.collect();
        assert!(records.iter().all(|record| record.header.items == 4));
        records
            .iter()
            .filter(|record| !record.header.complete)
            .count()
    };
    assert_eq!(
        sync(r#"{"begin_time": 13445566900, "end_time": 99999999999}"#),
        1
    );
    assert_eq!(sync("{}"), 0);
}

#[test]
fn a_declared_storage_is_shown_and_cannot_be_changed() {
    let storage = declared();
    let path = format!("/v1/storages/{}", storage.id);
    let host = Host::with_storages(vec![storage.clone()]);
    assert_eq!(host.get(&path).json()["name"], "declared");
    let fixed = format!(
        "Storage {} is declared in the configuration file and can be changed there only.",
        storage.id
    );
    host.send("DELETE", &path, &[], b"")
        .is_error(409, "StorageIsDeclared", &fixed);
    let polling = json!({"array_polling": {
        "perf_collection": false, "interval": 10, "is_historic": false
    }});
    let config = format!("{path}/metrics-config");
    host.send("PUT", &config, &JSON, polling.to_string().as_bytes())
        .is_error(409, "StorageIsDeclared", &fixed);
    assert_eq!(host.get(&config).json()["array_polling"]["interval"], 3_600);
    assert_eq!(host.get(&format!("{path}/access-info")).status, 404);
}

#[test]
fn concurrent_registrations_of_one_storage_create_one() {
    let host = Host::start();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| host.post("/v1/storages", FAKE).status))
            .collect();
        threads.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1);
    assert_eq!(statuses.iter().filter(|status| **status == 400).count(), 7);
}

#[test]
fn a_wrong_driver_option_is_named() {
    let host = Host::start();
    let body = FAKE.replace(
        "\"rest\"",
        "\"extra_attributes\": {\"disks\": \"many\"}, \"rest\"",
    );
    host.post("/v1/storages", &body).is_error(
        400,
        "InvalidInput",
        "driver option `disks` is wrong: is not a number from 0 to 100000",
    );
}

#[test]
fn a_password_in_the_error_of_a_driver_is_redacted() {
    let host = Host::start();
    let answer = host.post(
        "/v1/storages",
        &FAKE.replace("fake_driver", "chatty_driver"),
    );
    answer.is_error(
        400,
        "InvalidUsernameOrPassword",
        "storage refused the driver: no login with \
         {\"host\":\"10.0.0.1\",\"password\":\"***\",\"port\":8078,\"username\":\"user-one\"} \
         (correct its access data)",
    );
}

#[test]
fn registered_storages_are_unknown_and_not_absent_without_an_inventory() {
    let storage = declared();
    let damaged = |folder: &std::path::Path| {
        std::fs::write(folder.join("inventory.db"), "not a database").unwrap();
    };
    let host = Host::with_state(vec![storage.clone()], damaged);
    let unknown = "the registered storages are unknown, because `inventory.db` is damaged";
    let text = format!("Service unavailable: {unknown}.");
    let other = format!("/v1/storages/{}", uuid::Uuid::from_u128(8));
    let parts = [
        "",
        "/access-info",
        "/metrics-config",
        "/alerts",
        "/capabilities",
    ];
    let of_other = parts.map(|part| format!("{other}{part}"));
    let lists = ["/v1/storages", "/v1/access-infos"].map(str::to_owned);
    for path in of_other.iter().chain(&lists) {
        let answer = host.get(path);
        answer.is_error(503, "ServiceUnavailable", &text);
        assert_eq!(answer.header("retry-after"), Some("5"));
    }
    let polling =
        r#"{"array_polling": {"perf_collection": true, "interval": 5, "is_historic": true}}"#;
    for answer in [
        host.post("/v1/storages", FAKE),
        host.send("DELETE", &other, &[], b""),
        host.send(
            "PUT",
            &format!("{other}/metrics-config"),
            &JSON,
            polling.as_bytes(),
        ),
        host.post(&format!("{other}/alerts/sync"), "{}"),
    ] {
        answer.is_error(503, "ServiceUnavailable", &text);
    }
    let shown = host.get(&format!("/v1/storages/{}", storage.id)).json();
    assert_eq!(shown["name"], "declared");
    let ready = host.get("/readyz");
    assert_eq!(ready.status, 503);
    assert_eq!(ready.json()["reasons"], json!([unknown]));
    let page = host.get("/metrics").body;
    assert!(
        page.contains("\ndelfin_host_inventory_available 0\n"),
        "{page}"
    );
}

#[test]
fn new_access_data_applies_and_keeps_the_id() {
    let host = Host::start();
    let id = registered(&host);
    let path = format!("/v1/storages/{id}/access-info");
    let put = |body: Value| host.send("PUT", &path, &JSON, body.to_string().as_bytes());
    let rest = |port| json!({"rest": {"host": "10.0.0.2", "port": port, "username": "new", "password": "hunter2-new"}});
    let changed = put(rest(9000));
    assert_eq!(changed.status, 200, "{}", changed.body);
    without_secrets(&changed, "change");
    let shown = host.get(&path).json();
    assert_eq!(shown, changed.json());
    assert_eq!(
        shown["rest"],
        json!({"host": "10.0.0.2", "port": 9000, "username": "new"})
    );
    assert_eq!(shown["storage_id"], id.as_str());
    assert!(shown["updated_at"].is_string());
    // The old address is free, and the new one is taken.
    let taken = FAKE.replace("10.0.0.1", "10.0.0.2").replace("8078", "9000");
    host.post("/v1/storages", &taken).is_error(
        400,
        "StorageAlreadyExists",
        "Storage already exists.",
    );
    put(json!({"extra_attributes": {"disks": "many"}})).is_error(
        400,
        "InvalidInput",
        "driver option `disks` is wrong: is not a number from 0 to 100000",
    );
    put(json!({"ssh": {"host": "10.0.0.2", "port": 22, "username": "u"}})).is_error(
        400,
        "InvalidInput",
        "Invalid input received. `ssh.password` is required",
    );
    assert_eq!(host.get(&path).json(), shown);
}

#[test]
fn access_data_that_leads_to_another_storage_is_refused() {
    let host = Host::start();
    let answer = host.post("/v1/storages", &FAKE.replace("fake_driver", "port_driver"));
    assert_eq!(answer.status, 201, "{}", answer.body);
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    synced(&host, &id);
    let path = format!("/v1/storages/{id}/access-info");
    let shown = host.get(&path).json();
    let other =
        json!({"rest": {"host": "10.0.0.1", "port": 9999, "username": "u", "password": "p"}});
    host.send("PUT", &path, &JSON, other.to_string().as_bytes())
        .is_error(
            400,
            "StorageSerialNumberMismatch",
            "Storage serial number mismatch. The access data leads to the storage `9999`.",
        );
    assert_eq!(host.get(&path).json(), shown);
}

#[test]
fn a_sync_shows_what_the_storage_reports_now_and_runs_once_at_a_time() {
    let host = Host::start();
    let answer = host.post("/v1/storages", &FAKE.replace("fake_driver", "port_driver"));
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    synced(&host, &id);
    let path = format!("/v1/storages/{id}");
    let shown = |field: &str| host.get(&path).json()[field].clone();
    let sync = format!("{path}/sync");
    let held = PortDriver::gate();
    let before = shown("firmware_version");
    assert_eq!(host.post(&sync, "").status, 202);
    assert_eq!(shown("sync_status"), "SYNCING");
    let refused = format!("Storage {id} is syncing now, please try again later.");
    host.post(&sync, "")
        .is_error(400, "StorageIsSyncing", &refused);
    assert_eq!(host.post("/v1/storages/sync", "").status, 202);
    drop(held);
    synced(&host, &id);
    assert_ne!(shown("firmware_version"), before);
}
