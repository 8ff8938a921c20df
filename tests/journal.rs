//! The journal with a full disk, a damaged file, and a newer schema.

#![expect(clippy::expect_used, reason = "a test says by a panic that it failed")]

use std::{
    fs,
    io::{Seek, SeekFrom, Write},
};

use delfin_tests::{Disk, Host, Setup};
use rand::{RngCore, SeedableRng, rngs::StdRng};
use rusqlite::Connection;
use serde_json::{Value, json};

const EXPORTER: &str = "PerformanceExporterScripted";

const SCRIPTED: &str = r#"
performance_exporters = "PerformanceExporterScripted"
[exporter.PerformanceExporterScripted.retry]
initial_interval = "20ms"
max_interval = "100ms"
[exporter.PerformanceExporterScripted.config]
script = "@/script"
received = "@/received"
"#;

/// A batch with this many points that does not compress.
fn batch(points: i64) -> Value {
    let mut noise = StdRng::seed_from_u64(points.unsigned_abs());
    let values = (0..points).map(|time| {
        let value = f64::from(noise.next_u32()) * f64::from(noise.next_u32());
        (time.to_string(), json!(value))
    });
    json!([{ "name": "noise", "labels": {}, "values": values.collect::<serde_json::Map<_, _>>() }])
}

fn accepted(host: &Host, points: i64) {
    let (status, answer) = host.ingest("performance", &batch(points));
    assert_eq!(status, 202, "{answer}");
}

/// A host whose state is on a small disk.
fn on_disk(min_free_bytes: &str, size: &str) -> Option<(Disk, Setup)> {
    let setup = Setup::new(&["scripted"], "").with_whole_config(&format!(
        r#"
plugin_dirs = ["@/plugins"]
plugin_cache_dir = "@/cache"
state_dir = "@/disk/state"
{SCRIPTED}
[api]
listen = "127.0.0.1:0"
[journal]
min_free_bytes = "{min_free_bytes}"
"#
    ));
    let disk = Disk::mount(setup.path("disk"), size)?;
    Some((disk, setup))
}

/// Sends batches until one is refused: the number of accepted items.
fn ingest_until_full(host: &Host) -> i64 {
    let mut taken = 0;
    let body = batch(50_000);
    let refusal = host.wait_for("a refusal", || {
        let (status, answer) = host.ingest("performance", &body);
        if status == 202 {
            taken += 50_000;
            return None;
        }
        Some((status, answer))
    });
    assert_full(&refusal);
    taken
}

fn assert_full((status, answer): &(u16, Value)) {
    assert_eq!(*status, 507, "{answer}");
    assert_eq!(answer["error_code"], "JournalFull", "{answer}");
    let message = answer["error_msg"].as_str().unwrap_or_default();
    assert!(message.contains("`journal.min_free_bytes`"), "{answer}");
    assert!(answer["error_args"].is_array(), "{answer}");
}

fn pending(host: &Host) -> i64 {
    host.exporter(EXPORTER)["pending"].as_i64().unwrap_or(-1)
}

/// Sends a batch until it is accepted.
fn ingest_again(host: &Host) {
    host.wait_for("a batch to be taken again", || {
        let (status, answer) = host.ingest("performance", &batch(10));
        if status != 202 {
            assert_full(&(status, answer));
            return None;
        }
        Some(())
    });
}

fn assert_accounted(host: &Host) {
    let unaccounted = host.metrics();
    let unaccounted = unaccounted.of_exporter(EXPORTER, "delfin_host_exporter_unaccounted_items");
    assert!(
        unaccounted == 0.0,
        "{unaccounted} items are unaccounted for"
    );
}

#[test]
fn below_min_free_bytes_batches_are_refused_until_there_is_space() {
    let Some((_disk, setup)) = on_disk("16MiB", "40m") else {
        return;
    };
    setup.write("script", "retry");
    let host = setup.start();
    let taken = ingest_until_full(&host);
    assert!(taken > 0);
    assert_eq!(pending(&host), taken);
    let (ready, _) = host.get("/healthz");
    assert_eq!(ready, 200);
    host.kill();

    let host = setup.start();
    // A checkpoint has moved the write-ahead log to the file, and its space may hold another batch.
    let taken = taken + ingest_until_full(&host);
    setup.write("script", "deliver");
    host.wait_for_exporter(EXPORTER, "nothing pending", |exporter| {
        exporter["pending"] == 0
    });
    ingest_again(&host);
    host.wait_for_exporter(EXPORTER, "all", |exporter| {
        exporter["delivered"] == taken + 10
    });
    assert_accounted(&host);
    let (status, log) = host.stop();
    assert!(status.success(), "{log}");
}

#[test]
fn a_disk_that_other_programs_fill_refuses_batches_and_loses_none() {
    let Some((disk, setup)) = on_disk("0", "48m") else {
        return;
    };
    setup.write("script", "retry");
    let host = setup.start();
    accepted(&host, 50_000);
    disk.fill();
    let taken = 50_000 + ingest_until_full(&host);
    assert_eq!(pending(&host), taken);
    host.kill();

    let host = setup.start();
    setup.write("script", "deliver");
    host.wait_for_exporter(EXPORTER, "all that was taken", |exporter| {
        exporter["delivered"] == taken
    });
    host.wait_for_log("disk is full, the reserve of the journal was released");
    disk.free();
    ingest_again(&host);
    host.wait_for_exporter(EXPORTER, "all", |exporter| {
        exporter["delivered"] == taken + 10
    });
    assert_accounted(&host);
    let (status, log) = host.stop();
    assert!(status.success(), "{log}");
}

fn stopped_with_a_batch_pending() -> Setup {
    let setup = Setup::new(&["scripted"], SCRIPTED);
    setup.write("script", "retry");
    let host = setup.start();
    accepted(&host, 5);
    let (status, log) = host.stop();
    assert!(status.success(), "{log}");
    setup
}

fn overwrite(setup: &Setup, at: u64, bytes: &[u8]) {
    let file = fs::OpenOptions::new()
        .write(true)
        .open(setup.path("state/performance.db"));
    let mut file = file.expect("open the journal");
    file.seek(SeekFrom::Start(at)).expect("seek");
    file.write_all(bytes).expect("write");
}

#[test]
fn a_journal_of_random_bytes_is_moved_aside_and_the_host_reports_the_loss() {
    let setup = stopped_with_a_batch_pending();
    let length = fs::metadata(setup.path("state/performance.db"))
        .expect("the journal")
        .len();
    let mut noise = vec![0; usize::try_from(length).expect("a length")];
    StdRng::seed_from_u64(1).fill_bytes(&mut noise);
    overwrite(&setup, 0, &noise);
    setup.write("script", "deliver");

    let host = setup.start();
    let aside = host.wait_for_log("journal is damaged and was moved aside");
    assert!(
        aside.contains(" ERROR ") && aside.contains("performance.db.corrupt-"),
        "{aside}"
    );
    let lost = host.wait_for_log("its pending items are lost");
    assert!(lost.contains(" ERROR "), "{lost}");
    accepted(&host, 7);
    host.wait_for_delivered(EXPORTER, 7);
    assert_accounted(&host);
}

#[test]
fn a_damaged_table_is_reported_with_the_loss_of_each_exporter() {
    let setup = stopped_with_a_batch_pending();
    let journal = Connection::open(setup.path("state/performance.db")).expect("open the journal");
    let number = |query: &str| journal.query_row(query, [], |row| row.get::<_, u64>(0));
    let page = number("SELECT rootpage FROM sqlite_schema WHERE name = 'batches'");
    let size = number("PRAGMA page_size").expect("the size of a page");
    let (page, at) = page
        .map(|page| (page, (page - 1) * size))
        .expect("the page");
    drop(journal);
    assert!(page > 1);
    overwrite(&setup, at, &[0xff; 64]);
    setup.write("script", "deliver");

    let host = setup.start();
    host.wait_for_log("journal is damaged and was moved aside");
    let lost = host.wait_for_log("items were lost with the damaged journal");
    for part in [" ERROR ", "exporter=PerformanceExporterScripted", "items=5"] {
        assert!(lost.contains(part), "{lost}");
    }
    ingest_again(&host);
    host.wait_for_delivered(EXPORTER, 10);
    assert_eq!(host.exporter(EXPORTER)["dropped"], 5);
    assert_accounted(&host);
}

#[test]
fn a_journal_of_a_newer_host_is_refused_in_one_line() {
    let setup = stopped_with_a_batch_pending();
    // The offset of `user_version` in a SQLite file.
    overwrite(&setup, 60, &99_u32.to_be_bytes());
    let output = setup.run(&["run"]).expect_exit(1);
    let refusals: Vec<&str> = output
        .stderr
        .lines()
        .filter(|line| line.contains("schema version"))
        .collect();
    let [refusal] = refusals[..] else {
        panic!("{output:?}");
    };
    for part in [
        "error: ",
        "performance.db",
        "schema version 99, this host needs 5",
        "state_dir",
    ] {
        assert!(refusal.contains(part), "{refusal}");
    }
    // The file is unchanged: the host that wrote it can still use it.
    overwrite(&setup, 60, &5_u32.to_be_bytes());
    setup.write("script", "deliver");
    let host = setup.start();
    host.wait_for_delivered(EXPORTER, 5);
}

#[test]
fn an_idempotency_key_is_known_after_a_kill() {
    let setup = Setup::new(&["scripted"], SCRIPTED);
    let host = setup.start();
    let (status, first) = host.ingest_with_key("key-1", &batch(3));
    assert_eq!(status, 202, "{first}");
    host.kill();

    let host = setup.start();
    let (status, again) = host.ingest_with_key("key-1", &batch(3));
    assert_eq!(
        (status, &again["batch_id"]),
        (202, &first["batch_id"]),
        "{again}"
    );
    let (status, other) = host.ingest_with_key("key-2", &batch(3));
    assert_eq!(status, 202, "{other}");
    assert_ne!(other["batch_id"], first["batch_id"]);
    host.wait_for_delivered(EXPORTER, 6);
    assert_eq!(pending(&host), 0);
}
