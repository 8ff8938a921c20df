//! Drivers of plugins: each storage has a process, which the host does not trust.

use std::fs;

use delfin_tests::{
    FILES, Host, Setup,
    plugin_folder::{example, has_python, test_plugin},
};
use serde_json::{Value, json};

const PASSWORD: &str = "correct-horse-battery-staple";

/// The storage that has limits of its own.
const LIMITED: &str = "5c1d3a52-7b0e-4d8a-9a35-2f6f1d2b8c10";

fn meter() -> Value {
    json!({
        "vendor": "acme",
        "model": "meter",
        "rest": {"host": "192.0.2.7", "port": 443, "username": "admin", "password": PASSWORD},
        "extra_attributes": {"series": "2"}
    })
}

fn register(host: &Host, storage: &Value) -> (u16, Value) {
    host.send("POST", "/v1/storages", Some(storage))
}

/// The alerts of a storage in a file, or its measurements: all drivers here measure the same.
fn rows(setup: &Setup, file: &str, is_of_storage: impl Fn(&Value) -> bool) -> Vec<Value> {
    let rows = setup.json_lines(file).into_iter();
    rows.filter(|row| row["labels"].is_null() || row["name"] == "iops")
        .filter(is_of_storage)
        .collect()
}

#[test]
fn a_storage_with_a_driver_of_a_plugin_is_registered_and_collected_from() {
    if !has_python() {
        return;
    }
    let setup = Setup::new(&["file"], FILES);
    let host = setup.start();
    let (status, answer) = register(&host, &meter());
    assert_eq!(status, 404, "{answer}");
    assert!(answer.to_string().contains("plugin_dirs"), "{answer}");

    // A reload finds the plugin.
    setup.install(&test_plugin("meter"), "meter.plugin");
    assert_eq!(host.send("POST", "/v1/reload", None).0, 200);
    let listed = setup.run(&["plugins", "list"]).stdout;
    assert!(listed.contains("Acme Meter"), "{listed}");

    let mut without_access = meter();
    without_access.as_object_mut().expect("an object")["rest"] = Value::Null;
    let (status, answer) = register(&host, &without_access);
    assert_eq!(status, 400, "{answer}");

    let (status, storage) = register(&host, &meter());
    assert_eq!(status, 201, "{storage}");
    assert_eq!(
        (&storage["serial_number"], &storage["total_capacity"]),
        (&json!("sn"), &json!(5))
    );
    let id = storage["id"].as_str().expect("an id");
    let series = host.wait_for("the first measurement", || {
        let found = rows(&setup, "performance.jsonl", |row| {
            row["labels"]["storage_id"] == id
        });
        (found.len() >= 2).then(|| found[0].clone())
    });
    let labels = &series["labels"];
    assert_eq!(series["name"], "iops");
    for (label, value) in [
        ("name", storage["name"].as_str().expect("a name")),
        ("serial_number", "sn"),
        ("resource_type", "volume"),
        ("resource_id", "v0"),
        ("resource_name", "volume 0"),
        ("type", "RAW"),
        ("unit", "IOPS"),
    ] {
        assert_eq!(labels[label], value, "{labels}");
    }
    let alert = host.wait_for("the alert", || {
        rows(&setup, "alerts.jsonl", |row| row["storage_id"] == id).pop()
    });
    assert_eq!(
        (&alert["sequence_number"], &alert["rack"]),
        (&json!("12"), &json!("r1"))
    );
    assert_eq!(
        (&alert["vendor"], &alert["serial_number"]),
        (&json!("acme"), &json!("sn"))
    );
    let (status, capabilities) = host.get(&format!("/v1/storages/{id}/capabilities"));
    assert_eq!(status, 200, "{capabilities}");
    assert!(capabilities.to_string().contains("iops"), "{capabilities}");

    check_resources(&host, id);

    let (status, log) = host.stop();
    assert!(status.success(), "{log}");
    assert!(!log.contains(PASSWORD), "{log}");
    assert!(!log.contains("the driver process"), "{log}");
}

fn check_resources(host: &Host, id: &str) {
    let path = format!("/v1/storages/{id}/resources");
    let kinds = host.wait_for("the resources", || {
        let kinds = host.get(&path).1["resources"].as_array()?.clone();
        // The kinds are asked for in this order.
        kinds
            .iter()
            .any(|one| one["kind"] == "disks")
            .then_some(kinds)
    });
    let shown: Vec<Value> = kinds
        .iter()
        .map(|one| json!([one["kind"], one["count"], one["error"]]))
        .collect();
    let error = "storage does not answer: no port answers";
    assert_eq!(
        Value::from(shown),
        json!([
            ["volumes", 3_000, null],
            ["ports", 0, error],
            ["disks", 1, null]
        ])
    );
    let disk = &host.get("/v1/disks").1["disks"][0];
    assert_eq!(
        json!([
            disk["native_disk_id"],
            disk["capacity"],
            disk["name"],
            disk["storage_id"]
        ]),
        json!(["7", 12, null, id])
    );
}

fn declared(vendor: &str, name: &str, model: &str) -> String {
    format!(
        r#"
[[storage]]
vendor = "{vendor}"
model = "{model}"
name = "{name}"
options = {{ mode = "{name}", rest = {{ host = "h", password = "{PASSWORD}" }} }}
performance.interval = "1s"
"#
    )
}

#[test]
fn drivers_that_hang_end_or_send_rubbish_delay_no_other_storage() {
    if !has_python() {
        return;
    }
    let storages = [
        ("good", "meter"),
        ("exit", "meter"),
        ("hang", "hasty"),
        ("bad", "meter"),
        ("much", "meter"),
        ("login", "meter"),
    ];
    let declared: String = storages
        .map(|(name, model)| declared("acme", name, model))
        .concat();
    let head = "plugin_dirs = [\"@/plugins\"]\nstate_dir = \"@/state\"\n";
    let limits = "[api]\nlisten = \"127.0.0.1:0\"\nmax_body_bytes = \"1MiB\"\n\
        max_decompressed_bytes = \"1MiB\"\n\
        [journal]\nmin_free_bytes = 0\n";
    let config = [head, FILES, &declared, limits].concat();
    let setup = Setup::new(&["file"], FILES).with_whole_config(&config);
    setup.install(&test_plugin("meter"), "meter.plugin");
    let checked = setup.run(&["check"]);
    let ok = "ok      storage hang (acme, hasty)";
    assert!(checked.stdout.contains(ok), "{checked:?}");
    let host = setup.start();
    for part in [
        "driver failed: the driver process ended with exit code 3",
        "driver failed: the driver process was ended: a call was past its deadline",
        "the body is not a valid Arrow stream: it is cut off",
        "storage gave an invalid answer: a payload has 2097152 bytes, at most 1048576 are allowed",
        "storage refused the driver: the password *** is wrong",
        "login with ***",
    ] {
        host.wait_for_log(part);
    }
    let is_good = |row: &Value| {
        row["labels"]["name"]
            .as_str()
            .is_some_and(|name| name == "good")
    };
    let before = rows(&setup, "performance.jsonl", is_good).len();
    host.wait_for("further measurements of the good storage", || {
        (rows(&setup, "performance.jsonl", is_good).len() > before + 1).then_some(())
    });
    assert_eq!(
        rows(&setup, "performance.jsonl", |row| !is_good(row)).len(),
        0
    );
    let (status, log) = host.stop();
    assert!(status.success(), "{log}");
    assert!(!log.contains(PASSWORD), "{log}");
}

/// A file that the example drivers read in place of a storage.
fn array(serial_number: &str) -> Value {
    json!({
        "name": "array-1",
        "serial_number": serial_number,
        "volumes": [{"id": "v1", "name": "volume 1", "iops": 17.0}],
        "alerts": [{"id": 7, "name": "Fan failed", "time_ms": 1_700_000_000_000_i64}]
    })
}

#[test]
fn the_example_drivers_in_rust_and_in_python_do_the_same() {
    let setup = Setup::new(&["file", "array"], FILES);
    let mut models = vec!["array_rust"];
    if has_python() {
        setup.install(&example("array"), "array.plugin");
        models.push("array_python");
    }
    let listed = setup.run(&["plugins", "list"]).stdout;
    let host = setup.start();
    for model in models {
        assert!(listed.contains(model), "{listed}");
        let file = setup.path(&format!("{model}.json"));
        fs::write(&file, array(model).to_string()).expect("the file");
        let storage = json!({
            "vendor": "example",
            "model": model,
            "rest": {"host": "192.0.2.7", "port": 443, "username": "admin", "password": PASSWORD},
            "extra_attributes": {"file": file}
        });
        let (status, storage) = register(&host, &storage);
        assert_eq!(status, 201, "{storage}");
        assert_eq!(storage["serial_number"], model, "{storage}");
        let id = storage["id"].as_str().expect("an id");
        let series = host.wait_for("the first measurement", || {
            rows(&setup, "performance.jsonl", |row| {
                row["labels"]["storage_id"] == id
            })
            .pop()
        });
        let labels = &series["labels"];
        for (label, value) in [
            ("name", "array-1"),
            ("resource_type", "volume"),
            ("resource_id", "v1"),
            ("resource_name", "volume 1"),
            ("unit", "IOPS"),
        ] {
            assert_eq!(labels[label], value, "{labels}");
        }
        let alert = host.wait_for("the alert", || {
            rows(&setup, "alerts.jsonl", |row| row["storage_id"] == id).pop()
        });
        assert_eq!(
            (&alert["alert_name"], &alert["match_key"]),
            (&json!("Fan failed"), &json!("7"))
        );
        let path = format!("/v1/storages/{id}/alerts/7");
        assert_eq!(host.send("DELETE", &path, None).0, 200);
        let left: Value =
            serde_json::from_slice(&fs::read(&file).expect("the file")).expect("JSON");
        assert_eq!(left["alerts"], json!([]));
    }
    let (status, log) = host.stop();
    assert!(status.success(), "{log}");
    assert!(!log.contains("the driver process"), "{log}");
    assert!(!log.contains("left behind"), "{log}");
}

#[test]
fn drivers_in_a_library_fail_as_those_in_a_program() {
    let storages = [
        ("fine", "patient"),
        ("panic", "patient"),
        ("exit", "patient"),
        ("hang", "hasty"),
        ("slow", "hasty"),
        ("login", "patient"),
        ("memory", "patient"),
    ];
    let declared: String = storages
        .map(|(name, model)| declared("scripted", name, model))
        .concat();
    let head = "plugin_dirs = [\"@/plugins\"]\nstate_dir = \"@/state\"\n";
    let limits = "[api]\nlisten = \"127.0.0.1:0\"\n[journal]\nmin_free_bytes = 0\n";
    let declared = declared.replace(
        "name = \"memory\"",
        &format!("name = \"memory\"\nid = \"{LIMITED}\""),
    );
    let own_limit = format!("[drivers.storage.{LIMITED}.limits]\nmemory = \"256MiB\"\n");
    let config = [head, FILES, &declared, limits, &own_limit].concat();
    let setup = Setup::new(&["file", "scripted"], FILES).with_whole_config(&config);
    let checked = setup.run(&["check"]);
    let ok = "ok      storage hang (scripted, hasty)";
    assert!(checked.stdout.contains(ok), "{checked:?}");
    let host = setup.start();
    for part in [
        "driver failed: panicked in `collect`: the password is ***",
        "driver failed: the driver process ended with exit code 3",
        "driver failed: the driver process was ended: a call was past its deadline",
        "driver failed: the driver process died: SIGABRT",
        "storage does not answer: cancelled",
        "storage refused the driver: the password *** is wrong",
        "login with ***",
    ] {
        host.wait_for_log(part);
    }
    let (_, collection) = host.get("/v1/collection");
    let of = |name: &str| {
        let storages = collection["storages"].as_array().expect("a list");
        let found = storages.iter().find(|storage| storage["name"] == name);
        found.expect("the storage").clone()
    };
    let resident = of("fine")["resident_bytes"].as_u64().expect("a process");
    assert!(resident > 1 << 20, "{collection}");
    for (name, reason) in [
        ("panic", "panic"),
        ("exit", "exit"),
        ("hang", "deadline"),
        ("memory", "signal"),
    ] {
        let times = of(name)["restarts"][reason].as_u64();
        assert!(times.is_some_and(|times| times > 0), "{name}: {collection}");
    }
    let metrics = host.metrics();
    let mut restarts = metrics.samples().iter();
    let id = of("panic")["id"].as_str().expect("an id").to_owned();
    let restarted = restarts.any(|sample| {
        sample.name == "delfin_host_driver_restarts_total"
            && [&*id, "\"panic\""]
                .iter()
                .all(|part| sample.labels.contains(part))
            && sample.value > 0.0
    });
    assert!(restarted, "{metrics:?}");
    let shown = setup.run(&["storages", "processes", "--host", host.url()]);
    assert!(shown.stdout.contains("(panic "), "{shown:?}");
    let is_fine = |row: &Value| row["labels"]["name"] == "fine";
    let before = rows(&setup, "performance.jsonl", is_fine).len();
    host.wait_for("further measurements of the storage that is fine", || {
        (rows(&setup, "performance.jsonl", is_fine).len() > before + 1).then_some(())
    });
    check_new_limits(&setup, &host);
    let (status, log) = host.stop();
    assert!(status.success(), "{log}");
    assert!(!log.contains(PASSWORD), "{log}");
}

#[test]
fn a_driver_in_a_process_learns_of_a_changed_level_with_its_next_call() {
    const RECORD: &str = "measures a window";
    let head = "plugin_dirs = [\"@/plugins\"]\nstate_dir = \"@/state\"\n";
    let api = "[api]\nlisten = \"127.0.0.1:0\"\n[journal]\nmin_free_bytes = 0\n";
    let declared = declared("scripted", "fine", "patient");
    let config = [head, FILES, &declared, api].concat();
    let setup = Setup::new(&["file", "scripted"], FILES).with_whole_config(&config);
    let host = setup.start();
    let measured = |number: usize| {
        host.wait_for("measurements", || {
            let rows = rows(&setup, "performance.jsonl", |_| true).len();
            (rows >= number).then_some(rows)
        })
    };
    let before = measured(2);
    assert!(!host.log().contains(RECORD), "{}", host.log());
    let level = ["log", "level", "debug", "--host", host.url()];
    let _ = setup.run(&level).expect_exit(0);
    host.wait_for_log(RECORD);
    measured(before + 1);
    let processes = host.metrics();
    let restarted = |sample: &&delfin_tests::Sample| {
        sample.name == "delfin_host_driver_restarts_total" && sample.value > 0.0
    };
    assert!(!processes.samples().iter().any(|sample| restarted(&sample)));
}

/// A reload with other limits gives a storage a new process.
fn check_new_limits(setup: &Setup, host: &Host) {
    let fine = || {
        let collection = host.get("/v1/collection").1;
        let mut storages = collection["storages"].as_array().into_iter().flatten();
        storages.find(|one| one["name"] == "fine").cloned()
    };
    let before = fine().unwrap_or_default();
    let config = fs::read_to_string(setup.path("delfin.conf")).unwrap_or_default();
    let id = before["id"].as_str().unwrap_or_default();
    let limits = format!("[drivers.storage.{id}.limits]\nopen_files = 500\n");
    setup.write("delfin.conf", &(config + &limits));
    assert_eq!(host.send("POST", "/v1/reload", None).0, 200);
    host.wait_for("another process", || {
        let pid = fine()?["pid"].as_i64()?;
        (before["pid"] != pid).then_some(())
    });
}
