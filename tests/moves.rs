//! Storages that move from one cluster to another.

use std::fs::write;

use delfin_tests::{
    EVERY_RECORD, Host, Setup, Site, Windows, assert_no_gap, collected_windows, soak,
};
use serde_json::{Value, json};

const EXPORTERS: &str = "performance_exporters = [\"EveryRecord\"]\n";

/// A host that is active.
fn active(setup: &Setup) -> Host {
    let host = setup.start();
    host.wait_until_ready();
    host
}

/// Two clusters with one key, and a storage whose windows each host writes to a file.
struct MovableStorage {
    setups: [Setup; 2],
    hosts: Vec<Host>,
    /// What the registration was answered.
    storage: Value,
    id: String,
}

const CLUSTERS: [&str; 2] = ["east", "west"];

impl MovableStorage {
    /// It is in the first cluster.
    fn new(site: &Site) -> Self {
        let setups = CLUSTERS.map(|cluster| Self::member(site, cluster));
        let hosts: Vec<Host> = setups.iter().map(active).collect();
        let new = json!({
            "vendor": "scripted", "model": "patient",
            "extra_attributes": {"mode": "windows"}
        });
        let (status, storage) = hosts[0].send("POST", "/v1/storages", Some(&new));
        assert_eq!(status, 201, "{storage}");
        let id = storage["id"].as_str().unwrap_or_default().to_owned();
        let movable = Self {
            setups,
            hosts,
            storage,
            id,
        };
        movable.set(
            "metrics-config",
            &json!({"array_polling": {
                "perf_collection": true, "interval": 1, "is_historic": true
            }}),
        );
        movable
    }

    fn member(site: &Site, cluster: &str) -> Setup {
        let cluster = site.member(cluster, "a", "3s") + &site.kafka();
        // The driver is in the same library as an exporter.
        let setup = Setup::new(
            &["file", "scripted"],
            &[EXPORTERS, EVERY_RECORD, &cluster].concat(),
        );
        setup.write_key("key");
        setup
    }

    fn path(&self) -> String {
        format!("/v1/storages/{}", self.id)
    }

    /// Sets something of the storage in the first cluster.
    fn set(&self, what: &str, value: &Value) {
        let path = format!("{}/{what}", self.path());
        let (status, answer) = self.hosts[0].send("PUT", &path, Some(value));
        assert_eq!(status, 200, "{answer}");
    }

    fn has(&self, at: usize) -> bool {
        self.hosts[at].get(&self.path()).0 == 200
    }

    /// Waits for windows of the storage in a cluster that has it.
    fn wait_for_windows(&self, at: usize) {
        let host = &self.hosts[at];
        let delivered = || host.exporter("EveryRecord")["delivered"].as_u64();
        let before = delivered().unwrap_or_default();
        host.wait_for("windows of the storage", || {
            (delivered() > Some(before + 2)).then_some(())
        });
    }

    /// Kills the host of a cluster, and starts it again.
    fn restart(&mut self, at: usize) {
        self.hosts.remove(at).kill();
        self.hosts.insert(at, active(&self.setups[at]));
    }

    /// Checks that the windows that both clusters have collected follow each other, each one once.
    fn assert_each_window_once(&self) {
        let both = self.hosts.iter().zip(&self.setups);
        let mut windows: Windows = both
            .flat_map(|(host, setup)| {
                collected_windows(host, setup)
                    .remove(&self.id)
                    .unwrap_or_default()
            })
            .collect();
        windows.sort_unstable();
        assert!(windows.len() > 4, "{windows:?}");
        assert_no_gap(&self.id, &windows);
    }
}

#[test]
fn a_storage_moves_to_another_cluster_and_each_of_its_windows_is_collected_once() {
    let Some(site) = Site::start() else {
        return;
    };
    let mut movable = MovableStorage::new(&site);
    let stranger = MovableStorage::member(&site, "south");
    // The file keeps its mode.
    write(stranger.path("key"), [8; 32]).expect("another key");
    let stranger = active(&stranger);
    let source = json!({"host": "192.0.2.7", "version": "SNMPv2c", "community_string": "sesame"});
    movable.set("snmp-config", &source);
    let labels = json!({"labels": {"site": "hk"}});
    movable.set("labels", &labels);
    let (id, path) = (movable.id.clone(), movable.path());

    // A cluster that cannot have it leaves it where it is.
    for (cluster, reason) in [
        ("south", "cluster `south` has another key of its inventory"),
        (
            "north",
            "no cluster `north` has its storages in the database",
        ),
        ("east", "it belongs to cluster `east` already"),
    ] {
        let to = json!({ "cluster": cluster });
        let (status, answer) = movable.hosts[0].send("POST", &format!("{path}/move"), Some(&to));
        assert_eq!(status, 409, "{answer}");
        let message = answer["error_msg"].as_str().unwrap_or_default();
        assert!(message.contains(reason), "{message}");
    }
    assert_eq!(stranger.get("/v1/storages").1["storages"], json!([]));

    for round in 0..4 {
        let (from, to) = (round % 2, (round + 1) % 2);
        movable.wait_for_windows(from);
        let asked = movable.setups[from].run(&["storages", "move", &id, CLUSTERS[to]]);
        let moved = format!("{id}: is moved to cluster `{}`\n", CLUSTERS[to]);
        assert_eq!(asked.expect_exit(0).stdout, moved);
        assert!(!movable.has(from));
        movable.hosts[to].wait_for("the storage that was moved", || {
            movable.has(to).then_some(())
        });
    }
    let listed = movable.setups[1].run(&["storages", "list", "--all-clusters"]);
    let listed = listed.expect_exit(0).stdout;
    let of_storage = listed.lines().find(|line| line.starts_with(&id));
    assert!(
        of_storage.is_some_and(|line| line.ends_with("east")),
        "{listed}"
    );
    movable.assert_each_window_once();
    // It has what it had, after a restart too.
    for at in [0, 1] {
        movable.restart(at);
    }
    assert!(!movable.has(1));
    let east = &movable.hosts[0];
    assert_eq!(east.get(&format!("{path}/labels")).1, labels);
    assert_eq!(
        east.get(&format!("{path}/snmp-config")).1["host"],
        source["host"]
    );
    let shown = east.get(&path).1;
    assert_eq!(
        shown["created_at"], movable.storage["created_at"],
        "{shown}"
    );
}

#[test]
fn a_host_that_is_killed_while_it_moves_a_storage_leaves_it_to_one_cluster() {
    let Some(site) = Site::start() else {
        return;
    };
    let mut movable = MovableStorage::new(&site);
    let mut from = 0;
    for _ in 0..soak(3) {
        movable.wait_for_windows(from);
        let to = 1 - from;
        let url = format!("{}{}/move", movable.hosts[from].url(), movable.path());
        let body = json!({"cluster": CLUSTERS[to]}).to_string();
        let request = ureq::post(&url).header("Content-Type", "application/json");
        // The answer, if there is one, comes from a host that is killed.
        let asked = std::thread::spawn(move || drop(request.send(body)));
        movable.hosts[from].wait_for("the end of its collection", || {
            let (_, collection) = movable.hosts[from].get("/v1/collection");
            (!collection.to_string().contains(&movable.id)).then_some(())
        });
        movable.restart(from);
        asked.join().expect("the thread that asks");
        movable.hosts[to].wait_for("the storage in one cluster", || {
            [from, to]
                .map(|at| movable.has(at))
                .contains(&true)
                .then_some(())
        });
        assert_ne!(movable.has(from), movable.has(to));
        if movable.has(to) {
            from = to;
        }
    }
    movable.wait_for_windows(from);
    movable.assert_each_window_once();
}
