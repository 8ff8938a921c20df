//! The commands that show a running host live: `exporters --watch`, `top` and `tap`.

#![expect(clippy::expect_used, reason = "a test says by a panic that it failed")]

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    process::Command,
    time::Duration,
};

use delfin_tests::{CommandLines, Host, PATIENCE, Setup, TerminalCommand, one_series, wait_for};
use rustix::process::Signal;
use serde_json::{Value, json};

const FILE: &str = r#"
performance_exporters = ["PerformanceExporterFile"]
[exporter.PerformanceExporterFile.config]
path = "@/out.jsonl"
"#;

/// How long to wait for a line before something is done for it.
const POLL: Duration = Duration::from_millis(100);

fn asking(setup: &Setup, host: &Host, args: &[&str]) -> Command {
    setup.command(&[args, &["--host", host.url()]].concat())
}

fn started() -> (Setup, Host) {
    let setup = Setup::new(&["file"], FILE);
    let host = setup.start();
    let (status, receipt) = host.ingest("performance", &one_series("iops", 3));
    assert_eq!(status, 202, "{receipt}");
    host.wait_for_delivered("PerformanceExporterFile", 3);
    (setup, host)
}

#[test]
fn watch_shows_the_exporters_again_and_json_is_one_line_each_time() {
    let (setup, host) = started();
    let watched = asking(&setup, &host, &["exporters", "--watch", "1", "--json"]);
    let lines = CommandLines::of(watched);
    for points in [3, 5] {
        // The first line is of the time when the command started.
        let delivered = loop {
            let line: Value = serde_json::from_str(&lines.next()).expect("a line is a document");
            let delivered = line["exporters"][0]["delivered"].as_u64();
            if delivered == Some(points) {
                break delivered;
            }
        };
        assert_eq!(delivered, Some(points));
        assert_eq!(host.ingest("performance", &one_series("iops", 2)).0, 202);
    }
    let lines = CommandLines::of(asking(&setup, &host, &["exporters", "--watch", "1"]));
    for _ in 0..2 {
        let time = lines.next();
        assert!(time.starts_with("20") && time.ends_with('Z'), "{time}");
        assert!(lines.next().starts_with("exporter "));
        assert!(lines.next().starts_with("PerformanceExporterFile "));
        let rest = [lines.next(), lines.next(), lines.next()];
        assert_eq!(rest, ["", "1 exporter: 1 running", ""]);
    }
}

#[test]
fn top_starts_takes_keys_follows_the_size_and_gives_the_terminal_back() {
    let (setup, host) = started();
    let top = TerminalCommand::start(asking(&setup, &host, &["top", "--interval", "1"]));
    top.wait_for(&["PerformanceExporterFile", "running", "Active alerts"]);
    assert!(!top.is_cooked());
    top.press("\r");
    top.wait_for(&["no dead letters", "last success"]);
    top.press("\u{1b}");
    top.wait_for(&["Active alerts"]);
    // A small window has no room for the alerts; a large one shows them again.
    top.resize(80, 10);
    wait_for("a screen without alerts", || {
        let shown = top.with_screen(vt100::Screen::contents);
        (shown.contains("running") && !shown.contains("alerts")).then_some(())
    });
    top.resize(120, 30);
    top.wait_for(&["Active alerts"]);
    top.press("q");
    let _ = top.expect_end(0);
}

#[test]
fn top_gives_the_terminal_back_on_a_signal() {
    let (setup, host) = started();
    for signal in [Signal::TERM, Signal::HUP] {
        let top = TerminalCommand::start(asking(&setup, &host, &["top"]));
        top.wait_for(&["PerformanceExporterFile"]);
        top.signal(signal);
        let _ = top.expect_end(0);
    }
}

#[test]
fn top_says_what_to_use_without_a_terminal_and_fails_without_a_host() {
    let (setup, host) = started();
    let output = setup.run(&["top", "--host", host.url()]).expect_exit(2);
    assert_eq!(
        output.stderr,
        "error: `top` needs a terminal (use `exporters --watch` without one, or with `--json`)\n"
    );
    drop(host);
    let mut top = TerminalCommand::start(setup.command(&["top", "--host", "127.0.0.1:9"]));
    assert_eq!(top.wait(), Some(4));
    top.wait_for(&["cannot reach the host"]);
    assert!(!top.with_screen(vt100::Screen::alternate_screen));
}

#[test]
fn tap_shows_a_sample_of_what_passes_and_delays_nothing() {
    let (setup, host) = started();
    let exporter = "PerformanceExporterFile";
    let tap = |args: &[&str]| {
        let args = [&["tap", "--json"], args].concat();
        CommandLines::of(asking(&setup, &host, &args))
    };
    let sent = tap(&["--exporter", exporter, "--name", "io*"]);
    let accepted = tap(&["--storage", "array-7"]);
    let row = |name: &str, storage: &str| json!({"name": name, "labels": {"storage_id": storage}, "values": {"1": 2.5}});
    // The taps open in their own time.
    let first = |tap: &CommandLines| -> Value {
        let line = wait_for("a tapped row", || {
            let rows = json!([row("iops", "array-7"), row("latency", "b")]);
            assert_eq!(host.ingest("performance", &rows).0, 202);
            tap.next_within(POLL)
        });
        serde_json::from_str(&line).expect("a line is a document")
    };
    let series = first(&accepted);
    assert_eq!(
        (&series["name"], &series["storage_id"]),
        (&json!("iops"), &json!("array-7"))
    );
    assert_eq!(
        (&series["points"], &series["value"]),
        (&json!(1), &json!(2.5))
    );
    assert_eq!(series.get("outcome"), None);
    let series = first(&sent);
    assert_eq!(
        (&series["name"], &series["outcome"]),
        (&json!("iops"), &json!("delivered"))
    );

    // More than a second has room for: some are shown, the others are counted, all are delivered.
    let many = (0..500).map(|pool| {
        let labels = json!({"storage_id": "array-7", "pool": pool.to_string()});
        json!({"name": "iops", "labels": labels, "values": {"1": 2.5}})
    });
    let many = Value::from_iter(many);
    assert_eq!(host.ingest("performance", &many).0, 202);
    let left_out = loop {
        let line: Value = serde_json::from_str(&accepted.next()).expect("a line is a document");
        if let Some(rows) = line["left_out"].as_u64() {
            break rows;
        }
    };
    assert!(left_out >= 480, "{left_out}");
    host.wait_for_exporter(exporter, "nothing is pending", |exporter| {
        exporter["pending"] == 0
    });

    let refused = setup.run(&["tap", "--exporter", "none", "--host", host.url()]);
    let refused = refused.expect_exit(1);
    assert_eq!(refused.stderr, "error: Exporter none could not be found.\n");
    // Clients may send rows of any storage.
    let unknown =
        CommandLines::of_messages(asking(&setup, &host, &["tap", "--storage", "array-8"]));
    let warning = unknown.next();
    assert!(
        warning.starts_with("warning: storage `array-8` is not known to the host"),
        "{warning}"
    );
    let (status, refused) = host.get("/v1/tap?exporter=a&storage_id=b");
    assert_eq!(status, 400, "{refused}");
    // A host that stops waits for no tap.
    let (status, log) = host.stop();
    assert!(status.success(), "{log}");
    assert!(!log.contains("still in progress"), "{log}");
}

/// Opens a tap. Returns its connection, and the status line of the answer.
fn open_tap(host: &Host) -> (TcpStream, String) {
    let address = host.url().trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let path = "/v1/tap?exporter=PerformanceExporterFile";
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").expect("a request");
    let mut status = String::new();
    let mut reader = BufReader::new(&stream);
    reader.read_line(&mut status).expect("an answer");
    (stream, status)
}

#[test]
fn the_places_of_taps_that_have_ended_are_free_again() {
    let (_setup, host) = started();
    let taps: Vec<_> = (0..8).map(|_| open_tap(&host)).collect();
    for (_, status) in &taps {
        assert!(status.starts_with("HTTP/1.1 200"), "{status}");
    }
    let (_, status) = open_tap(&host);
    assert!(status.starts_with("HTTP/1.1 429"), "{status}");
    drop(taps);
    host.wait_for("a free place", || {
        let (_, status) = open_tap(&host);
        status.starts_with("HTTP/1.1 200").then_some(())
    });
}
