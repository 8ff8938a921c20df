//! Two hosts with one state folder, or with Kafka and a folder each, and a real PostgreSQL: one is active, the other takes over.
//!
//! Each batch has one series with a name of its own, so that the file of `PerformanceExporterFile` shows which
//! batches arrived.

use std::{
    collections::BTreeSet,
    fs::{copy, create_dir, read, read_to_string, remove_file},
    net::UdpSocket,
    os::unix::process::ExitStatusExt,
    path::Path,
    sync::{
        Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
};

use delfin_tests::{
    EVERY_RECORD, Host, Setup, WINDOW_STORAGES, assert_each_window_once, plugin,
    receivers::{KafkaBroker, Postgres, Relay},
    runs_windows, soak, wait_for,
};
use rustix::process::Signal;
use serde_json::{Value, json};

/// Longer than any test waits: such a lease ends only because it is given back.
const ENDLESS: &str = "1h";

/// As short as a busy machine allows.
const SHORT: &str = "3s";

const LEASE_LOST: i32 = 5;

const CONFIG: &str = r#"
performance_exporters = ["PerformanceExporterFile"]
plugin_dirs = ["@/plugins"]
state_dir = "STATE"
[cluster]
postgres = "postgres://127.0.0.1:PORT/postgres?user=postgres"
tls = false
member = "MEMBER"
lease = "LEASE"
[exporter.PerformanceExporterFile.config]
path = "FILE"
[api]
listen = "127.0.0.1:0"
[journal]
min_free_bytes = 0
"#;

/// Two hosts and their database.
struct Pair {
    a: Setup,
    b: Setup,
    database: Postgres,
    /// The names of the series in batches with a 202 response.
    acknowledged: BTreeSet<String>,
}

impl Pair {
    fn new(lease: &str) -> Option<Self> {
        let a = Setup::new(&["file"], "");
        let database = Postgres::start(&a.path(""), None)?;
        let member = |setup: Setup, member: &str| {
            let config = CONFIG
                .replace("STATE", &a_path(&a, "state"))
                .replace("FILE", &a_path(&a, "out.jsonl"))
                .replace("PORT", &database.port().to_string())
                .replace("MEMBER", member)
                .replace("LEASE", lease);
            setup.with_whole_config(&config)
        };
        let b = member(Setup::new(&["file"], ""), "b");
        let config = read_to_string(b.path("delfin.conf")).unwrap_or_default();
        let config = config.replace(&a_path(&b, "plugins"), &a_path(&a, "plugins"));
        let a = a.with_whole_config(&config.replace("member = \"b\"", "member = \"a\""));
        Some(Self {
            a,
            b,
            database,
            acknowledged: BTreeSet::new(),
        })
    }

    /// The same with a state folder of its own for `b`.
    fn with_folder_of_b(self) -> Self {
        let config = read_to_string(self.b.path("delfin.conf")).unwrap_or_default();
        let config = config.replace(&a_path(&self.a, "state"), "@/state");
        let b = self.b.with_whole_config(&config);
        Self { b, ..self }
    }

    /// The same, with the id of the folder of `a`, as if the volume were mounted on another machine.
    fn with_copied_folder_of_b(self) -> Self {
        let pair = self.with_folder_of_b();
        let copied = create_dir(pair.b.path("state")).and_then(|()| {
            copy(
                pair.a.path("state/cluster.id"),
                pair.b.path("state/cluster.id"),
            )
        });
        assert!(copied.is_ok(), "{copied:?}");
        pair
    }

    /// Puts the journals on Kafka and the rest of the state into the database. Each host has a state folder of its own, and a copy of
    /// the key.
    fn on_kafka(self, servers: &str, replicas: usize) -> Self {
        let pair = self.with_folder_of_b();
        let with_tables = |setup: Setup| {
            setup.write_key("key");
            let config = read_to_string(setup.path("delfin.conf")).unwrap_or_default();
            let tables = format!(
                "\n[cluster.kafka]\nbootstrap_servers = \"{servers}\"\nreplicas = {replicas}\ntls = false\n[inventory]\nkey_file = \"{}\"\n",
                a_path(&setup, "key")
            );
            setup.with_whole_config(&(config + &tables))
        };
        Self {
            a: with_tables(pair.a),
            b: with_tables(pair.b),
            ..pair
        }
    }

    /// The same with other settings of `b`.
    fn with_settings_of_b(self, from: &str, to: &str) -> Self {
        let config = read_to_string(self.b.path("delfin.conf")).unwrap_or_default();
        assert!(config.contains(from), "{config}");
        let b = self.b.with_whole_config(&config.replace(from, to));
        Self { b, ..self }
    }

    /// Lets both hosts collect from [`WINDOW_STORAGES`].
    fn with_windows(self) -> Self {
        let with_storages = |setup: Setup| {
            let config = read_to_string(setup.path("delfin.conf")).unwrap_or_default();
            let setup = setup.with_library(&plugin("scripted"));
            setup.with_whole_config(&(config + WINDOW_STORAGES))
        };
        Self {
            a: with_storages(self.a),
            b: with_storages(self.b),
            ..self
        }
    }

    /// Has `a` reach the database through a relay.
    fn with_database_of_a_behind(self, relay: &Relay) -> Self {
        let config = read_to_string(self.a.path("delfin.conf")).unwrap_or_default();
        let (direct, relayed) = (self.database.port(), relay.port());
        let config = config.replace(&format!(":{direct}/"), &format!(":{relayed}/"));
        let a = self.a.with_whole_config(&config);
        Self { a, ..self }
    }

    /// Starts `a`, which becomes active, and then `b`.
    fn start(&self) -> (Host, Host) {
        let a = self.a.start();
        a.wait_until_ready();
        let b = self.b.start();
        b.wait_for("a standby that knows the active one", || {
            let (_, answer) = b.get("/readyz");
            answer.to_string().contains("member `a`").then_some(())
        });
        (a, b)
    }

    /// Sends batches to the active host.
    fn ingest(&mut self, host: &Host) {
        for _ in 0..20 {
            let name = format!("n{}", self.acknowledged.len());
            let (status, answer) = host.ingest("performance", &batch(&name));
            assert_eq!(status, 202, "{answer}");
            self.acknowledged.insert(name);
        }
    }

    /// The names of the series that arrived, with repetitions.
    fn deliveries(&self) -> Vec<String> {
        let lines = self.a.json_lines("out.jsonl");
        let names = lines.iter().filter_map(|line| line["name"].as_str());
        names.map(str::to_owned).collect()
    }

    /// The names of the series that arrived.
    fn arrived(&self) -> BTreeSet<String> {
        self.deliveries().into_iter().collect()
    }

    /// Waits until everything is delivered: every acknowledged batch has arrived.
    fn assert_nothing_is_missing(&self, host: &Host) {
        host.wait_for_exporter("PerformanceExporterFile", "nothing pending", |exporter| {
            exporter["pending"] == 0
        });
        let arrived = self.arrived();
        let is_missing = |name: &&String| !arrived.contains(*name);
        let missing: Vec<_> = self.acknowledged.iter().filter(is_missing).collect();
        assert!(missing.is_empty(), "{missing:?} of {arrived:?}");
        let unaccounted = host.metrics().of_exporter(
            "PerformanceExporterFile",
            "delfin_host_exporter_unaccounted_items",
        );
        assert!(unaccounted == 0.0, "{unaccounted}");
    }

    /// Nothing that the other host needs is in a folder.
    fn assert_no_state_is_in_a_folder(&self) {
        for file in [
            "inventory.db",
            "alerts-active.db",
            "tokens.json",
            "cluster.id",
            "paused",
        ] {
            for setup in [&self.a, &self.b] {
                assert!(!Path::exists(&setup.path("state").join(file)), "{file}");
            }
        }
        let restored = self.b.run(&["state", "restore", "any.tar.zst"]);
        let refused = restored.expect_exit(1).stderr;
        assert!(
            refused.contains("on Kafka and in the database"),
            "{refused}"
        );
        let noted = self.b.run(&["state", "verify"]).expect_exit(0);
        let elsewhere = "are in the database of the cluster";
        assert!(noted.stderr.contains(elsewhere), "{noted:?}");
    }

    fn assert_a_host_with_its_state_in_a_folder_stays_standby(&self) {
        let config = read_to_string(self.a.path("delfin.conf")).unwrap_or_default();
        let (without, _) = config.split_once("\n[cluster.kafka]").unwrap_or_default();
        self.a.write("delfin.conf", without);
        let a = self.a.start();
        a.wait_for_log(
            "the state of the cluster is in the database, and this member has it in a folder",
        );
        a.kill();
        self.a.write("delfin.conf", &config);
    }

    /// `id` is that of a registered storage.
    fn assert_a_change_without_the_database_is_refused_as_a_whole(&mut self, id: &str) {
        let _a = self.a.start();
        self.database.kill();
        let refused = self.b.run(&["storages", "remove", id]).expect_exit(1);
        let refused = refused.stderr;
        let named = format!("`127.0.0.1:{}`: ", self.database.port());
        assert!(refused.contains(&named), "{refused}");
        self.database.restart();
        wait_for("the storage at the active host", || {
            let shows = |setup: &Setup| setup.run(&["storages", "list"]).stdout.contains(id);
            (shows(&self.a) || shows(&self.b)).then_some(())
        });
    }
}

fn a_path(setup: &Setup, name: &str) -> String {
    setup.path(name).display().to_string()
}

fn batch(name: &str) -> Value {
    json!([{ "name": name, "labels": {}, "values": { "1": 1.0 } }])
}

/// Wakes a host that was paused for longer than its lease: it accepts nothing, and ends. Returns its log.
fn wake_after_lease(host: Host) -> String {
    let answer = thread::scope(|scope| {
        let client = scope.spawn(|| host.try_ingest(&batch("late")));
        host.signal(Signal::CONT);
        client.join()
    });
    assert_eq!(answer.ok().flatten(), None);
    let (status, log) = host.wait_for_end("has lost the lease of its cluster, and ends");
    assert_eq!(status.code(), Some(LEASE_LOST), "{log}");
    log
}

/// Name, role and epoch of each member, as a host shows them.
fn members(host: &Host) -> Vec<(String, String, Value)> {
    let (status, answer) = host.get("/v1/members");
    assert_eq!(status, 200, "{answer}");
    let members = answer["members"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let row = |member: Value| {
        let (name, role) = (text(&member["name"]), text(&member["role"]));
        (name, role, member["epoch"].clone())
    };
    members.into_iter().map(row).collect()
}

fn member(name: &str, role: &str, epoch: Value) -> (String, String, Value) {
    (name.to_owned(), role.to_owned(), epoch)
}

#[test]
fn a_standby_names_the_active_host_and_gets_its_place_when_that_one_stops() {
    let Some(mut pair) = Pair::new(ENDLESS) else {
        return;
    };
    let (a, b) = pair.start();
    assert_eq!(b.get("/healthz").0, 200);
    let (status, answer) = b.get("/readyz");
    assert_eq!((status, &answer["ready"]), (503, &json!(false)));
    let active = format!(
        "this host is standby, and member `a` at {} is active",
        a.url()
    );
    assert_eq!(answer["reasons"], json!([active]));
    for (method, path) in [
        ("POST", "/v1/ingest/performance"),
        ("GET", "/v1/exporters"),
        ("GET", "/ui/"),
        ("PUT", "/nothing"),
    ] {
        let (status, answer) = b.send(method, path, Some(&batch("refused")));
        assert_eq!(status, 503, "{path}: {answer}");
        let message = answer["error_msg"].to_string();
        assert!(message.contains(&active), "{path}: {message}");
    }
    let both = [
        member("a", "active", json!(1)),
        member("b", "standby", Value::Null),
    ];
    for host in [&a, &b] {
        host.wait_for("both members", || (members(host) == both).then_some(()));
    }
    let listed = pair.b.run(&["members", "--host", b.url()]).expect_exit(0);
    let text = listed.stdout;
    assert!(text.contains("2 members of cluster `delfin`"), "{text}");
    let shows = |host: &Host, metric: &str| host.text("/metrics").contains(metric);
    assert!(shows(&a, "delfin_host_cluster_active 1"));
    assert!(shows(&b, "delfin_host_cluster_active 0"));

    pair.ingest(&a);
    let (status, log) = a.stop();
    assert!(status.success(), "{log}");
    b.wait_until_ready();
    pair.ingest(&b);
    pair.assert_nothing_is_missing(&b);
    b.wait_for("epoch 2", || {
        (members(&b) == [member("b", "active", json!(2))]).then_some(())
    });
    assert!(shows(&b, "delfin_host_cluster_active 1"));
    assert!(shows(&b, "delfin_host_cluster_lease_epoch 2"));

    // A standby leaves without a word to the active one.
    let a = pair.a.start();
    a.wait_for_log("this host is standby");
    a.send_stop();
    let (status, log) = a.wait_for_end("left the cluster");
    assert!(status.success(), "{log}");
}

#[test]
fn a_standby_takes_over_from_a_host_that_is_killed() {
    let Some(mut pair) = Pair::new(SHORT) else {
        return;
    };
    let (a, b) = pair.start();
    pair.ingest(&a);
    a.kill();
    b.wait_until_ready();
    pair.ingest(&b);
    pair.assert_nothing_is_missing(&b);
    // What was active before is standby now.
    let a = pair.a.start();
    a.wait_for("a standby", || {
        let (status, answer) = a.get("/readyz");
        (status == 503 && answer.to_string().contains("member `b`")).then_some(())
    });
    assert_eq!(a.get("/v1/exporters").0, 503);
}

#[test]
fn a_standby_ends_a_host_that_is_paused_and_takes_over() {
    let Some(mut pair) = Pair::new(SHORT) else {
        return;
    };
    let (a, b) = pair.start();
    // Now and then in the middle of a transaction.
    pair.ingest(&a);
    a.signal(Signal::STOP);
    b.wait_until_ready();
    b.wait_for_log("ended the process that has lost the lease");
    let (status, log) = a.wait_for_end("becomes active");
    assert_eq!(status.signal(), Some(9), "{log}");
    pair.ingest(&b);
    pair.assert_nothing_is_missing(&b);
}

#[test]
fn a_host_that_wakes_up_after_its_lease_writes_nothing_and_ends() {
    let Some(mut pair) = Pair::new(SHORT) else {
        return;
    };
    let a = pair.a.start();
    a.wait_until_ready();
    pair.ingest(&a);
    pair.assert_nothing_is_missing(&a);
    a.signal(Signal::STOP);
    // With another folder of the same id, as if the volume were mounted on another machine: nothing ends `a`.
    pair = pair.with_copied_folder_of_b();
    let b = pair.b.start();
    b.wait_until_ready();
    let journal = pair.a.path("state/performance.db-wal");
    let written = read(&journal).unwrap_or_default();
    assert!(!written.is_empty());
    let log = wake_after_lease(a);
    assert_eq!(read(&journal).unwrap_or_default(), written, "{log}");
}

#[test]
fn a_host_whose_volume_is_not_mounted_does_not_become_active() {
    let Some(pair) = Pair::new(ENDLESS) else {
        return;
    };
    let pair = pair.with_folder_of_b();
    let (a, b) = pair.start();
    let reason = format!(
        "the state folder `{}` is not that of the cluster: it has no id, and the lease names",
        a_path(&pair.b, "state")
    );
    b.wait_for_log(&reason);
    let (status, answer) = b.get("/readyz");
    assert_eq!(status, 503, "{answer}");
    assert!(
        answer["reasons"][1].to_string().contains(&reason),
        "{answer}"
    );
    a.wait_for("the reason in the list of members", || {
        let (_, list) = a.get("/v1/members");
        let obstacle = list["members"][1]["obstacle"].to_string();
        obstacle.contains(&reason).then_some(())
    });
    let listed = pair.b.run(&["members", "--host", a.url()]).expect_exit(0);
    let line = format!("`b` could not take over: {reason}");
    assert!(listed.stdout.contains(&line), "{}", listed.stdout);

    // The lease is free, and only the host with the folder takes it.
    let (status, log) = a.stop();
    assert!(status.success(), "{log}");
    let a = pair.a.start();
    a.wait_until_ready();
    assert_eq!(b.get("/readyz").0, 503);
    a.wait_for("epoch 2", || {
        (members(&a)[0] == member("a", "active", json!(2))).then_some(())
    });

    // An operator wants the other folder.
    let (status, log) = a.stop();
    assert!(status.success(), "{log}");
    pair.database
        .execute("DELETE FROM delfin_leases WHERE name = 'delfin'");
    b.wait_until_ready();
    assert!(pair.b.path("state/cluster.id").exists());
    let a = pair.a.start();
    a.wait_for_log("is not that of the cluster: it has the id");
}

#[test]
fn a_standby_says_that_it_could_not_take_over_with_its_files() {
    let Some(pair) = Pair::new(ENDLESS) else {
        return;
    };
    let (_a, b) = pair.start();
    let good = read_to_string(pair.b.path("delfin.conf")).unwrap_or_default();
    let reasons = || b.get("/readyz").1["reasons"].as_array().map_or(0, Vec::len);
    for (mistake, reason) in [
        (
            good.replace("lease =", "leas ="),
            "cluster.leas: unknown key (did you mean `lease`?)",
        ),
        (
            good.replace(
                "\"PerformanceExporterFile\"",
                "\"PerformanceExporterAbsent\"",
            ),
            "no plugin offers the exporter `PerformanceExporterAbsent`",
        ),
    ] {
        pair.b.write("delfin.conf", &mistake);
        b.send_hangup();
        b.wait_for_log(reason);
        b.wait_for("the reason", || {
            let (_, answer) = b.get("/readyz");
            answer["reasons"][1]
                .to_string()
                .contains(reason)
                .then_some(())
        });
        pair.b.write("delfin.conf", &good);
        b.send_hangup();
        b.wait_for("no reason but that it is standby", || {
            (reasons() == 1).then_some(())
        });
    }
    b.wait_for_log("the configuration is valid, and this standby reads it again");
}

#[test]
fn without_the_database_no_host_is_active_until_it_is_back() {
    let Some(mut pair) = Pair::new(SHORT) else {
        return;
    };
    let (a, b) = pair.start();
    pair.ingest(&a);
    pair.database.kill();
    let (status, log) = a.wait_for_end("the database did not confirm it for 3s");
    assert_eq!(status.code(), Some(LEASE_LOST), "{log}");
    let (status, answer) = b.get("/readyz");
    assert_eq!(status, 503, "{answer}");
    // The supervisor starts it again, with the database still away.
    let a = pair.a.start();
    a.wait_for_log("cannot ask the database of the cluster");
    let (_, answer) = a.get("/v1/members");
    let fault = answer["fault"].to_string();
    assert!(fault.contains("connection refused"), "{answer}");
    pair.database.restart();
    let active = a.wait_for("an active host", || {
        let mut hosts = [&a, &b].into_iter();
        hosts.find(|host| host.is_ready())
    });
    pair.ingest(active);
    pair.assert_nothing_is_missing(active);
}

#[test]
fn a_journal_on_kafka_is_taken_over_and_a_host_that_wakes_up_adds_nothing_to_it() {
    let (Some(mut broker), Some(pair)) = (KafkaBroker::start(), Pair::new(SHORT)) else {
        return;
    };
    let mut pair = pair.on_kafka(&broker.servers(), 1);
    check_reports_what_keeps_journals_from_kafka(&pair, &broker);
    let a = pair.a.start();
    a.wait_until_ready();
    pair.ingest(&a);
    a.signal(Signal::STOP);
    // Nothing ends `a`, whose folder is another one.
    let b = pair.b.start();
    b.wait_until_ready();
    wake_after_lease(a);
    pair.ingest(&b);
    b.kill();
    let b = pair.b.start();
    b.wait_until_ready();
    pair.ingest(&b);
    pair.assert_nothing_is_missing(&b);
    assert_eq!(pair.arrived().get("late"), None);
    broker.kill();
    let refused = format!("broker `{}`: connection refused (", broker.servers());
    assert_refused(&b, &refused);
    b.wait_for_log(&refused);
}

/// A batch is refused with this reason.
fn assert_refused(host: &Host, reason: &str) {
    let (status, answer) = host.ingest("performance", &batch("refused"));
    let message = answer["error_msg"].to_string();
    assert_eq!(status, 503, "{message}");
    assert!(message.contains(reason), "{message}");
}

fn check_reports_what_keeps_journals_from_kafka(pair: &Pair, broker: &KafkaBroker) {
    let check = |code| {
        let checked = pair.a.run(&["check", "--connect"]);
        checked.expect_exit(code).stdout
    };
    let connected = format!("connection of journals on Kafka ({})", broker.servers());
    let checked = check(0);
    assert!(
        checked.contains(&format!("ok      {connected}")),
        "{checked}"
    );
    let good = read_to_string(pair.a.path("delfin.conf")).unwrap_or_default();
    pair.a
        .write("delfin.conf", &good.replace("replicas = 1", "replicas = 3"));
    let checked = check(1);
    let reason = "topic `delfin.alerts`: it does not exist, and cannot have 3 replicas, because 1 broker runs (";
    assert!(checked.contains(reason), "{checked}");
    pair.a.write("delfin.conf", &good);
    let left_over = pair.a.path("state/performance.db");
    let made = create_dir(pair.a.path("state"));
    assert!(made.is_ok(), "{made:?}");
    pair.a.write("state/performance.db", "");
    let checked = check(3);
    let folder = pair.a.path("state");
    let separator = if runs_windows() { '\\' } else { '/' };
    let reason = format!(
        "`{}{separator}performance.db` is left over",
        folder.display()
    );
    assert!(checked.contains(&reason), "{checked}");
    let removed = remove_file(left_over);
    assert!(removed.is_ok(), "{removed:?}");
}

#[test]
fn a_host_waits_for_brokers_that_are_away_and_says_so() {
    let (Some(broker), Some(pair)) = (KafkaBroker::start(), Pair::new(SHORT)) else {
        return;
    };
    let brokers = Relay::start(broker.port());
    let database = Relay::start(pair.database.port());
    let mut pair = pair
        .on_kafka(&brokers.address(), 1)
        .with_database_of_a_behind(&database);

    // Away before the host becomes active.
    brokers.cut();
    let refused = format!("broker `{}`: connection refused (", brokers.address());
    let a = pair.a.start();
    a.wait_for_log("this host has the lease and cannot become active yet");
    assert_refused(&a, &refused);
    wait_for_reason(&a, 0, &refused);
    let b = pair.b.start();
    wait_for_reason(&b, 1, &refused);
    a.wait_for("the reason in the list of members", || {
        let (_, list) = a.get("/v1/members");
        list.to_string().contains(&refused).then_some(())
    });
    brokers.restore();
    a.wait_until_ready();
    pair.ingest(&a);

    // It hangs: clients after the first learn it at once.
    brokers.hold();
    let silent = format!(
        "broker `{}`: it does not answer in time (",
        brokers.address()
    );
    let held = thread::scope(|scope| {
        let first = scope.spawn(|| a.try_ingest(&batch("held")));
        wait_for_reason(&a, 0, &silent);
        assert_refused(&a, &silent);
        brokers.release();
        first.join()
    });
    assert!(held.is_ok(), "the client panicked");
    let accepted = held.ok().flatten().map(|_| "held".to_owned());
    pair.acknowledged.extend(accepted);
    // No batch is needed for that.
    a.wait_until_ready();
    pair.ingest(&a);

    // The network between the active host and the database.
    database.hold();
    let (status, log) = a.wait_for_end("the database did not confirm it for 3s");
    assert_eq!(status.code(), Some(LEASE_LOST), "{log}");
    b.wait_until_ready();
    pair.ingest(&b);
    pair.assert_nothing_is_missing(&b);
    assert_eq!(pair.arrived().get("refused"), None);
    b.wait_for("a consumer group without lag", || {
        let groups = broker.describe_groups();
        let mut lines = groups.lines().map(|line| line.split_whitespace().collect());
        lines.find_map(|line: Vec<&str>| match line[..] {
            [
                "delfin.PerformanceExporterFile",
                "delfin.performance",
                "0",
                offset,
                end,
                "0",
                ..,
            ] => (offset == end).then_some(()),
            _ => None,
        })
    });
}

/// Waits until `/readyz` is 503 with a reason at a place.
fn wait_for_reason(host: &Host, place: usize, reason: &str) {
    host.wait_for("the reason why it is not ready", || {
        let (status, answer) = host.get("/readyz");
        let text = answer["reasons"][place].to_string();
        (status == 503 && text.contains(reason)).then_some(())
    });
}

/// Two hosts under load, and who starts them again.
struct LoadedPair<'a> {
    setups: [&'a Setup; 2],
    hosts: RwLock<[Host; 2]>,
    /// Numbers of batches.
    next: AtomicU32,
    acknowledged: Mutex<BTreeSet<String>>,
    is_over: AtomicBool,
}

impl<'a> LoadedPair<'a> {
    fn new(setups: [&'a Setup; 2], hosts: (Host, Host)) -> Self {
        Self {
            setups,
            hosts: RwLock::new(hosts.into()),
            next: AtomicU32::new(0),
            acknowledged: Mutex::default(),
            is_over: AtomicBool::new(false),
        }
    }

    /// Sends one batch after the other to the host that accepts it.
    fn send(&self) {
        while !self.is_over.load(Ordering::Relaxed) {
            let name = format!("n{}", self.next.fetch_add(1, Ordering::Relaxed));
            let body = batch(&name);
            wait_for("a host that accepts the batch", || {
                let hosts = locked(self.hosts.read());
                let accepted = hosts.iter().any(|host| host.try_ingest(&body).is_some());
                if accepted {
                    locked(self.acknowledged.lock()).insert(name.clone());
                }
                (accepted || self.is_over.load(Ordering::Relaxed)).then_some(())
            });
        }
    }

    /// Waits until more batches are acknowledged, and starts hosts that have ended.
    fn go_on(&self) {
        let count = || locked(self.acknowledged.lock()).len();
        let wanted = count() + 20;
        wait_for("acknowledged batches", || {
            for (index, setup) in self.setups.iter().enumerate() {
                let has_ended = !locked(self.hosts.write())[index].is_alive();
                if has_ended {
                    let started = setup.start();
                    locked(self.hosts.write())[index] = started;
                }
            }
            (count() >= wanted).then_some(())
        });
    }

    /// Does something while clients send batches.
    fn run_during(&self, work: impl FnOnce()) {
        thread::scope(|scope| {
            let _over = Finally(&self.is_over);
            for _ in 0..2 {
                scope.spawn(|| self.send());
            }
            work();
        });
    }

    /// Which host is active.
    fn active(&self) -> usize {
        wait_for("an active host", || {
            let hosts = locked(self.hosts.read());
            hosts.iter().position(Host::is_ready)
        })
    }

    fn kill_active(&self) {
        wait_for("an active host", || {
            let hosts = locked(self.hosts.read());
            let active = hosts.iter().find(|host| host.is_ready())?;
            active.kill_now();
            Some(())
        });
    }
}

fn locked<G>(lock: Result<G, PoisonError<G>>) -> G {
    lock.unwrap_or_else(PoisonError::into_inner)
}

/// Ends the load also if the test fails.
struct Finally<'a>(&'a AtomicBool);

impl Drop for Finally<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn nothing_is_lost_when_brokers_hosts_and_the_database_are_killed_in_turn() {
    let (Some(mut brokers), Some(pair)) = (KafkaBroker::start_three(), Pair::new(SHORT)) else {
        return;
    };
    let servers = brokers.each_ref().map(KafkaBroker::servers).join(",");
    let mut pair = pair.on_kafka(&servers, 3);
    let load = LoadedPair::new([&pair.a, &pair.b], pair.start());
    let database = &mut pair.database;
    load.run_during(|| {
        for _ in 0..soak(1) {
            load.go_on();
            let leader = wait_for("a leader", || {
                let port = brokers[0].leader("delfin.performance")?;
                brokers.iter().position(|broker| broker.port() == port)
            });
            brokers[leader].kill();
            load.go_on();
            load.kill_active();
            load.go_on();
            brokers[leader].run();
            database.kill();
            database.restart();
            load.go_on();
            brokers[leader].wait(3);
        }
    });
    let [a, b] = locked(load.hosts.into_inner());
    let active = a.wait_for("an active host", || {
        [&a, &b].into_iter().find(|host| host.is_ready())
    });
    pair.acknowledged = locked(load.acknowledged.into_inner());
    pair.assert_nothing_is_missing(active);
    let deliveries = pair.deliveries();
    eprintln!(
        "{} batches acknowledged, {} delivered, {} of them again",
        pair.acknowledged.len(),
        deliveries.len(),
        deliveries.len() - pair.arrived().len()
    );
}

/// What a host reaches the broker and the database through.
struct HostNetwork {
    broker: Relay,
    database: Relay,
}

impl HostNetwork {
    fn new(broker: u16, database: u16) -> Self {
        Self {
            broker: Relay::start(broker),
            database: Relay::start(database),
        }
    }

    /// Has a host reach the servers with these ports through this network.
    fn connect(&self, setup: Setup, broker: u16, database: u16) -> Setup {
        let config = read_to_string(setup.path("delfin.conf")).unwrap_or_default();
        let config = config
            .replace(&format!("127.0.0.1:{broker}"), &self.broker.address())
            .replace(&format!("127.0.0.1:{database}"), &self.database.address());
        setup.with_whole_config(&config)
    }
}

/// The active host does not reach the broker: it accepts nothing until it does.
fn cut_off_broker(load: &LoadedPair<'_>, networks: &[HostNetwork; 2]) {
    let active = load.active();
    let broker = &networks[active].broker;
    broker.cut();
    wait_for("a host that is not ready", || {
        let is_ready = locked(load.hosts.read())[active].is_ready();
        (!is_ready).then_some(())
    });
    broker.restore();
    load.go_on();
}

/// The active host does not reach the database: it ends, and the other one accepts batches.
fn cut_off_database(load: &LoadedPair<'_>, networks: &[HostNetwork; 2]) {
    let active = load.active();
    let database = &networks[active].database;
    database.cut();
    wait_for_takeover(load, active);
    database.restore();
    load.go_on();
}

/// The active host reaches nothing, and what it sends stays on the way until another host has taken over.
fn delay_all_bytes(load: &LoadedPair<'_>, networks: &[HostNetwork; 2]) {
    let active = load.active();
    let HostNetwork { broker, database } = &networks[active];
    broker.hold();
    database.hold();
    wait_for_takeover(load, active);
    broker.release();
    database.release();
    load.go_on();
}

/// Waits until a host has lost its lease, and the other one accepts batches.
fn wait_for_takeover(load: &LoadedPair<'_>, former: usize) {
    wait_for("the end of a host without a network", || {
        let is_alive = locked(load.hosts.write())[former].is_alive();
        (!is_alive).then_some(())
    });
    let hosts = locked(load.hosts.read());
    hosts[former].wait_for_log("has lost the lease of its cluster");
    hosts[1 - former].wait_until_ready();
    drop(hosts);
    load.go_on();
}

#[test]
fn nothing_is_lost_when_the_networks_of_the_active_host_fail_in_turn() {
    let (Some(broker), Some(pair)) = (KafkaBroker::start(), Pair::new(SHORT)) else {
        return;
    };
    let mut pair = pair.on_kafka(&broker.servers(), 1);
    let ports = (broker.port(), pair.database.port());
    let networks = [(); 2].map(|()| HostNetwork::new(ports.0, ports.1));
    pair.a = networks[0].connect(pair.a, ports.0, ports.1);
    pair.b = networks[1].connect(pair.b, ports.0, ports.1);
    let load = LoadedPair::new([&pair.a, &pair.b], pair.start());
    load.run_during(|| {
        for _ in 0..soak(1) {
            load.go_on();
            cut_off_broker(&load, &networks);
            cut_off_database(&load, &networks);
            delay_all_bytes(&load, &networks);
        }
    });
    pair.acknowledged = locked(load.acknowledged.into_inner());
    let [a, b] = locked(load.hosts.into_inner());
    let active = a.wait_for("an active host", || {
        [&a, &b].into_iter().find(|host| host.is_ready())
    });
    pair.assert_nothing_is_missing(active);
}

/// Hands the lease to `b` by its priority, and again after it was killed, while clients send batches.
fn hand_over_under_load(pair: Pair) {
    let member_b = "member = \"b\"";
    let mut pair = pair.with_settings_of_b(member_b, &format!("{member_b}\npriority = 100"));
    let load = LoadedPair::new([&pair.a, &pair.b], pair.start());
    load.run_during(|| {
        for round in 0..2 {
            wait_for("the lease at the host with the higher priority", || {
                locked(load.hosts.read())[1].is_ready().then_some(())
            });
            let mut hosts = locked(load.hosts.write());
            hosts[0].wait_for_log("handing the lease over to another member");
            hosts[0].follow();
            assert_shows_why_it_is_active(&hosts[1], &pair);
            drop(hosts);
            load.go_on();
            if round == 0 {
                load.kill_active();
                wait_for("a host that takes over", || {
                    locked(load.hosts.read())[0].is_ready().then_some(())
                });
                load.go_on();
            }
        }
    });
    let [_, b] = locked(load.hosts.into_inner());
    pair.acknowledged = locked(load.acknowledged.into_inner());
    pair.assert_nothing_is_missing(&b);
}

/// `b` was handed the lease because of its priority, and is refused to hand it back.
fn assert_shows_why_it_is_active(b: &Host, pair: &Pair) {
    b.wait_for("both members and their priorities", || {
        let (_, list) = b.get("/v1/members");
        let of = |place: usize| {
            let member = &list["members"][place];
            (member["role"].clone(), member["priority"].clone())
        };
        let is_shown = of(0) == (json!("standby"), json!(0))
            && of(1) == (json!("active"), json!(100))
            && list["members"][1]["has_failed"] == false;
        is_shown.then_some(())
    });
    let listed = pair.b.run(&["members", "--host", b.url()]).expect_exit(0);
    let line = "`b` was handed the lease: its priority is 100, and that of the active host was 0";
    assert!(listed.stdout.contains(line), "{}", listed.stdout);
    let refused = pair.b.run(&["handover", "a", "--host", b.url()]);
    let refused = refused.expect_exit(1).stderr;
    let lower = "member `a` has priority 0 and this host 100, so that it would hand the lease back";
    assert!(refused.contains(lower), "{refused}");
}

#[test]
fn a_standby_with_a_higher_priority_is_handed_the_lease_and_nothing_is_lost() {
    if let Some(pair) = Pair::new(SHORT) {
        hand_over_under_load(pair);
    }
}

#[test]
fn without_a_shared_folder_a_handover_loses_nothing() {
    if let (Some(broker), Some(pair)) = (KafkaBroker::start(), Pair::new(SHORT)) {
        hand_over_under_load(pair.on_kafka(&broker.servers(), 1));
    }
}

#[test]
fn a_standby_that_cannot_become_active_is_handed_the_lease_once() {
    let (Some(pair), Ok(occupied)) = (Pair::new(SHORT), UdpSocket::bind("127.0.0.1:0")) else {
        return;
    };
    let port = occupied.local_addr().map_or(0, |address| address.port());
    let member_b = "member = \"b\"";
    let traps = format!("[traps]\nlisten = \"127.0.0.1:{port}\"\n[api]");
    let mut pair = pair
        .with_settings_of_b(member_b, &format!("{member_b}\npriority = 100"))
        .with_settings_of_b("[api]", &traps);
    let (mut a, b) = pair.start();
    let (status, log) = b.wait_for_end("left the cluster");
    assert_eq!(status.code(), Some(1), "{log}");
    a.follow();
    a.wait_until_ready();
    pair.ingest(&a);
    a.wait_for("the standby that has failed", || {
        let listed = pair.a.run(&["members", "--host", a.url()]).expect_exit(0);
        let line = "`b` was handed the lease in the last ten minutes, and has not become active";
        listed.stdout.contains(line).then_some(())
    });

    // It is there again for longer than a standby must be.
    let b = pair.b.start();
    let patience_ms = 4 * 3000;
    a.wait_for("a standby that has been there for a while", || {
        let (_, list) = a.get("/v1/members");
        let b = &list["members"][1];
        let [since, seen] = ["since_ms", "last_seen_ms"].map(|time| b[time].as_i64());
        (b["role"] == "standby" && seen? - since? > patience_ms).then_some(())
    });
    assert!(a.is_ready());

    // An operator has found the reason.
    drop(occupied);
    let asked = pair.a.run(&["handover", "--host", a.url()]).expect_exit(0);
    assert!(asked.stdout.starts_with("`b` becomes active"), "{asked:?}");
    b.wait_until_ready();
    a.follow();
    pair.ingest(&b);
    pair.assert_nothing_is_missing(&b);
}

#[test]
fn each_collected_window_is_in_a_journal_on_kafka_once_although_active_hosts_are_killed() {
    let (Some(broker), Some(pair)) = (KafkaBroker::start(), Pair::new(SHORT)) else {
        return;
    };
    let pair = pair.on_kafka(&broker.servers(), 1);
    let without_storages = read_to_string(pair.a.path("delfin.conf")).unwrap_or_default();
    let pair = pair.with_windows();
    let (mut active, mut standby) = pair.start();
    for round in 0..soak(4) {
        let collected = pair.deliveries().len();
        active.wait_for("windows of this round", || {
            (pair.deliveries().len() > collected + 10).then_some(())
        });
        active.kill();
        standby.wait_until_ready();
        let setups = [&pair.a, &pair.b];
        active = std::mem::replace(&mut standby, setups[round as usize % 2].start());
    }
    active.kill();
    standby.kill();
    let exporter = "\"PerformanceExporterFile\"";
    let both = format!("{exporter}, \"EveryRecord\"");
    let config = without_storages.replacen(exporter, &both, 1) + EVERY_RECORD;
    let a = pair.a.with_whole_config(&config);
    let host = a.start();
    host.wait_until_ready();
    eprintln!("{} windows", assert_each_window_once(&host, &a));
}

/// A storage whose driver knows the past, so that no window need be missed.
fn storage() -> Value {
    json!({
        "vendor": "fake_storage",
        "model": "fake_driver",
        "rest": {"host": "192.0.2.7", "port": 1, "username": "admin", "password": "correct-horse"},
        "extra_attributes": {
            "storage_pools": "0", "volumes": "1", "disks": "0", "is_historic": "true"
        }
    })
}

fn alert(category: &str) -> Value {
    json!([{
        "storage_id": "s1", "alert_id": "1", "alert_name": "fan", "category": category, "severity": "Major",
        "sequence_number": "7", "occur_time": 1_700_000_000_000_i64,
    }])
}

/// What a command prints that uses the socket of the host, which needs no token.
fn ask(setup: &Setup, args: &[&str]) -> String {
    setup.run(args).expect_exit(0).stdout
}

/// What the API answers a client that shows a token.
fn authorized(host: &Host, token: &str, path: &str) -> Value {
    let request = ureq::get(format!("{}{path}", host.url()))
        .header("Authorization", format!("Bearer {token}"));
    let answer = request
        .call()
        .and_then(|mut answer| answer.body_mut().read_to_string());
    answer
        .ok()
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default()
}

#[test]
fn a_pair_without_a_shared_folder_loses_nothing_when_the_active_host_is_killed() {
    let (Some(broker), Some(pair)) = (KafkaBroker::start(), Pair::new(SHORT)) else {
        return;
    };
    let mut pair = pair.on_kafka(&broker.servers(), 1);
    let (a, b) = pair.start();
    let (status, answer) = a.send("POST", "/v1/storages", Some(&storage()));
    assert_eq!(status, 201, "{answer}");
    let id = answer["id"].as_str().unwrap_or_default().to_owned();
    let set_polling = |is_on: bool| {
        let polling = json!({"array_polling": {
            "perf_collection": is_on, "interval": 1, "is_historic": true
        }});
        let path = format!("/v1/storages/{id}/metrics-config");
        assert_eq!(a.send("PUT", &path, Some(&polling)).0, 200);
    };
    set_polling(true);
    assert_eq!(a.ingest("alerts", &alert("Fault")).0, 202);
    let has = |setup: &Setup, args: &[&str], text: &str| {
        let shows = || ask(setup, args).contains(text).then_some(());
        a.wait_for(text, shows);
    };
    has(&pair.a, &["alerts", "list"], "fan");
    has(
        &pair.a,
        &["storages", "resources", &id, "--kind", "volumes"],
        "volume_0",
    );
    // The next host could also make alerts of the journal, and ask the storage.
    for rows in [
        "delfin_active_alerts WHERE identity LIKE '%fan%'".to_owned(),
        format!("delfin_resource_lists WHERE storage_id = '{id}' AND kind = 'volumes'"),
    ] {
        let count = format!("SELECT count(*) FROM {rows}");
        a.wait_for(&rows, || {
            (pair.database.execute(&count).trim() == "1").then_some(())
        });
    }
    a.wait_for("a window in the journal", || {
        let (_, collection) = a.get("/v1/collection");
        collection["storages"][0]["window_age_seconds"]
            .is_number()
            .then_some(())
    });
    // Nothing is collected from now on: until when the storage is collected, the next host has from the journal.
    set_polling(false);
    let paused = ask(&pair.a, &["exporters", "pause", "PerformanceExporterFile"]);
    assert!(paused.contains("PerformanceExporterFile"), "{paused}");
    let token = ask(&pair.a, &["tokens", "add", "ops", "--scope", "admin"]);
    for host in [&a, &b] {
        host.wait_for("a host that asks for a token", || {
            (host.get("/v1/members").0 == 401).then_some(())
        });
    }

    a.kill();
    b.wait_until_ready();
    assert_eq!(b.get("/v1/storages").0, 401);
    let collection = authorized(&b, token.trim(), "/v1/collection");
    let storage = &collection["storages"][0];
    assert_eq!(storage["id"], id, "{collection}");
    assert!(storage["window_age_seconds"].is_number(), "{collection}");
    assert!(ask(&pair.b, &["alerts", "list"]).contains("fan"));
    let resources = ask(
        &pair.b,
        &["storages", "resources", &id, "--kind", "volumes"],
    );
    assert!(resources.contains("volume_0"), "{resources}");
    let exporters = ask(&pair.b, &["exporters"]);
    assert!(exporters.contains("paused"), "{exporters}");
    ask(&pair.b, &["exporters", "resume", "PerformanceExporterFile"]);
    pair.b
        .write("recovery.json", &alert("Recovery").to_string());
    ask(
        &pair.b,
        &["push", "alerts", &a_path(&pair.b, "recovery.json")],
    );
    b.wait_for("no active alert", || {
        (!ask(&pair.b, &["alerts", "list"]).contains("fan")).then_some(())
    });
    b.wait_for("everything delivered", || {
        let exporter = &authorized(&b, token.trim(), "/v1/exporters")["exporters"][0];
        (exporter["delivered"].as_u64() > Some(0) && exporter["pending"] == 0).then_some(())
    });

    pair.assert_no_state_is_in_a_folder();
    pair.assert_a_host_with_its_state_in_a_folder_stays_standby();
    pair.assert_a_change_without_the_database_is_refused_as_a_whole(&id);
}

#[test]
fn check_says_whether_the_database_can_be_used() {
    let Some(mut pair) = Pair::new(SHORT) else {
        return;
    };
    let checked = pair.a.run(&["check"]).expect_exit(0).stdout;
    let line = format!(
        "ok      cluster delfin as member a (127.0.0.1:{})",
        pair.database.port()
    );
    assert!(checked.contains(&line), "{checked}");
    let checked = pair.a.run(&["check", "--connect"]).expect_exit(0).stdout;
    assert!(
        checked.contains("ok      connection of cluster delfin"),
        "{checked}"
    );
    pair.database.kill();
    let checked = pair.a.run(&["check", "--connect"]).expect_exit(1).stdout;
    let refused = "connection refused (start the receiver, or check its address and port)";
    assert!(checked.contains(refused), "{checked}");
}
