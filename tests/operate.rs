//! What operators do with single exporters: pause, resume, skip, rename, forget.

use delfin_tests::{CommandOutput, Host, Setup, one_series};
use serde_json::{Value, json};

const OLD: &str = "old";
const NEW: &str = "new";

const CONFIG: &str = r#"
performance_exporters = ["old"]
[exporter.old]
plugin = "PerformanceExporterScripted"
[exporter.old.retry]
initial_interval = "10ms"
max_interval = "50ms"
[exporter.old.config]
script = "@/script"
received = "@/received"
"#;

fn ingest(host: &Host, points: u64) {
    let (status, receipt) = host.ingest("performance", &one_series("iops", points));
    assert_eq!(status, 202, "{receipt}");
}

fn run(setup: &Setup, host: &Host, args: &[&str]) -> CommandOutput {
    setup.run(&[&["exporters"], args, &["--host", host.url()]].concat())
}

fn is_paused(exporter: &Value) -> bool {
    let reason = exporter["last_error"].as_str().unwrap_or_default();
    exporter["state"] == "paused" && reason.starts_with("paused by an operator")
}

fn unaccounted(host: &Host, exporter: &str) -> f64 {
    let metrics = host.metrics();
    metrics.of_exporter(exporter, "delfin_host_exporter_unaccounted_items")
}

#[test]
fn a_pause_lasts_over_reloads_and_restarts_until_it_is_ended() {
    let setup = Setup::new(&["scripted"], CONFIG);
    setup.write("script", "deliver");
    let host = setup.start();
    ingest(&host, 1);
    host.wait_for_delivered(OLD, 1);
    for _ in 0..2 {
        let paused = run(&setup, &host, &["pause", OLD]).expect_exit(0);
        assert_eq!(paused.stdout, "old: is paused\n");
    }
    host.wait_for_exporter(OLD, "paused", is_paused);
    ingest(&host, 2);
    let reloaded = setup.run(&["reload", "--json", "--host", host.url()]);
    assert_eq!(reloaded.expect_exit(0).json()["unchanged"], json!([OLD]));
    // A changed exporter is started again, and does not start to deliver.
    let setup = setup.with_config(&CONFIG.replace("50ms", "60ms"));
    let reloaded = setup.run(&["reload", "--json", "--host", host.url()]);
    assert_eq!(reloaded.expect_exit(0).json()["changed"], json!([OLD]));
    host.wait_for_exporter(OLD, "paused", is_paused);
    let (status, log) = host.stop();
    assert!(status.success(), "{log}");

    let host = setup.start();
    let exporter = host.wait_for_exporter(OLD, "paused", is_paused);
    assert_eq!(
        (&exporter["pending"], &exporter["delivered"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(setup.lines("received").len(), 1);
    let resumed = run(&setup, &host, &["resume", OLD]).expect_exit(0);
    assert_eq!(resumed.stdout, "old: tries again now\n");
    host.wait_for_delivered(OLD, 3);
    let exporter =
        host.wait_for_exporter(OLD, "running", |exporter| exporter["state"] == "running");
    assert_eq!(exporter["last_error"], Value::Null);
    drop(host);
    let host = setup.start();
    ingest(&host, 1);
    host.wait_for_delivered(OLD, 4);
}

#[test]
fn skip_drops_what_is_pending_and_later_items_arrive() {
    let setup = Setup::new(&["scripted"], CONFIG);
    setup.write("script", "retry");
    let host = setup.start();
    ingest(&host, 2);
    ingest(&host, 3);
    host.wait_for_exporter(OLD, "retrying", |exporter| exporter["state"] == "retrying");
    let refused = run(&setup, &host, &["skip", OLD]).expect_exit(2);
    assert!(
        refused.stderr.contains(
            "`skip` loses 5 pending items of exporter `old` for good (repeat it with `--yes`)"
        ),
        "{refused:?}"
    );
    let skipped = run(&setup, &host, &["skip", OLD, "--yes"]).expect_exit(0);
    assert_eq!(skipped.stdout, "old: dropped 5 pending items\n");
    let line = host.wait_for_log("dropped the oldest pending items");
    assert!(
        line.contains("items=5") && line.contains("limit=skip"),
        "{line}"
    );
    ingest(&host, 4);
    setup.write("script", "deliver");
    host.wait_for_delivered(OLD, 4);
    let exporter = host.exporter(OLD);
    assert_eq!(
        (&exporter["pending"], &exporter["dropped"]),
        (&json!(0), &json!(5))
    );
    assert_eq!(unaccounted(&host, OLD), 0.0);
}

#[test]
fn a_renamed_exporter_continues_with_the_cursor_and_the_pause_of_the_old_name() {
    let setup = Setup::new(&["scripted"], CONFIG);
    setup.write("script", "deliver");
    let host = setup.start();
    ingest(&host, 1);
    host.wait_for_delivered(OLD, 1);
    let _ = run(&setup, &host, &["pause", OLD]).expect_exit(0);
    ingest(&host, 2);

    let setup = setup.with_config(&CONFIG.replace("old", "new"));
    let _ = setup.run(&["reload", "--host", host.url()]).expect_exit(0);
    let line = host.wait_for_log("an exporter is no longer configured");
    assert!(
        line.contains("exporter=old")
            && line.contains("items=2")
            && line.contains("exporters rename"),
        "{line}"
    );
    let shown = run(&setup, &host, &[]).expect_exit(0).stdout;
    assert!(
        shown.contains(": old (performance), 2 pending in ")
            && shown.contains(" bytes of the journal"),
        "{shown}"
    );
    let metrics = host.metrics();
    assert_eq!(
        metrics.of_exporter(OLD, "delfin_host_removed_exporter_pending_items"),
        2.0
    );
    let renamed = run(&setup, &host, &["rename", OLD, NEW]).expect_exit(0);
    assert_eq!(
        renamed.stdout,
        "old: is renamed to new, with 2 pending items\n"
    );
    host.wait_for_exporter(NEW, "paused", is_paused);
    assert_eq!(unaccounted(&host, NEW), 0.0);
    let (status, log) = host.stop();
    assert!(status.success(), "{log}");

    let host = setup.start();
    let exporter = host.wait_for_exporter(NEW, "paused", is_paused);
    assert_eq!(
        (&exporter["pending"], &exporter["delivered"]),
        (&json!(2), &json!(1))
    );
    let _ = run(&setup, &host, &["resume", NEW]).expect_exit(0);
    host.wait_for_delivered(NEW, 3);
    let gone = run(&setup, &host, &["rename", OLD, NEW]).expect_exit(1);
    assert!(
        gone.stderr.contains("Exporter old could not be found."),
        "{gone:?}"
    );
}

#[test]
fn a_forgotten_exporter_takes_no_room() {
    let setup = Setup::new(&["scripted"], CONFIG);
    setup.write("script", "retry");
    let host = setup.start();
    ingest(&host, 3);
    host.wait_for_exporter(OLD, "pending", |exporter| exporter["pending"] == 3);
    let refused = run(&setup, &host, &["forget", OLD, "--yes"]).expect_exit(1);
    assert!(
        refused.stderr.contains("Exporter old is configured"),
        "{refused:?}"
    );

    let setup = setup.with_config("");
    let _ = setup.run(&["reload", "--host", host.url()]).expect_exit(0);
    let refused = run(&setup, &host, &["forget", OLD]).expect_exit(2);
    assert!(
        refused.stderr.contains("`forget` loses 3 pending items"),
        "{refused:?}"
    );
    let forgotten = run(&setup, &host, &["forget", OLD, "--yes"]).expect_exit(0);
    assert_eq!(
        forgotten.stdout,
        "old: is forgotten, with 3 pending items and 0 dead letters\n"
    );
    let (_, list) = host.get("/v1/exporters");
    assert_eq!(list, json!({"exporters": []}));
    let logged = host.wait_for_log("ERROR");
    assert!(logged.contains("items=3"), "{logged}");
}
