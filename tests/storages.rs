//! Storages of a running host: registered, collected, configured, removed, and kept across a restart.

#![expect(clippy::expect_used, reason = "a test says by a panic that it failed")]

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt, path::Path};

use delfin_tests::{CommandOutput, FILES, Host, Setup};
use serde_json::{Value, json};

/// Id of a storage that the configuration declares.
const DECLARED: &str = "00000000-0000-0000-0000-000000000007";

const PASSWORD: &str = "correct-horse-battery-staple";

/// A fake storage of a few series that remembers what it measured.
fn storage(port: u16) -> Value {
    json!({
        "vendor": "fake_storage",
        "model": "fake_driver",
        "rest": {"host": "192.0.2.7", "port": port, "username": "admin", "password": PASSWORD},
        "extra_attributes": {
            "storage_pools": "0", "volumes": "2", "disks": "0", "is_historic": "true"
        }
    })
}

fn registered(host: &Host, port: u16) -> String {
    let (status, answer) = host.send("POST", "/v1/storages", Some(&storage(port)));
    assert_eq!(status, 201, "{answer}");
    answer["id"].as_str().expect("an id").to_owned()
}

fn set_polling(host: &Host, id: &str, perf_collection: bool) {
    let body = json!({"array_polling": {
        "perf_collection": perf_collection, "interval": 1, "is_historic": true
    }});
    let path = format!("/v1/storages/{id}/metrics-config");
    assert_eq!(host.send("PUT", &path, Some(&body)), (200, body));
}

/// The times of the points in the file of one series of a storage.
fn times(setup: &Setup, id: &str) -> BTreeSet<i64> {
    let mut times = BTreeSet::new();
    for series in setup.json_lines("performance.jsonl") {
        let labels = &series["labels"];
        let is_measured = series["name"] == "iops" && labels["resource_id"] == "volume_1";
        if labels["storage_id"] == id && is_measured {
            let values = series["values"].as_object().expect("values").keys();
            times.extend(values.map(|time| time.parse::<i64>().expect("a time")));
        }
    }
    times
}

/// The names of the alerts of a storage in the file.
fn alerts(setup: &Setup, id: &str) -> Vec<String> {
    let alerts = setup.json_lines("alerts.jsonl").into_iter();
    let of_storage = alerts.filter(|alert| alert["storage_id"] == id);
    of_storage
        .filter_map(|alert| alert["alert_name"].as_str().map(str::to_owned))
        .collect()
}

fn wait_for_points(setup: &Setup, host: &Host, id: &str, more: usize) {
    let before = times(setup, id).len();
    host.wait_for("points in the file", || {
        (times(setup, id).len() >= before + more).then_some(())
    });
}

/// The latest series of a name and a resource of a storage: its value and labels.
fn latest(setup: &Setup, id: &str, name: &str, resource: &str) -> Option<(Value, Value)> {
    let of_resource = |series: &Value| {
        let labels = &series["labels"];
        series["name"] == name && labels["storage_id"] == id && labels["resource_id"] == resource
    };
    let series = setup.json_lines("performance.jsonl");
    let series = series.into_iter().rev().find(of_resource)?;
    let value = series["values"].as_object()?.values().next()?.clone();
    Some((value, series["labels"].clone()))
}

/// Waits until the latest such series has a site.
fn wait_for_site(setup: &Setup, host: &Host, id: &str, name: &str, site: &str) -> Value {
    host.wait_for("a series with the site", || {
        let (_, labels) = latest(setup, id, name, "volume_1")?;
        (labels["site"] == site).then_some(labels)
    })
}

#[test]
fn what_a_storage_lists_becomes_series_and_its_labels_follow_a_reload() {
    let setup = Setup::new(&["file"], FILES);
    fs::create_dir(setup.path("conf.d")).expect("a folder");
    let declare = |site: &str| {
        let text = format!(
            "[[storage]]
             vendor = \"fake_storage\"
             model = \"fake_driver\"
             name = \"declared\"
             id = \"{DECLARED}\"
             options = {{ volumes = 2, storage_pools = 1, disks = 1 }}
             performance.interval = \"200ms\"
             alerts.interval = \"200ms\"
             labels = {{ site = \"{site}\" }}"
        );
        setup.write("conf.d/10-declared.toml", &text);
    };
    declare("hk");
    let host = setup.start();
    let find = |name: &str, resource: &str| {
        host.wait_for(name, || latest(&setup, DECLARED, name, resource))
    };
    let (status, labels) = find("status", "disk_0");
    assert_eq!(status.as_f64(), Some(0.0));
    assert_eq!(
        (&labels["unit"], &labels["site"]),
        (&json!("1"), &json!("hk"))
    );
    let (total, labels) = find("totalCapacity", "storagePool_0");
    assert!(total.as_f64() > Some(0.0), "{total}");
    assert_eq!(
        (&labels["unit"], &labels["resource_name"], &labels["name"]),
        (&json!("B"), &json!("storagePool_0"), &json!("declared"))
    );
    let (one, labels) = find("info", "volume_1");
    assert_eq!(
        (one.as_f64(), &labels["pool_name"], &labels["wwn"]),
        (Some(1.0), &json!("storagePool_0"), &json!("fake_wwn_1"))
    );
    find("usedCapacity", DECLARED);

    // Another label is no other storage.
    declare("sz");
    let reloaded = ask(&setup, &host, &["reload"]).expect_exit(0);
    assert!(!reloaded.stdout.contains("restart"), "{reloaded:?}");
    let labels = wait_for_site(&setup, &host, DECLARED, "iops", "sz");
    assert_eq!(labels["storage_id"], DECLARED);
    host.wait_for("an alert with the site", || {
        let mut alerts = setup.json_lines("alerts.jsonl").into_iter();
        alerts.find(|alert| alert["storage_id"] == DECLARED && alert["site"] == "sz")
    });

    // Files that contradict each other are refused.
    setup.write("conf.d/20-api.toml", "[api]\nlisten = \"127.0.0.1:0\"\n");
    let checked = setup.run(&["check"]).expect_exit(3);
    let conflict = "20-api.toml:2: api.listen: is set in `";
    assert!(checked.stderr.contains(conflict), "{checked:?}");
    assert!(checked.stderr.contains("delfin.conf:"), "{checked:?}");
    fs::remove_file(setup.path("conf.d/20-api.toml")).expect("removed");

    let id = registered(&host, 1);
    set_polling(&host, &id, true);
    let refused = ask(&setup, &host, &["storages", "labels", &id, "unit=x"]).expect_exit(1);
    assert!(refused.stderr.contains("`unit` is a label"), "{refused:?}");
    let labelled = ask(&setup, &host, &["storages", "labels", &id, "site=ny"]).expect_exit(0);
    assert!(labelled.stdout.contains("1 label"), "{labelled:?}");
    wait_for_site(&setup, &host, &id, "iops", "ny");
    drop(host.stop());
    let host = setup.start();
    let shown = ask(&setup, &host, &["storages", "labels", &id]).expect_exit(0);
    assert!(shown.stdout.contains("ny"), "{shown:?}");
}

/// The content of every file below the folder.
fn contents(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            contents(&path, found);
        } else {
            let name = path.display().to_string();
            found.push((name, fs::read(&path).unwrap_or_default()));
        }
    }
}

#[test]
fn a_registered_storage_is_collected_as_configured_until_it_is_removed() {
    let setup = Setup::new(&["file"], FILES);
    let host = setup.start();
    let id = registered(&host, 1);
    set_polling(&host, &id, true);
    wait_for_points(&setup, &host, &id, 3);

    set_polling(&host, &id, false);
    let other = registered(&host, 2);
    set_polling(&host, &other, true);
    // Earlier points have arrived once two later ones have.
    wait_for_points(&setup, &host, &other, 2);
    let stopped = times(&setup, &id).len();
    wait_for_points(&setup, &host, &other, 3);
    assert_eq!(times(&setup, &id).len(), stopped);

    set_polling(&host, &id, true);
    wait_for_points(&setup, &host, &id, 1);
    let (status, _) = host.send("DELETE", &format!("/v1/storages/{id}"), None);
    assert_eq!(status, 202);
    wait_for_points(&setup, &host, &other, 2);
    let forgotten = times(&setup, &id).len();
    wait_for_points(&setup, &host, &other, 3);
    assert_eq!(times(&setup, &id).len(), forgotten);
    let (_, list) = host.get("/v1/storages");
    let list = list["storages"].as_array().expect("storages");
    assert_eq!(list.len(), 1, "{list:?}");
    assert_eq!(list[0]["id"], other.as_str());
}

#[test]
fn a_restart_keeps_storages_and_collects_missed_windows_and_no_password_is_readable() {
    let setup = Setup::new(&["file"], FILES);
    let host = setup.start();
    let id = registered(&host, 1);
    set_polling(&host, &id, true);
    wait_for_points(&setup, &host, &id, 2);
    let (_, shown) = host.get(&format!("/v1/storages/{id}"));
    let (_, access) = host.get(&format!("/v1/storages/{id}/access-info"));
    assert_eq!(access["rest"]["username"], "admin");
    // The host does not know which settings of a driver are secret.
    assert_eq!(access["extra_attributes"]["volumes"], "***");
    let (status, log) = host.stop();
    assert!(status.success(), "{log}");
    let before = times(&setup, &id);

    let host = setup.start();
    assert_eq!(
        host.get(&format!("/v1/storages/{id}")).1["serial_number"],
        shown["serial_number"]
    );
    wait_for_points(&setup, &host, &id, 2);
    // A window starts at the end of the one before, and a point has the time of its start. So the first
    // point after the restart is not later than the end of the last window before it.
    let after: BTreeSet<i64> = times(&setup, &id).difference(&before).copied().collect();
    let (last, next) = (
        before.last().expect("a time"),
        after.first().expect("a time"),
    );
    assert!(next - last < 1_900, "{before:?} {after:?}");
    let answers: Vec<String> = [
        "",
        "/access-info",
        "/metrics-config",
        "/alerts",
        "/capabilities",
    ]
    .iter()
    .map(|part| host.text(&format!("/v1/storages/{id}{part}")))
    .chain(["/v1/access-infos", "/v1/storages", "/metrics"].map(|path| host.text(path)))
    .collect();
    let (_, later_log) = host.stop();
    for text in answers.iter().chain([&log, &later_log]) {
        assert!(!text.contains(PASSWORD), "{text}");
    }
    let mut files = Vec::new();
    contents(&setup.path("state"), &mut files);
    assert!(files.iter().any(|(name, _)| name.ends_with("inventory.db")));
    for (name, bytes) in files {
        let found = bytes
            .windows(PASSWORD.len())
            .any(|part| part == PASSWORD.as_bytes());
        assert!(!found, "{name}");
    }
}

#[test]
fn a_sync_with_invalid_times_delivers_the_four_alerts() {
    let setup = Setup::new(&["file"], FILES);
    let host = setup.start();
    let id = registered(&host, 1);
    // The schedule syncs at once, and again after a minute.
    host.wait_for("the first four", || {
        (alerts(&setup, &id).len() == 4).then_some(())
    });
    let body = json!({"begin_time": 13_445_566, "end_time": 99_999_999});
    let path = format!("/v1/storages/{id}/alerts/sync");
    assert_eq!(host.send("POST", &path, Some(&body)), (200, Value::Null));
    let all = host.wait_for("four more", || {
        Some(alerts(&setup, &id)).filter(|alerts| alerts.len() == 8)
    });
    let names: BTreeSet<String> = all.into_iter().collect();
    assert_eq!(names.len(), 4, "{names:?}");
    let (_, live) = host.get(&format!("/v1/storages/{id}/alerts"));
    assert_eq!(live["alerts"].as_array().map(Vec::len), Some(4), "{live}");
    assert_eq!(
        live["alerts"][0]["serial_number"],
        host.get(&format!("/v1/storages/{id}")).1["serial_number"]
    );
}

fn ask(setup: &Setup, host: &Host, args: &[&str]) -> CommandOutput {
    setup.run(&[args, &["--host", host.url()]].concat())
}

#[test]
fn the_command_line_adds_lists_and_removes_storages() {
    let setup = Setup::new(&["file"], FILES);
    let host = setup.start();
    setup.write("password", &format!("{PASSWORD}\n"));
    let file = setup.path("password").display().to_string();
    let add = [
        "storages",
        "add",
        "fake_storage",
        "fake_driver",
        "--address",
        "192.0.2.7",
        "--port",
        "1",
        "--username",
        "admin",
        "--password-file",
        &file,
        "--attribute",
        "volumes=0",
        "--json",
    ];
    let added = ask(&setup, &host, &add).expect_exit(0).json();
    let id = added["id"].as_str().expect("an id");
    let again = ask(&setup, &host, &add).expect_exit(1);
    assert!(
        again.stderr.contains("Storage already exists."),
        "{again:?}"
    );
    let list = ask(&setup, &host, &["storages", "list"]).expect_exit(0);
    assert!(
        list.stdout.contains(id) && list.stdout.contains("fake_model"),
        "{list:?}"
    );
    let removed = ask(&setup, &host, &["storages", "remove", id]).expect_exit(0);
    assert!(removed.stdout.contains(id), "{removed:?}");
    let list = ask(&setup, &host, &["storages", "list", "--json"])
        .expect_exit(0)
        .json();
    assert_eq!(list, json!({"storages": []}));
    let gone = ask(&setup, &host, &["storages", "remove", id]).expect_exit(1);
    assert!(gone.stderr.contains("could not be found"), "{gone:?}");
}

#[test]
fn an_inventory_that_cannot_be_opened_stops_only_its_storages_until_it_is_repaired() {
    let declared = format!(
        "{FILES}\n[[storage]]\nvendor = \"fake_storage\"\nmodel = \"fake_driver\"\nid = \"{DECLARED}\"\n\
         performance.interval = \"200ms\"\noptions = {{ storage_pools = \"0\", volumes = \"2\", disks = \"0\" }}\n"
    );
    let setup = Setup::new(&["file"], &declared);
    let host = setup.start();
    let id = registered(&host, 1);
    set_polling(&host, &id, true);
    wait_for_active(&host, &id);
    drop(host.stop());
    let (key, database) = (
        setup.path("state/inventory.key"),
        setup.path("state/inventory.db"),
    );
    let lost = fs::read(&key).expect("the key");
    fs::remove_file(&key).expect("removed");
    let before = fs::read(&database).expect("the inventory");

    let host = setup.start();
    wait_for_points(&setup, &host, DECLARED, 2);
    let unknown = "the registered storages are unknown, because `inventory.key` is missing";
    let (status, ready) = host.get("/readyz");
    assert_eq!((status, &ready["reasons"]), (503, &json!([unknown])));
    let (status, answer) = host.get(&format!("/v1/storages/{id}"));
    assert_eq!(status, 503, "{answer}");
    let (status, answer) = host.send("POST", "/v1/storages", Some(&storage(2)));
    assert_eq!(status, 503, "{answer}");
    let list = ask(&setup, &host, &["storages", "list"]).expect_exit(1);
    assert!(list.stderr.contains(unknown), "{list:?}");
    // The storage is unknown, which is no reason to end its alerts.
    wait_for_active(&host, DECLARED);
    wait_for_active(&host, &id);
    let (_, log) = host.stop();
    assert!(
        log.contains("ERROR")
            && log.contains("inventory.key` is missing")
            && log.contains("(restore it; to do without it, move"),
        "{log}"
    );
    assert!(!log.contains("its alerts have ended"), "{log}");
    assert!(!key.exists());
    assert!(fs::read(&database).expect("the inventory") == before);

    // A reload while the key is missing changes nothing, and says so.
    let host = setup.start();
    let still = ask(&setup, &host, &["reload"]).expect_exit(0);
    assert!(still.stderr.contains(unknown), "{still:?}");
    assert_eq!(host.get("/readyz").0, 503);
    fs::write(&key, lost).expect("restored");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("a mode");
    let repaired = ask(&setup, &host, &["reload"]).expect_exit(0);
    assert!(!repaired.stderr.contains("unknown"), "{repaired:?}");
    assert_eq!(host.get("/readyz").0, 200);
    wait_for_points(&setup, &host, &id, 1);
}

#[test]
fn an_inventory_that_is_replaced_while_the_host_runs_acknowledges_no_change_until_a_reload() {
    let setup = Setup::new(&["file"], FILES);
    let host = setup.start();
    let kept = registered(&host, 1);
    let (folder, backup) = (setup.path("state"), setup.path("backup"));
    drop(host.stop());
    fs::create_dir(&backup).expect("a folder");
    let files = ["inventory.db", "inventory.db-wal"];
    let copy = |from: &Path, to: &Path| {
        // After an orderly stop there is no log.
        for file in files.iter().filter(|file| from.join(file).exists()) {
            fs::copy(from.join(file), to.join(file)).expect("a copy");
        }
    };
    copy(&folder, &backup);

    let host = setup.start();
    let later = registered(&host, 2);
    wait_for_active(&host, &later);
    for file in files {
        fs::remove_file(folder.join(file)).expect("removed");
    }
    let removed = "`inventory.db` was removed or replaced";
    let (status, answer) = host.send("POST", "/v1/storages", Some(&storage(3)));
    assert_eq!(status, 503, "{answer}");
    let (status, ready) = host.get("/readyz");
    assert_eq!(status, 503);
    assert!(ready.to_string().contains(removed), "{ready}");
    let missing = ask(&setup, &host, &["reload"]).expect_exit(0);
    assert!(missing.stderr.contains(removed), "{missing:?}");
    assert!(!folder.join("inventory.db").exists());

    copy(&backup, &folder);
    let reloaded = ask(&setup, &host, &["reload"]).expect_exit(0);
    assert!(!reloaded.stderr.contains(removed), "{reloaded:?}");
    assert_eq!(host.get("/readyz").0, 200);
    let (_, list) = host.get("/v1/storages");
    let ids: Vec<_> = list["storages"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|storage| &storage["id"])
        .collect();
    assert_eq!(ids, [kept.as_str()]);
    // The storage that the backup does not have is removed, and its alerts end.
    host.wait_for("the end of its alerts", || {
        let (_, list) = host.get(&format!("/v1/alerts/active?storage_id={later}"));
        list["alerts"]
            .as_array()
            .is_some_and(Vec::is_empty)
            .then_some(())
    });
    registered(&host, 3);
    let (status, log) = host.stop();
    assert!(status.success(), "{log}");
    assert!(
        log.contains("ERROR") && log.contains("was removed or replaced while the host ran"),
        "{log}"
    );
}

fn wait_for_active(host: &Host, id: &str) {
    host.wait_for("active alerts", || {
        let (_, list) = host.get(&format!("/v1/alerts/active?storage_id={id}"));
        let alerts = list["alerts"].as_array().map_or(0, Vec::len);
        (alerts == 4).then_some(())
    });
}
