//! An exporter in a process of its own: what its plugin does reaches neither the host nor
//! another exporter, and loses nothing.

use delfin_tests::{Host, Setup, end_process, process_timeout, runs_windows};
use serde_json::{Value, json};

const SCRIPTED: &str = "PerformanceExporterScripted";

const TWO: &str = r#"
performance_exporters = ["PerformanceExporterFile", "PerformanceExporterScripted"]
[exporter.PerformanceExporterFile]
isolation = "thread"
[exporter.PerformanceExporterFile.config]
path = "@/out.jsonl"
[exporter.PerformanceExporterScripted]
isolation = "process"
timeout = "TIMEOUT"
[exporter.PerformanceExporterScripted.limits]
memory = "256MiB"
[exporter.PerformanceExporterScripted.retry]
initial_interval = "20ms"
max_interval = "100ms"
[exporter.PerformanceExporterScripted.config]
script = "@/script"
received = "@/received"
rows = "@/rows"
"#;

fn two() -> Setup {
    let config = TWO.replace("TIMEOUT", process_timeout("2s"));
    Setup::new(&["file", "scripted"], &config)
}

/// A batch with a series of one point for each name.
fn batch(names: &[String]) -> Value {
    let series = names.iter().map(|name| {
        let labels = json!({ "storage_id": "s1", "resource_type": "disk", "resource_id": name });
        json!({ "name": name, "labels": labels, "values": { "1700000000000": 1.5 } })
    });
    Value::from_iter(series)
}

fn ingest(host: &Host, names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let (status, receipt) = host.ingest("performance", &batch(&names));
    assert_eq!(status, 202, "{receipt}");
    receipt["batch_id"].as_str().unwrap_or_default().to_owned()
}

/// Waits for an error of the exporter that contains a text.
fn wait_for_error(host: &Host, text: &str) -> Value {
    host.wait_for_exporter(SCRIPTED, text, |exporter| {
        let error = exporter["last_error"].as_str();
        error.is_some_and(|error| error.contains(text))
    })
}

fn stop(host: Host) -> String {
    let (status, log) = host.stop();
    assert!(status.success(), "{status}\n{log}");
    log
}

#[test]
fn batches_arrive_and_what_the_plugin_logs_and_prints_is_in_the_log() {
    let setup = two();
    setup.write("script", "log");
    let host = setup.start();
    let batch_id = ingest(&host, &["iops", "latency"]);
    host.wait_for_delivered(SCRIPTED, 2);
    assert_eq!(setup.lines("received"), [format!("{batch_id} 2 1")]);
    let line = host.wait_for_log("logged with log");
    assert!(
        line.contains("exporter=PerformanceExporterScripted"),
        "{line}"
    );
    assert!(line.contains("answer=42"), "{line}");

    setup.write("script", "fill-stderr");
    ingest(&host, &["iops"]);
    host.wait_for_delivered(SCRIPTED, 3);
    let log = stop(host);
    let printed: Vec<&str> = log
        .lines()
        .filter(|line| line.contains(" output: line "))
        .collect();
    assert!(printed.len() > 10, "{}", printed.len());
    assert!(log.contains("lines of output left out"), "{log}");
    assert!(printed.iter().all(|line| line.len() < 4400), "{printed:?}");
}

#[test]
fn a_call_past_its_deadline_ends_its_process_and_the_rows_go_to_the_next() {
    let setup = two();
    setup.write("script", "hang");
    let host = setup.start();
    let batch_id = ingest(&host, &["iops"]);
    host.wait_for_exporter(SCRIPTED, "stuck", |exporter| exporter["state"] == "stuck");
    host.wait_for_delivered("PerformanceExporterFile", 1);
    let ended = wait_for_error(&host, "a call was past its deadline");
    assert_eq!(ended["pending"], 1);
    let error = ended["last_error"].as_str().unwrap_or_default();
    assert!(error.contains(&batch_id), "{error}");
    setup.write("script", "deliver");
    host.wait_for_delivered(SCRIPTED, 1);
    assert_eq!(setup.lines("received").len(), 1);
    assert_eq!(host.exporter(SCRIPTED)["state"], "running");
}

#[test]
fn a_process_that_ends_is_named_and_its_rows_are_delivered_by_the_next() {
    for (word, cause) in [
        ("segfault", "died: SIGSEGV"),
        ("abort", "died: SIGABRT"),
        ("exit", "ended with exit code 0"),
        ("thread-segfault", "died: SIGSEGV"),
        ("thread-exit", "ended with exit code 7"),
        ("stack-overflow", "died: SIGABRT"),
        ("memory", "died: SIGABRT"),
        ("close-descriptors", "the exporter process"),
    ] {
        // What the one who starts the host ignores hides no cause, and reaches no process.
        let setup = two().wrapped_in(&["env", "--ignore-signal=CHLD,QUIT"]);
        setup.write("script", word);
        let host = setup.start();
        let state = setup.path("state/exporters").join(SCRIPTED);
        std::fs::remove_dir(&state).expect("an empty folder");
        let batch_id = ingest(&host, &["iops", "latency"]);
        let died = wait_for_error(&host, cause);
        let error = died["last_error"].as_str().unwrap_or_default();
        assert!(error.contains(&batch_id), "{word}: {error}");
        setup.write("script", "deliver");
        host.wait_for_delivered(SCRIPTED, 2);
        host.wait_for_delivered("PerformanceExporterFile", 2);
        let rows = setup.lines("rows");
        if word == "close-descriptors" {
            // A process that loses its connection has delivered, but cannot say so; neither can
            // one that was started before the script was changed.
            assert!(
                rows.len() >= 4 && rows.len().is_multiple_of(2),
                "{word}: {rows:?}"
            );
        } else {
            assert_eq!(rows.len(), 2, "{word}: {rows:?}");
        }
        assert!(state.exists(), "{word}");
        host.wait_for(
            "a process that ignores SIGPIPE only, as each program in Rust",
            || {
                let pid = host.exporter(SCRIPTED)["pid"].to_string();
                // The C library has numbers above 31 for itself.
                (ignored_signals(&pid)? & 0x7FFF_FFFF == 1 << 12).then_some(())
            },
        );
        stop(host);
    }
}

#[test]
fn a_process_is_the_program_that_runs_also_after_an_upgrade() {
    let setup = two();
    let program = setup.path("program").display().to_string();
    let start_copy = format!("cp \"$0\" {program} && exec {program} \"$@\"");
    let setup = setup.wrapped_in(&["sh", "-c", &start_copy]);
    setup.write("script", "segfault");
    let host = setup.start();
    // As a package manager replaces it.
    setup.write("program", "another version");
    ingest(&host, &["iops"]);
    wait_for_error(&host, "died: SIGSEGV");
    setup.write("script", "deliver");
    host.wait_for_delivered(SCRIPTED, 1);
    stop(host);
}

/// A bit for each signal that a process ignores.
fn ignored_signals(pid: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let mut lines = status.lines();
    let ignored = lines.find_map(|line| line.strip_prefix("SigIgn:\t"))?;
    u64::from_str_radix(ignored, 16).ok()
}

#[test]
fn a_process_is_shown_with_what_it_uses_and_its_restarts_by_reason() {
    let setup = two();
    let host = setup.start();
    ingest(&host, &["iops"]);
    host.wait_for_delivered(SCRIPTED, 1);
    let shown = host.exporter(SCRIPTED);
    let pid = &shown["pid"];
    assert_eq!(shown["isolation"], "process");
    // Wine has numbers of its own.
    assert!(runs_windows() || json!(children(host.pid())) == json!([pid]));
    assert!(shown["resident_bytes"].as_u64() > Some(1 << 20), "{shown}");
    assert!(shown["cpu_seconds"].is_f64(), "{shown}");
    assert_eq!(shown["restarts"]["signal"], 0, "{shown}");

    end_process(pid);
    let next = host.wait_for_exporter(SCRIPTED, "a new process", |exporter| {
        exporter["pid"].is_u64() && exporter["pid"] != *pid
    });
    // Windows has no signals: who ends a process chooses its exit code.
    let (reason, other) = if runs_windows() {
        ("exit", "signal")
    } else {
        ("signal", "exit")
    };
    assert_eq!(next["restarts"][reason], 1, "{next}");
    let metrics = host.metrics();
    let restarts = |reason: &str| {
        let name = "delfin_host_exporter_restarts_total";
        let labels = format!("exporter=\"{SCRIPTED}\",reason=\"{reason}\"");
        let mut samples = metrics.samples().iter();
        let sample = samples.find(|sample| sample.name == name && sample.labels == labels);
        sample.map(|sample| sample.value)
    };
    assert_eq!([restarts(reason), restarts(other)], [Some(1.0), Some(0.0)]);
    let memory = metrics.of_exporter(
        SCRIPTED,
        "delfin_host_exporter_process_resident_memory_bytes",
    );
    assert!(memory > f64::from(1 << 20), "{memory}");
    let file = host.exporter("PerformanceExporterFile");
    assert_eq!(
        (&file["isolation"], &file["pid"]),
        (&json!("thread"), &Value::Null)
    );

    setup.write("script", "exit");
    ingest(&host, &["iops"]);
    host.wait_for_exporter(SCRIPTED, "an exit", |exporter| {
        exporter["restarts"]["exit"].as_u64() > next["restarts"]["exit"].as_u64()
    });
    setup.write("script", "deliver");
    host.wait_for_delivered(SCRIPTED, 2);
    stop(host);
}

#[test]
fn rows_that_end_the_process_become_dead_letters_and_the_others_arrive() {
    let setup = two();
    setup.write("script", "poison");
    let host = setup.start();
    let mut names: Vec<String> = (0..40).map(|number| format!("n{number}")).collect();
    // More ends of the process than it may have without rows that are the reason.
    for name in &mut names[17..21] {
        *name = format!("poison-{name}");
    }
    let (status, receipt) = host.ingest("performance", &batch(&names));
    assert_eq!(status, 202, "{receipt}");
    host.wait_for_delivered(SCRIPTED, 36);
    host.wait_for_exporter(SCRIPTED, "dead letters", |exporter| {
        exporter["dead_lettered"] == 4 && exporter["pending"] == 0
    });
    let (_, stored) = host.get("/v1/dead-letters");
    let reason = stored["dead_letters"][0]["reason"].as_str();
    let cause = if runs_windows() {
        "access violation (0xc0000005)"
    } else {
        "SIGSEGV"
    };
    let expected = format!("the exporter process died: {cause}");
    assert_eq!(reason, Some(&*expected), "{stored}");
    assert_eq!(setup.lines("rows").len(), 36);
    if !runs_windows() {
        // Each half of a half is a part of the one payload, which processes share.
        assert_eq!(encoded(&host, "batch"), 1.0);
        assert_eq!(encoded(&host, "request"), 0.0);
    }
    stop(host);
}

#[test]
fn eight_exporters_encode_a_batch_once_and_each_gets_all_rows() {
    const SERIES: usize = 2000;
    let names: Vec<String> = (0..8).map(|number| format!("e{number}")).collect();
    let tables = names.iter().map(|name| {
        format!(
            "[exporter.{name}]\nplugin = \"{SCRIPTED}\"\nisolation = \"process\"\n\
             [exporter.{name}.config]\nscript = \"@/script\"\nreceived = \"@/received\"\n\
             rows = \"@/{name}\"\n"
        )
    });
    let tables: String = tables.collect();
    let config = format!("performance_exporters = \"{}\"\n{tables}", names.join(","));
    let setup = Setup::new(&["scripted"], &config);
    let host = setup.start();
    // Large and small: a memfd, and bytes in the message.
    for (batches, series) in [(1.0, SERIES), (2.0, 1)] {
        let series: Vec<String> = (0..series).map(|number| format!("n{number}")).collect();
        let (status, receipt) = host.ingest("performance", &batch(&series));
        assert_eq!(status, 202, "{receipt}");
        for name in &names {
            let items = if batches == 1.0 { SERIES } else { SERIES + 1 };
            host.wait_for_delivered(name, items as u64);
        }
        // Processes share no files on Windows.
        assert!(runs_windows() || encoded(&host, "batch") == batches);
    }
    assert!(runs_windows() || encoded(&host, "request") == 0.0);
    for name in &names {
        assert_eq!(setup.lines(name).len(), SERIES + 1, "{name}");
    }
    stop(host);
}

/// How often the host has encoded rows for processes: of a whole batch, or of one request.
fn encoded(host: &Host, of: &str) -> f64 {
    let labels = format!("kind=\"performance\",of=\"{of}\"");
    let metrics = host.metrics();
    let mut samples = metrics.samples().iter();
    let sample = samples.find(|sample| {
        sample.name == "delfin_host_journal_encoded_payloads_total" && sample.labels == labels
    });
    sample.map_or(f64::NAN, |sample| sample.value)
}

#[test]
fn the_process_ends_with_the_host() {
    let setup = two();
    let host = setup.start();
    ingest(&host, &["iops"]);
    host.wait_for_delivered(SCRIPTED, 1);
    let children = children(host.pid());
    assert_eq!(children.len(), 1, "{children:?}");
    host.kill();
    delfin_tests::wait_for("the process to end", || {
        let is_gone = |pid: &u32| {
            let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            state.is_empty() || state.contains(") Z ")
        };
        children.iter().all(is_gone).then_some(())
    });
}

#[test]
fn the_scrape_page_is_the_same_after_a_reload_and_after_the_end_of_its_process() {
    const PAGE: &str = "PerformanceExporterPrometheus";
    let config = "performance_exporters = [\"PerformanceExporterPrometheus\"]\n\
         [exporter.PerformanceExporterPrometheus.config]\nmetric_server_port = 0\n";
    let setup = Setup::new(&["prometheus"], config);
    let host = setup.start();
    // The page that was opened after so many others.
    let series = |opened_before: usize| {
        let address = host.wait_for("an open page", || {
            let log = host.log();
            let mut opened = log
                .lines()
                .filter(|line| line.contains("scrape page is open"));
            let (_, rest) = opened.nth(opened_before)?.split_once("address=")?;
            rest.split_whitespace().next().map(str::to_owned)
        });
        let page = ureq::get(format!("http://{address}/metrics")).call();
        let page = page.unwrap().body_mut().read_to_string().unwrap();
        let mut lines: Vec<String> = page.lines().map(str::to_owned).collect();
        lines.retain(|line| line.contains("storage_id=\"s1\""));
        lines
    };
    ingest(&host, &["iops", "latency"]);
    host.wait_for_delivered(PAGE, 2);
    let first = series(0);
    assert_eq!(first.len(), 2, "{first:?}");

    let setup = setup.with_config(&format!("{config}metric_expiration = \"40m\"\n"));
    let _ = setup.run(&["reload", "--host", host.url()]).expect_exit(0);
    assert_eq!(series(1), first);

    end_process(&host.exporter(PAGE)["pid"]);
    assert_eq!(series(2), first);
    stop(host);
}

/// The children of a process.
fn children(pid: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"));
    let tasks = tasks.into_iter().flatten().flatten();
    let children =
        tasks.map(|task| std::fs::read_to_string(task.path().join("children")).unwrap_or_default());
    let children: String = children.collect::<Vec<_>>().join(" ");
    children
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

#[test]
fn a_call_that_returns_when_it_is_cancelled_keeps_its_process() {
    let setup = two();
    setup.write("script", "until-cancelled");
    let host = setup.start();
    ingest(&host, &["iops"]);
    let before = wait_for_error(&host, "the call was cancelled");
    setup.write("script", "deliver");
    host.wait_for_delivered(SCRIPTED, 1);
    assert_eq!(host.exporter(SCRIPTED)["pid"], before["pid"]);
    stop(host);
}
