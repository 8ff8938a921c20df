//! From ingest to exporters: order, isolation, failures, restarts.

use std::time::{Duration, UNIX_EPOCH};

use delfin_tests::{Behavior, Host, Receiver, Setup, one_series, wait_for};
use serde_json::{Value, json};

const TWO: &str = r#"
performance_exporters = ["PerformanceExporterFile", "PerformanceExporterScripted"]
[exporter.PerformanceExporterFile.config]
path = "@/out.jsonl"
[exporter.PerformanceExporterScripted]
timeout = "500ms"
[exporter.PerformanceExporterScripted.retry]
initial_interval = "20ms"
max_interval = "100ms"
[exporter.PerformanceExporterScripted.config]
script = "@/script"
received = "@/received"
password = "${env:DELFIN_TEST_PASSWORD}"
"#;

const SECRET: &str = "correct horse battery staple";

fn two() -> Setup {
    Setup::new(&["file", "scripted"], TWO).with_env("DELFIN_TEST_PASSWORD", SECRET)
}

/// Ingests one series, whose name identifies the batch.
fn ingest(host: &Host, name: &str, points: u64) -> String {
    let (status, receipt) = host.ingest("performance", &one_series(name, points));
    assert_eq!(status, 202, "{receipt}");
    assert_eq!(receipt["items"], points);
    assert_eq!(receipt["state"], "durable");
    let batch_id = receipt["batch_id"].as_str();
    batch_id
        .unwrap_or_else(|| panic!("no receipt: {receipt}"))
        .to_owned()
}

/// The batches that the scripted exporter has received, in order.
fn received(setup: &Setup) -> Vec<String> {
    let calls = setup.lines("received");
    let batches = calls
        .iter()
        .flat_map(|line| line.split(' ').next().unwrap_or_default().split(','));
    batches.map(str::to_owned).collect()
}

#[test]
fn a_batch_arrives_at_every_exporter_of_its_kind() {
    let setup = two();
    let host = setup.start();
    let batch_id = ingest(&host, "iops", 3);
    host.wait_for_delivered("PerformanceExporterFile", 3);
    host.wait_for_delivered("PerformanceExporterScripted", 3);
    assert_eq!(setup.lines("received"), [format!("{batch_id} 3 1")]);
    assert_eq!(json!(setup.json_lines("out.jsonl")), one_series("iops", 3));
    let file = host.exporter("PerformanceExporterFile");
    assert_eq!(file["state"], "running");
    assert_eq!(file["pending"], 0);
    assert_eq!(file["lag_seconds"].as_f64(), Some(0.0));
    assert_eq!(file["last_error"], Value::Null);
    let (status, _) = host.get(&format!("/v1/batches/{batch_id}"));
    assert_eq!(status, 200);
}

#[test]
fn a_dead_receiver_does_not_delay_the_other_exporters() {
    let setup = two();
    setup.write("script", "retry");
    let host = setup.start();
    for number in 0..20 {
        ingest(&host, &format!("n{number}"), 1);
    }
    host.wait_for_delivered("PerformanceExporterFile", 20);
    let dead = host.wait_for_exporter("PerformanceExporterScripted", "retrying", |exporter| {
        exporter["state"] == "retrying"
    });
    assert_eq!(
        (&dead["pending"], &dead["delivered"]),
        (&json!(20), &json!(0))
    );
    setup.write("script", "deliver");
    host.wait_for_delivered("PerformanceExporterScripted", 20);
    assert_eq!(received(&setup).len(), 20);
}

#[test]
fn a_temporary_failure_is_retried_and_nothing_is_dropped() {
    for word in ["retry", "fatal", "panic"] {
        let setup = two();
        setup.write("script", word);
        let host = setup.start();
        let batch_id = ingest(&host, "iops", 2);
        host.wait_for_exporter("PerformanceExporterScripted", word, |exporter| {
            exporter["state"] == "retrying" && exporter["pending"] == 2
        });
        setup.write("script", "deliver");
        host.wait_for_delivered("PerformanceExporterScripted", 2);
        let received = setup.lines("received");
        assert_eq!(received.len(), 1, "{word}: {received:?}");
        assert!(received[0].starts_with(&batch_id), "{word}: {received:?}");
    }
}

#[test]
fn an_exporter_that_fails_after_each_start_is_started_less_and_less_often() {
    const SHORT: &str = "initial_interval = \"20ms\"\nmax_interval = \"100ms\"";
    // The second wait is beyond the end of the test, unless a start resets it.
    const GROWING: &str = "initial_interval = \"1ms\"\nmultiplier = 1e10\nmax_interval = \"2000h\"";
    let setup = two().with_config(&TWO.replace(SHORT, GROWING));
    for word in ["fatal", "panic"] {
        setup.write("script", word);
        let host = setup.start();
        ingest(&host, word, 1);
        host.wait_for_exporter("PerformanceExporterScripted", word, |exporter| {
            let next = exporter["next_attempt_ms"]
                .as_u64()
                .map(Duration::from_millis);
            next > UNIX_EPOCH
                .elapsed()
                .ok()
                .map(|now| now + Duration::from_mins(1))
        });
        setup.write("script", "deliver");
        let name = "exporters/PerformanceExporterScripted";
        let (status, answer) = host.send("POST", &format!("/v1/{name}/resume"), None);
        assert_eq!(status, 200, "{answer}");
        host.wait_for_exporter("PerformanceExporterScripted", "running", |exporter| {
            exporter["pending"] == 0 && exporter["state"] == "running"
        });
    }
}

#[test]
fn a_call_past_its_deadline_marks_only_its_own_exporter_stuck() {
    let setup = two();
    setup.write("script", "hang");
    let host = setup.start();
    ingest(&host, "first", 1);
    host.wait_for_exporter("PerformanceExporterScripted", "stuck", |exporter| {
        exporter["state"] == "stuck"
    });
    ingest(&host, "second", 1);
    host.wait_for_delivered("PerformanceExporterFile", 2);
    setup.write("script", "deliver");
    host.wait_for_delivered("PerformanceExporterScripted", 2);
    let scripted = host.exporter("PerformanceExporterScripted");
    assert_eq!(scripted["state"], "running");
}

#[test]
fn stopping_does_not_wait_for_a_stuck_exporter_and_drains_the_others() {
    let setup = two();
    setup.write("script", "hang");
    let host = setup.start();
    ingest(&host, "iops", 1);
    host.wait_for_exporter("PerformanceExporterScripted", "stuck", |exporter| {
        exporter["state"] == "stuck"
    });
    let (status, log) = host.stop();
    assert!(status.success(), "{status}\n{log}");
    assert!(log.contains("PerformanceExporterScripted 1"), "{log}");
    assert_eq!(setup.lines("out.jsonl").len(), 1);

    setup.write("script", "deliver");
    let host = setup.start();
    host.wait_for_delivered("PerformanceExporterScripted", 1);
    assert_eq!(setup.lines("out.jsonl").len(), 1);
}

#[test]
fn a_killed_host_resumes_at_each_cursor() {
    let setup = two();
    setup.write("script", "retry");
    let host = setup.start();
    let batches: Vec<String> = (0..5)
        .map(|number| ingest(&host, &format!("n{number}"), 1))
        .collect();
    host.wait_for_delivered("PerformanceExporterFile", 5);
    host.kill();

    setup.write("script", "deliver");
    let host = setup.start();
    host.wait_for_delivered("PerformanceExporterScripted", 5);
    assert_eq!(received(&setup), batches);
    assert_eq!(host.exporter("PerformanceExporterFile")["delivered"], 5);
}

#[test]
fn an_exporter_that_refuses_its_config_is_failed_and_its_batches_wait() {
    let setup = two();
    setup.write("script", "refuse");
    let host = setup.start();
    ingest(&host, "iops", 4);
    host.wait_for_delivered("PerformanceExporterFile", 4);
    host.wait_for_exporter("PerformanceExporterScripted", "failed", |exporter| {
        exporter["state"] == "failed" && exporter["pending"] == 4
    });
    let (status, _) = host.stop();
    assert!(status.success());

    setup.write("script", "deliver");
    let host = setup.start();
    host.wait_for_delivered("PerformanceExporterScripted", 4);
}

#[test]
fn a_secret_is_in_no_log_no_answer_and_no_metric() {
    for word in ["retry", "refuse"] {
        let setup = two();
        setup.write("script", word);
        let host = setup.start();
        ingest(&host, "iops", 1);
        let error = wait_for("an error", || {
            let error = host.exporter("PerformanceExporterScripted")["last_error"].clone();
            error.as_str().map(str::to_owned)
        });
        assert!(error.contains("${env:DELFIN_TEST_PASSWORD}"), "{error}");
        let answers =
            host.text("/v1/exporters") + &host.text("/metrics") + &host.text("/v1/plugins");
        assert!(!answers.contains(SECRET), "{answers}");
        let (_, log) = host.stop();
        assert!(log.contains("${env:DELFIN_TEST_PASSWORD}"), "{log}");
        assert!(!log.contains(SECRET), "{log}");
    }
}

#[test]
fn alerts_go_to_alert_exporters_only() {
    let setup = Setup::new(
        &["file"],
        r#"
performance_exporters = "PerformanceExporterFile"
alert_exporters = "AlertExporterFile"
[exporter.PerformanceExporterFile.config]
path = "@/performance.jsonl"
[exporter.AlertExporterFile.config]
path = "@/alerts.jsonl"
"#,
    );
    let host = setup.start();
    let alerts = json!([{ "alert_id": "1", "alert_name": "Power failure", "severity": "Fatal", "occur_time": 5 }]);
    let (status, receipt) = host.ingest("alerts", &alerts);
    assert_eq!((status, &receipt["items"]), (202, &json!(1)), "{receipt}");
    host.wait_for_delivered("AlertExporterFile", 1);
    assert_eq!(json!(setup.json_lines("alerts.jsonl")), alerts);
    assert!(setup.lines("performance.jsonl").is_empty());
}

#[test]
fn a_plugin_whose_content_is_not_the_pinned_one_is_not_opened() {
    let pinned = TWO.replace(
        "timeout = \"500ms\"",
        &format!("timeout = \"500ms\"\nsha256 = \"{}\"", "0".repeat(64)),
    );
    let setup = Setup::new(&["file", "scripted"], &pinned).with_env("DELFIN_TEST_PASSWORD", SECRET);
    let host = setup.start();
    let failed = host.wait_for_exporter("PerformanceExporterScripted", "failed", |exporter| {
        exporter["state"] == "failed"
    });
    let error = failed["last_error"].as_str().unwrap_or_default();
    assert!(
        error.contains("is pinned (correct `sha256`, or restore the file)"),
        "{error}"
    );
}

#[test]
fn a_rotated_secret_is_read_again_when_the_receiver_refuses_it() {
    let receiver = Receiver::start();
    for isolation in ["thread", "process"] {
        let config = format!(
            r#"
performance_exporters = "PerformanceExporterWebhook"
[exporter.PerformanceExporterWebhook]
isolation = "{isolation}"
[exporter.PerformanceExporterWebhook.retry]
initial_interval = "20ms"
max_interval = "1h"
[exporter.PerformanceExporterWebhook.config]
url = "{}"
bearer_token = "${{file:@/token}}"
"#,
            receiver.url()
        );
        let exporter = "PerformanceExporterWebhook";
        let setup = Setup::new(&["webhook"], "");
        setup.write("token", "first-token\n");
        let setup = setup.with_config(&config);
        receiver.set_behavior(Behavior::RequireToken("first-token"));
        let host = setup.start();
        ingest(&host, "iops", 1);
        host.wait_for_delivered(exporter, 1);

        receiver.set_behavior(Behavior::RequireToken("second-token"));
        ingest(&host, "iops", 2);
        host.wait_for_exporter(exporter, "paused", |exporter| exporter["state"] == "paused");
        setup.write("token", "second-token\n");
        host.wait_for_delivered(exporter, 3);
        assert_eq!(host.exporter(exporter)["state"], "running");

        // The new secret is not shown either, although the receiver repeats it.
        receiver.set_behavior(Behavior::RequireToken("third-token"));
        ingest(&host, "iops", 1);
        let paused =
            host.wait_for_exporter(exporter, "paused", |exporter| exporter["state"] == "paused");
        let error = paused["last_error"].as_str().unwrap_or_default();
        assert!(error.contains("Bearer ***"), "{error}");
        let (_, log) = host.stop();
        let line = log
            .lines()
            .find(|line| line.contains("a secret has changed"));
        assert!(
            line.is_some_and(|line| line.contains("settings=/bearer_token")),
            "{log}"
        );
        assert!(
            !log.contains("first-token") && !log.contains("second-token"),
            "{log}"
        );
    }
}

#[test]
fn the_health_of_a_receiver_is_checked_before_rows_are_tried_again() {
    let receiver = Receiver::start();
    let config = format!(
        r#"
performance_exporters = "PerformanceExporterWebhook"
[exporter.PerformanceExporterWebhook.retry]
initial_interval = "100ms"
max_interval = "100ms"
[exporter.PerformanceExporterWebhook.circuit_breaker]
failure_threshold = 1
[exporter.PerformanceExporterWebhook.config]
url = "{}"
"#,
        receiver.url()
    );
    let setup = Setup::new(&["webhook"], &config);
    let check = setup.run(&["check", "--connect"]).expect_exit(0);
    let line = "ok      connection of exporter PerformanceExporterWebhook";
    assert!(check.stdout.contains(line), "{check:?}");

    receiver.set_behavior(Behavior::Status(503));
    let check = setup.run(&["check", "--connect"]).expect_exit(1);
    let line = "failed  connection of exporter PerformanceExporterWebhook";
    assert!(check.stdout.contains(line), "{check:?}");
    assert!(check.stdout.contains("answers 503"), "{check:?}");
    let findings = setup.run(&["check", "--connect", "--json"]).expect_exit(1);
    assert_eq!(findings.json()[1]["ok"], false, "{findings:?}");
    let _ = setup.run(&["check"]).expect_exit(0);

    let host = setup.start();
    ingest(&host, "iops", 1);
    // Three checks fail before the second request with rows.
    wait_for("two requests with rows", || {
        (receiver.requests() >= 2).then_some(())
    });
    assert!(receiver.checks() >= 6, "{}", receiver.checks());
    receiver.set_behavior(Behavior::Accept);
    host.wait_for_delivered("PerformanceExporterWebhook", 1);
}
