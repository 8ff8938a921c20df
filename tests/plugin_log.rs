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
