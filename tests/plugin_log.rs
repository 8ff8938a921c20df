//! Log records of a plugin are in the host's log, with the name of the exporter.

use delfin_tests::{Host, Setup};
use serde_json::json;

const CONFIG: &str = r#"
performance_exporters = "loud"
[exporter.loud]
plugin = "PerformanceExporterScripted"
[exporter.loud.retry]
initial_interval = "2s"
[exporter.loud.config]
script = "@/script"
received = "@/received"
"#;

fn told(word: &str) -> (Setup, Host) {
    let setup = Setup::new(&["scripted"], CONFIG);
    setup.write("script", word);
    let host = setup.start();
    let batch = json!([{ "name": "iops", "labels": {}, "values": { "1": 1 } }]);
    assert_eq!(host.ingest("performance", &batch).0, 202);
    (setup, host)
}

fn says(host: &Host, message: &str, level: &str, fields: &[&str]) {
    let line = host.wait_for_log(&format!(": {message}"));
    assert!(line.contains(&format!(" {level} ")), "{line}");
    for field in fields.iter().chain(&["exporter=loud"]) {
        assert!(line.contains(field), "`{field}` is not in: {line}");
    }
}

#[test]
fn log_and_tracing_records_keep_their_level_and_fields() {
    let (_setup, host) = told("log");
    let fields = ["answer=42", "colour=\"light blue\""];
    says(&host, "logged with log ", "INFO", &fields);
    let fields = ["answer=43", "colour=\"dark blue\""];
    says(&host, "logged with tracing ", "WARN", &fields);
}

#[test]
fn a_thread_of_the_plugin_logs_under_the_exporters_name() {
    let (_setup, host) = told("log");
    says(&host, "logged with log in a thread", "INFO", &["answer=44"]);
    says(
        &host,
        "logged with tracing in a thread",
        "INFO",
        &["answer=45"],
    );
    let panic = "the plugin panicked: panic in a thread";
    says(&host, panic, "ERROR", &["at=tests/plugin/src/lib.rs"]);
    host.wait_for_delivered("loud", 1);
}

#[test]
fn a_panic_is_one_line_with_its_message_and_location() {
    let (setup, host) = told("panic");
    let panic = "the plugin panicked: the script requests a panic";
    says(&host, panic, "ERROR", &["at=tests/plugin/src/lib.rs"]);
    says(
        &host,
        "retrying: ",
        "WARN",
        &["the script requests a panic"],
    );
    setup.write("script", "deliver");
    host.wait_for_delivered("loud", 1);
}

#[test]
fn thousands_of_records_do_not_hold_a_call_up() {
    let (_setup, host) = told("log-much");
    host.wait_for_delivered("loud", 1);
    let attempts = "delfin_host_exporter_attempts_total";
    assert_eq!(host.metrics().of_exporter("loud", attempts), 1.0);
}

/// How many lines have this text.
fn count(host: &Host, text: &str) -> usize {
    host.log()
        .lines()
        .filter(|line| line.contains(text))
        .count()
}

#[test]
fn a_level_is_changed_while_the_host_runs_and_reaches_the_plugin() {
    const DEBUG: &str = "logged at debug";
    const LIBRARY: &str = "logged by a library";
    for isolation in ["process", "thread"] {
        let config = CONFIG.replace(
            "plugin =",
            &format!("isolation = \"{isolation}\"\nplugin ="),
        );
        let setup = Setup::new(&["scripted"], &config);
        setup.write("script", "log");
        let host = setup.start();
        let batch = json!([{ "name": "iops", "labels": {}, "values": { "1": 1 } }]);
        let deliver = |items| {
            assert_eq!(host.ingest("performance", &batch).0, 202);
            host.wait_for_delivered("loud", items);
        };
        deliver(1);
        let shown = count(&host, DEBUG) + count(&host, LIBRARY);
        assert_eq!(shown, 0, "{}", host.log());
        let run = |args: &[&str]| {
            let args = [args, &["--host", host.url()]].concat();
            setup.run(&args)
        };
        let shown = run(&["log", "level", "loud", "debug"]).expect_exit(0);
        assert!(shown.stdout.contains("debug"), "{shown:?}");
        assert!(shown.stderr.contains("until the host ends"), "{shown:?}");
        deliver(2);
        host.wait_for_log(DEBUG);
        host.wait_for_log("traced at debug");
        let line = host.wait_for_log(LIBRARY);
        assert!(line.contains(" DEBUG delfin_exporter_scripted: "), "{line}");
        assert!(line.contains("library=async_nats::client"), "{line}");
        let levels = run(&["log", "level", "--json"]).expect_exit(0).json();
        assert_eq!(
            levels,
            json!({"level": "info", "exporters": {"loud": "debug"}})
        );
        host.wait_for_log("PUT /v1/log/level");
        // Off: nothing of the plugin is logged, and the host goes on.
        drop(run(&["log", "level", "loud", "off"]).expect_exit(0));
        let before = count(&host, DEBUG) + count(&host, "logged with log ");
        deliver(3);
        let after = count(&host, DEBUG) + count(&host, "logged with log ");
        assert_eq!(before, after, "{}", host.log());
        drop(run(&["log", "level", "warn"]).expect_exit(0));
        let shown = run(&["log", "level"]).expect_exit(0);
        assert!(shown.stdout.contains("(the host)   warn"), "{shown:?}");
        // The audit log does not follow the level.
        let changes = || count(&host, "PUT /v1/log/level");
        drop(run(&["log", "level", "off"]).expect_exit(0));
        let before = changes();
        drop(run(&["log", "level", "error"]).expect_exit(0));
        host.wait_for("another audit line", || (changes() > before).then_some(()));
        drop(run(&["log", "level", "missing"]).expect_exit(1));
        drop(run(&["log", "level", "loud", "loudest"]).expect_exit(2));
        let (status, error) = host.send(
            "PUT",
            "/v1/log/level",
            Some(&json!({"exporter": "missing", "level": "info"})),
        );
        assert_eq!(
            (status, &error["error_code"]),
            (404, &json!("ExporterNotFound"))
        );
    }
}

#[test]
fn the_log_goes_to_its_file_which_is_rotated() {
    let config = format!(
        "{CONFIG}\n[log]\nfile = \"@/host.log\"\nfile_max_bytes = \"4KiB\"\nfile_count = 2\n"
    );
    let setup = Setup::new(&["scripted"], &config);
    setup.write("script", "log");
    let host = setup.spawn();
    let logged = |text: &str| {
        let files = ["host.log.2", "host.log.1", "host.log"].map(|file| setup.lines(file));
        let line = files.into_iter().flatten().find(|line| line.contains(text));
        line.unwrap_or_default()
    };
    let url = delfin_tests::wait_for("the address in the log file", || {
        let line = logged("the API listens");
        let (_, address) = line.split_once("address=")?;
        Some(format!("http://{}", address.split_whitespace().next()?))
    });
    assert!(!logged("delfin-host starts").is_empty());
    let batch = r#"[{ "name": "iops", "labels": {}, "values": { "1": 1 } }]"#;
    setup.write("batch.json", batch);
    delfin_tests::wait_for("the second rotation", || {
        let push = ["push", "performance", "batch.json", "--host", &url];
        drop(setup.run(&push).expect_exit(0));
        setup.path("host.log.2").exists().then_some(())
    });
    assert!(!host.log().contains("delfin-host starts"), "{}", host.log());
    host.kill();
}
