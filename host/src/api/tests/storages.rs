//! Calls on storages. `tests/recorded.rs` compares their answers with those of Delfin.

use serde_json::{Value, json};

use super::host::{Answer, Host, PortDriver, declared};
use crate::batch::Seq;

const JSON: [(&str, &str); 1] = [("Content-Type", "application/json")];

/// A storage as the exporter guide registers one.
const FAKE: &str = r#"{"vendor": "fake_storage", "model": "fake_driver",
    "rest": {"host": "10.0.0.1", "port": 8078, "username": "user-one", "password": "hunter2-long"}}"#;

fn without_secrets(answer: &Answer, name: &str) {
    for secret in ["hunter2", "\"pass\"", "newpass", "\"password\""] {
        assert!(!answer.body.contains(secret), "{name}: {}", answer.body);
    }
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
fn a_storage_that_hangs_delays_no_other_and_is_registered_once() {
    const HANGING: &str = r#"{"vendor": "fake_storage", "model": "port_driver",
        "rest": {"host": "10.0.0.1", "port": 8871, "username": "user-one", "password": "hunter2-long"}}"#;
    let host = Host::start();
    let gate = PortDriver::gate();
    let answers = std::thread::scope(|scope| {
        let hanging = [(), ()].map(|()| scope.spawn(|| host.post("/v1/storages", HANGING)));
        while PortDriver::times_asked("8871") < hanging.len() {
            std::thread::yield_now();
        }
        registered(&host);
        drop(gate);
        hanging.map(|one| one.join().unwrap())
    });
    let [first, second] = &answers;
    let (added, refused) = if first.status == 201 {
        (first, second)
    } else {
        (second, first)
    };
    assert_eq!((added.status, refused.status), (201, 400), "{answers:?}");
    assert_eq!(refused.json()["error_code"], "StorageAlreadyExists");
    let all = host.get("/v1/storages").json();
    assert_eq!(all["storages"].as_array().unwrap().len(), 2);
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
    let name = host.get(&format!("/v1/storages/{id}")).json()["name"].clone();
    let twin = format!(
        "Storage already exists. `{id}`, `{}`, has the same access data (keep it, or remove it \
         first: `delfin-host storages remove {id}`)",
        name.as_str().unwrap()
    );
    host.post("/v1/storages", &taken)
        .is_error(400, "StorageAlreadyExists", &twin);
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
