//! Several clusters on one database and one broker, as each of their hosts shows them.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use delfin_tests::{FakeStorages, Host, Setup, Site};
use serde_json::{Value, json};

const EXPORTER: &str = r#"
performance_exporters = ["central"]
[exporter.central]
plugin = "PerformanceExporterScripted"
[exporter.central.config]
script = "@/script"
received = "@/received"
"#;

/// A member whose exporter does what `script` says.
fn member(table: &str, script: &str) -> Setup {
    let setup = Setup::new(&["scripted"], &[EXPORTER, table].concat());
    setup.write_key("key");
    setup.write("script", script);
    setup
}

/// A host that is active.
fn active(setup: &Setup) -> Host {
    let host = setup.start();
    host.wait_until_ready();
    host
}

fn points(count: u32) -> Value {
    let values: serde_json::Map<_, _> = (1..=count)
        .map(|time| (time.to_string(), json!(1.0)))
        .collect();
    json!([{ "name": "iops", "labels": {}, "values": values }])
}

/// The parts of a list of clusters that do not depend on time and place.
fn summary(list: &Value) -> Value {
    let array = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let clusters = array(&list["clusters"]).into_iter().map(|cluster| {
        let members = array(&cluster["members"]).into_iter();
        let members = members.map(|member| json!([member["name"], member["role"]]));
        let exporters = array(&cluster["exporters"]).into_iter();
        let exporters = exporters.map(|one| json!([one["name"], one["kind"], one["pending"]]));
        json!({
            "name": cluster["name"], "active": cluster["active"], "storages": cluster["storages"],
            "members": members.collect::<Vec<_>>(), "exporters": exporters.collect::<Vec<_>>(),
        })
    });
    clusters.collect()
}

fn wait_for_clusters(host: &Host, wanted: &Value) {
    let mut last = Value::Null;
    let found = catch_unwind(AssertUnwindSafe(|| {
        host.wait_for("the clusters as they are", || {
            last = host.get("/v1/clusters").1;
            (summary(&last) == *wanted).then_some(())
        });
    }));
    assert!(found.is_ok(), "{last}");
}

#[test]
fn every_host_shows_all_clusters_of_its_database() {
    let Some(site) = Site::start() else {
        return;
    };
    let on_kafka = |cluster, name| site.member(cluster, name, "3s") + &site.kafka();
    let east = ["a", "b"].map(|name| member(&on_kafka("east", name), "deliver"));
    let west = member(&on_kafka("west", "a"), "retry");
    let shared = member(&site.member("shared", "a", "3s"), "deliver");
    let (east_a, west_a, shared_a) = (active(&east[0]), active(&west), active(&shared));
    let east_b = east[1].start();
    let storage = json!({"vendor": "fake_storage", "model": "fake_driver", "rest": {
        "host": "192.0.2.7", "port": 1, "username": "admin", "password": "correct-horse"
    }});
    let (status, storage) = east_a.send("POST", "/v1/storages", Some(&storage));
    assert_eq!(status, 201, "{storage}");
    let path = format!(
        "/v1/storages/{}",
        storage["id"].as_str().unwrap_or_default()
    );
    // What is pending stays as it is.
    let off = json!({"array_polling": {
        "perf_collection": false, "interval": 900, "is_historic": false
    }});
    let (status, answer) = east_a.send("PUT", &format!("{path}/metrics-config"), Some(&off));
    assert_eq!(status, 200, "{answer}");
    for (host, items) in [(&east_a, 3), (&west_a, 2)] {
        let (status, receipt) = host.ingest("performance", &points(items));
        assert_eq!(status, 202, "{receipt}");
    }

    let mut clusters = json!([
        {
            "name": "east", "active": "a", "storages": 1,
            "members": [["a", "active"], ["b", "standby"]],
            "exporters": [["central", "performance", 0]],
        },
        {"name": "shared", "active": "a", "storages": null, "members": [["a", "active"]], "exporters": []},
        {
            "name": "west", "active": "a", "storages": 0,
            "members": [["a", "active"]],
            "exporters": [["central", "performance", 2]],
        },
    ]);
    for host in [&east_a, &east_b, &west_a, &shared_a] {
        wait_for_clusters(host, &clusters);
    }
    let (_, list) = shared_a.get("/v1/clusters");
    let delivered = &list["clusters"][0]["exporters"][0]["delivered"];
    assert!(delivered.as_u64() >= Some(3), "{list}");
    let exporter = &list["clusters"][2]["exporters"][0];
    assert!(exporter["last_error"].is_string(), "{exporter}");
    assert!(exporter["last_success"].is_null(), "{exporter}");
    let without = list["clusters"][1].as_object();
    assert!(
        without.is_some_and(|cluster| !cluster.contains_key("exporters")),
        "{list}"
    );
    assert!(!list.to_string().contains("correct-horse"), "{list}");

    // A host that does not have a storage names the one that has it.
    let (status, answer) = west_a.get(&path);
    let wanted = format!(
        "could not be found here: it belongs to cluster `east`, whose active host is `a` at {}.",
        east_a.url()
    );
    let message = answer["error_msg"].as_str().unwrap_or_default();
    assert_eq!(
        (status, &answer["error_code"]),
        (404, &json!("StorageNotFound"))
    );
    assert!(message.ends_with(&wanted), "{message}");
    let unknown = "/v1/storages/5c1d3a52-7b0e-4d8a-9a35-2f6f1d2b8c10";
    let (status, answer) = west_a.get(unknown);
    let message = answer["error_msg"].as_str().unwrap_or_default();
    assert_eq!(status, 404);
    assert!(message.ends_with("could not be found."), "{message}");

    // A standby needs a token as the active host does, but not from programs of its machine.
    let added = east[0].run(&["tokens", "add", "ops", "--scope", "admin"]);
    let _ = added.expect_exit(0);
    east_b.wait_for("a standby that asks for a token", || {
        (east_b.get("/v1/clusters").0 == 401).then_some(())
    });
    let members = east[1].run(&["members"]).expect_exit(0).stdout;
    assert!(members.contains("2 members of cluster `east`"), "{members}");
    let listed = east[1].run(&["clusters"]).expect_exit(0).stdout;
    assert!(listed.contains("3 clusters"), "{listed}");

    // The cluster of a host that is killed has no other host.
    west_a.kill();
    clusters[2]["active"] = Value::Null;
    clusters[2]["members"] = json!([["a", "gone"]]);
    wait_for_clusters(&shared_a, &clusters);
}

/// `bench/benches/storages.rs` does the same with 10,000 storages at 60 seconds.
#[test]
fn each_window_of_many_storages_in_four_clusters_is_delivered_once() {
    let Some(site) = Site::start() else {
        return;
    };
    let storages = FakeStorages {
        count: 75,
        interval: Duration::from_secs(2),
        volumes: 2,
    };
    let clusters = ["north", "east", "south", "west"].map(|cluster| {
        let tables = site.member(cluster, "a", "10s") + &site.kafka();
        let setup = Setup::new(&["file"], &(storages.config(cluster) + &tables));
        setup.write_key("key");
        let host = setup.start();
        (setup, host)
    });
    for (setup, host) in &clusters {
        let delivered = host.wait_for("windows of each storage", || {
            let delivered = storages.delivered(setup);
            (delivered.storages == storages.count && delivered.fewest >= 3).then_some(delivered)
        });
        // A busy machine skips some, and the windows after them are longer.
        let samples = host.metrics();
        let skipped = samples.samples().iter();
        let skipped = skipped.filter(|sample| sample.name.ends_with("calls_skipped_total"));
        let skipped: f64 = skipped.map(|sample| sample.value).sum();
        assert!(delivered.missed as f64 <= skipped, "{delivered:?}");
        assert_eq!(delivered.repeated, 0, "{delivered:?}");
    }
}
