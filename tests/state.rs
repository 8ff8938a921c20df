//! `state backup`, `restore` and `verify` with a real host, also one that is killed.

#![expect(clippy::expect_used, reason = "a test says by a panic that it failed")]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Stdio},
};

use delfin_tests::{CommandOutput, Host, Setup, runs_windows, wait_for};
use rusqlite::Connection;
use serde_json::{Value, json};

const EXPORTER: &str = "PerformanceExporterScripted";

const CONFIG: &str = r#"
performance_exporters = "PerformanceExporterScripted"
[exporter.PerformanceExporterScripted.retry]
initial_interval = "20ms"
max_interval = "100ms"
[exporter.PerformanceExporterScripted.config]
script = "@/script"
received = "@/received"
[log]
audit_file = "@/audit.log"
"#;

const PASSWORD: &str = "correct-horse-battery-staple";

fn setup() -> Setup {
    let setup = Setup::new(&["scripted"], CONFIG);
    setup.write("script", "retry");
    setup
}

fn run(setup: &Setup, args: &[&str], exit: i32) -> CommandOutput {
    setup.run(args).expect_exit(exit)
}

/// Accepts a batch of one series with this name and three points.
fn accept(host: &Host, name: &str) {
    let batch =
        json!([{ "name": name, "labels": {}, "values": {"1000": 1, "2000": 2, "3000": 3} }]);
    let (status, answer) = host.ingest("performance", &batch);
    assert_eq!(status, 202, "{answer}");
}

/// Registers a storage with a password, which no driver asks.
fn register(host: &Host) {
    let storage = json!({
        "id": "00000000-0000-0000-0000-000000000007",
        "registration": {
            "vendor": "acme",
            "model": "one",
            "rest": {"host": "192.0.2.7", "port": 1, "username": "admin", "password": PASSWORD},
        },
    });
    let (status, answer) = host.send("POST", "/v1/storages/import", Some(&storage));
    assert!(status < 300, "{status} {answer}");
}

fn storages(host: &Host) -> usize {
    let (_, storages) = host.get("/v1/storages");
    storages["storages"].as_array().map_or(0, Vec::len)
}

fn pending(host: &Host) -> Value {
    host.exporter(EXPORTER)["pending"].clone()
}

/// Nothing was lost, and each item is in one state.
fn assert_accounted(host: &Host) {
    let metrics = host.metrics();
    let unaccounted = metrics.of_exporter(EXPORTER, "delfin_host_exporter_unaccounted_items");
    assert!(unaccounted == 0.0, "{unaccounted}");
    let log = host.log();
    for loss in ["acknowledged items are missing", "were lost", "moved aside"] {
        assert!(!log.contains(loss), "{log}");
    }
}

fn stop_with_everything_delivered(setup: &Setup, host: Host, items: u64) {
    setup.write("script", "deliver");
    host.wait_for_delivered(EXPORTER, items);
    assert_accounted(&host);
    drop(host.stop());
    let report = run(setup, &["state", "verify"], 0);
    assert!(report.stdout.contains("checked "), "{report:?}");
}

#[test]
fn a_backup_of_a_running_host_is_restored_without_a_loss() {
    let setup = setup();
    let host = setup.start();
    register(&host);
    for _ in 0..5 {
        accept(&host, "before");
    }
    let written = run(&setup, &["state", "backup", "one.tar.zst"], 0);
    assert!(written.stdout.starts_with("one.tar.zst: "), "{written:?}");
    let with_keys = run(
        &setup,
        &["state", "backup", "--with-keys", "--json", "keys.tar.zst"],
        0,
    );
    assert!(
        with_keys.stderr.contains("opens the passwords"),
        "{with_keys:?}"
    );
    assert_eq!(with_keys.json()["has_key"], true);
    let backup = setup.path("keys.tar.zst").metadata().expect("a backup");
    let mode = backup.permissions().mode();
    if runs_windows() {
        // Wine shows the rights of administrators as those of the group.
        assert_eq!(mode & 0o007, 0);
    } else {
        assert_eq!(mode & 0o777, 0o600);
    }
    run(&setup, &["state", "verify", "keys.tar.zst"], 0);
    let without = run(&setup, &["state", "verify", "one.tar.zst"], 0);
    assert!(
        without.stderr.contains("the secrets were not opened"),
        "{without:?}"
    );
    run(&setup, &["state", "verify"], 0);
    // The host has noticed nothing, and its state is not replaced while it runs.
    accept(&host, "after");
    assert_eq!(pending(&host), 18);
    assert_accounted(&host);
    let refused = run(&setup, &["state", "restore", "--replace", "one.tar.zst"], 1);
    assert!(refused.stderr.contains("in use"), "{refused:?}");
    host.kill();

    let refused = run(&setup, &["state", "restore", "one.tar.zst"], 1);
    assert!(refused.stderr.contains("`--replace`"), "{refused:?}");
    run(&setup, &["state", "restore", "--replace", "one.tar.zst"], 0);
    let host = setup.start();
    assert_eq!(pending(&host), 15);
    assert_eq!(storages(&host), 1);
    accept(&host, "again");
    stop_with_everything_delivered(&setup, host, 18);
    let audit = fs::read_to_string(setup.path("audit.log")).expect("an audit log");
    for what in ["state backup with keys", "state restore one.tar.zst"] {
        assert!(audit.contains(what), "{audit}");
    }

    // On another machine: without the key, the command says what is missing.
    fs::rename(setup.path("state"), setup.path("old")).expect("a state folder");
    let restored = run(&setup, &["state", "restore", "one.tar.zst"], 0);
    assert!(
        restored.stderr.contains("put `inventory.key` into"),
        "{restored:?}"
    );
    run(
        &setup,
        &["state", "restore", "--replace", "keys.tar.zst"],
        0,
    );
    let host = setup.start();
    assert_eq!(storages(&host), 1);
    stop_with_everything_delivered(&setup, host, 15);
}

#[test]
fn every_entry_of_a_state_folder_is_in_the_backup_or_left_out_on_purpose() {
    let setup = setup();
    let host = setup.start();
    register(&host);
    accept(&host, "one");
    run(
        &setup,
        &["tokens", "add", "ops", "--scope", "read,ingest,admin"],
        0,
    );
    let left_out = [
        "alerts.db-shm",
        "alerts.db-wal",
        "alerts.mark",
        "alerts.reserve",
        "alerts-active.db-shm",
        "alerts-active.db-wal",
        "api.sock",
        "calls",
        "inventory.db-shm",
        "inventory.db-wal",
        "inventory.key",
        "lock",
        "performance.db-shm",
        "performance.db-wal",
        "performance.mark",
        "performance.reserve",
        "plugin-cache",
        "resources.db-shm",
        "resources.db-wal",
        "tokens.lock",
        "clock.new",
    ];
    fs::write(
        setup.path("state/exporters").join(EXPORTER).join("file"),
        "x",
    )
    .expect("a file");
    run(&setup, &["state", "backup", "backup"], 0);
    host.kill();
    let backup = fs::File::open(setup.path("backup")).expect("a backup");
    let mut tar = Vec::new();
    zstd::stream::copy_decode(backup, &mut tar).expect("zstd");
    for entry in fs::read_dir(setup.path("state")).expect("a state folder") {
        let name = entry
            .expect("an entry")
            .file_name()
            .into_string()
            .expect("a name");
        let is_archived =
            contains(&tar, &format!("{name}\0")) || contains(&tar, &format!("{name}/"));
        assert_ne!(is_archived, left_out.contains(&&*name), "{name}");
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[test]
fn the_state_is_copied_before_its_schema_is_migrated_and_the_copy_is_delivered() {
    let setup = setup();
    let host = setup.start();
    for _ in 0..4 {
        accept(&host, "before");
    }
    host.kill();
    let inventory = Connection::open(setup.path("state/inventory.db")).expect("an inventory");
    let older = "DROP TABLE alert_sources; ALTER TABLE storages DROP COLUMN labels;
                 PRAGMA user_version = 1;";
    inventory.execute_batch(older).expect("an older inventory");
    drop(inventory);

    // The newer host copies, migrates and delivers.
    setup.write("script", "deliver");
    let host = setup.start();
    let line = host.wait_for_log("copied the state before its schema is migrated");
    assert!(
        line.contains("inventory.db 1 -> ") && line.contains("kept=2"),
        "{line}"
    );
    host.wait_for_delivered(EXPORTER, 12);
    drop(host.stop());
    let copies = fs::read_dir(setup.path("state/migration-copies")).expect("copies");
    let copies: Vec<_> = copies.map(|copy| copy.expect("a copy").path()).collect();
    let [copy] = &copies[..] else {
        panic!("{copies:?}");
    };
    // The older one goes on with the copy: what was pending then is delivered again.
    let copy = copy.to_str().expect("a path");
    run(&setup, &["state", "verify", copy], 0);
    run(&setup, &["state", "restore", "--replace", copy], 0);
    let version = Connection::open(setup.path("state/inventory.db")).expect("an inventory");
    let version: i64 = version
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .expect("a version");
    assert_eq!(version, 1);
    let host = setup.start();
    stop_with_everything_delivered(&setup, host, 12);
}

/// Runs a command, and kills it once a path exists, or has let it end.
fn killed_at(setup: &Setup, args: &[&str], path: &Path) {
    let mut command = setup.command(args);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child: Child = command.spawn().expect("a command");
    wait_for("a step of the command", || {
        let is_there = path.exists();
        (is_there || child.try_wait().expect("a process").is_some()).then_some(())
    });
    // It may have ended by itself.
    let _ = child.kill();
    child.wait().expect("an end");
}

#[test]
fn a_command_that_is_killed_leaves_the_old_state_or_the_new_one() {
    let setup = setup();
    let host = setup.start();
    for _ in 0..40 {
        accept(&host, "first");
    }
    run(&setup, &["state", "backup", "first"], 0);
    accept(&host, "second");
    host.kill();
    // A backup: it exists whole, or not at all, and the next one succeeds.
    for step in [
        ".b.partial",
        ".b.partial/state",
        ".b.partial/state/performance.db",
        ".b.partial/archive",
        "b",
    ] {
        killed_at(&setup, &["state", "backup", "b"], &setup.path(step));
        if setup.path("b").exists() {
            run(&setup, &["state", "verify", "b"], 0);
            fs::remove_file(setup.path("b")).expect("a backup");
        }
    }
    run(&setup, &["state", "backup", "b"], 0);
    assert!(!setup.path(".b.partial").exists());
    // A restore: the host finds 40 batches or 41, and all of them.
    for step in [
        "restore.partial",
        "restore.partial/performance.db",
        "restore.ready",
        "restore.moving",
    ] {
        let step = setup.path("state").join(step);
        killed_at(&setup, &["state", "restore", "--replace", "first"], &step);
        let host = setup.start();
        assert_accounted(&host);
        let pending = pending(&host);
        assert!(pending == 120 || pending == 123, "{pending}");
        host.kill();
        run(&setup, &["state", "restore", "--replace", "b"], 0);
    }
    let host = setup.start();
    stop_with_everything_delivered(&setup, host, 123);
}

#[test]
fn verify_names_what_is_wrong_and_what_to_do_and_fails() {
    let setup = setup();
    let host = setup.start();
    register(&host);
    accept(&host, "one");
    accept(&host, "two");
    drop(host.stop());
    let journal = Connection::open(setup.path("state/performance.db")).expect("a journal");
    let damage = "UPDATE batches SET payload = zeroblob(bytes) WHERE seq = 2;";
    journal.execute_batch(damage).expect("a damaged record");
    drop(journal);
    fs::write(setup.path("state/inventory.key"), [7; 32]).expect("another key");
    let report = run(&setup, &["state", "verify"], 1);
    for named in [
        "performance.db: record 2: ",
        "restore a backup)",
        "inventory.db: the key in `inventory.key` does not open",
    ] {
        assert!(report.stdout.contains(named), "{report:?}");
    }
    assert!(report.stderr.contains("has 2 faults"), "{report:?}");
    let report = run(&setup, &["state", "verify", "--json"], 1).json();
    assert_eq!(
        report["faults"].as_array().map(Vec::len),
        Some(2),
        "{report}"
    );
    // A backup of it is restored only on request, with the faults.
    run(&setup, &["state", "backup", "faulty"], 0);
    let refused = run(&setup, &["state", "restore", "--replace", "faulty"], 1);
    assert!(
        refused
            .stderr
            .contains("warning: performance.db: record 2: ")
            && refused
                .stderr
                .contains("`faulty` has faults, and was not restored"),
        "{refused:?}"
    );
    let args = [
        "state",
        "restore",
        "--replace",
        "--accept-faults",
        "--json",
        "faulty",
    ];
    let restored = run(&setup, &args, 0).json();
    assert_eq!(
        restored["faults"].as_array().map(Vec::len),
        Some(2),
        "{restored}"
    );
    // Nothing that is no backup is one.
    setup.write("none", "nothing");
    let refused = run(&setup, &["state", "verify", "none"], 1);
    assert!(
        refused.stderr.contains("is not a sound backup"),
        "{refused:?}"
    );
    run(&setup, &["state", "verify", "missing"], 1);
    run(&setup, &["state"], 2);
}

#[test]
fn a_user_without_rights_learns_who_can_read_the_state() {
    let setup = setup();
    drop(setup.start().stop());
    // Root reads everything, unless it gives up the capability.
    let setup = match rustix::process::geteuid().is_root() {
        true => setup.wrapped_in(&["setpriv", "--bounding-set=-dac_override,-dac_read_search"]),
        false => setup,
    };
    for (name, locked, before) in [("state", 0, 0o700), ("state/alerts.db", 0, 0o600)] {
        let mode = |mode| {
            let permissions = fs::Permissions::from_mode(mode);
            fs::set_permissions(setup.path(name), permissions).expect("a mode");
        };
        mode(locked);
        for args in [&["state", "verify"][..], &["state", "backup", "backup"]] {
            let refused = run(&setup, args, 1);
            let remedy = "(run the command as root, or as the user of the host): Permission denied";
            assert!(refused.stderr.contains(remedy), "{name}: {refused:?}");
            assert_eq!(refused.stdout, "");
        }
        mode(before);
    }
    run(&setup, &["state", "verify"], 0);
}
