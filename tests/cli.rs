//! The command line with a running host: exit codes and outputs.

#![expect(clippy::expect_used, reason = "a test says by a panic that it failed")]

use std::{fs, net::TcpListener, process::Command};

use arrow_ipc::writer::StreamWriter;
use delfin_plugin_api::{Batch, sample};
use delfin_tests::{CommandOutput, Host, Setup, binary, plugin};
use serde_json::{Value, json};

const FILE: &str = r#"
performance_exporters = ["PerformanceExporterFile"]
[exporter.PerformanceExporterFile.config]
path = "@/out.jsonl"
"#;

const ONE_FILE: &str = r#"
performance_exporters = ["PerformanceExporterFile"]
alert_exporters = ["AlertExporterFile"]
[exporter.PerformanceExporterFile.config]
path = "@/out.jsonl"
[exporter.AlertExporterFile.config]
path = "@/out.jsonl"
"#;

const REFUSED: &str = r#"
performance_exporters = ["PerformanceExporterFile", "PerformanceExporterAbsent"]
[exporter.PerformanceExporterFile.config]
path = "@/out.jsonl"
rotation = "weekly"
"#;

const THREE: &str = r#"
performance_exporters = [
    "PerformanceExporterFile", "PerformanceExporterScripted", "PerformanceExporterWebhook",
]
[exporter.PerformanceExporterFile.config]
path = "@/folder/out.jsonl"
[exporter.PerformanceExporterScripted]
isolation = "thread"
[exporter.PerformanceExporterScripted.config]
script = "@/script"
received = "@/received"
[exporter.PerformanceExporterWebhook.config]
url = "https://127.0.0.1:9"
"#;

fn last_line(output: &CommandOutput) -> &str {
    output.stderr.lines().last().unwrap_or_default()
}

/// Runs a command that connects to the host.
fn ask(setup: &Setup, host: &Host, args: &[&str]) -> CommandOutput {
    setup.run(&[args, &["--host", host.url()]].concat())
}

#[test]
fn check_prints_one_line_per_check_and_writes_no_state() {
    let setup = Setup::new(&["file"], FILE);
    let output = setup.run(&["check"]).expect_exit(0);
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{output:?}");
    assert!(
        lines.iter().all(|line| line.starts_with("ok      ")),
        "{output:?}"
    );
    let found = setup.run(&["check", "--json"]).expect_exit(0).json();
    assert_eq!(found[0]["ok"], true, "{found}");
    assert!(!setup.path("state").exists());
    assert!(setup.lines("out.jsonl").is_empty());
}

#[test]
fn check_creates_nothing_also_next_to_a_host() {
    let setup = Setup::new(&["file", "scripted", "webhook"], THREE);
    let before = setup.content();
    let _ = setup.run(&["check"]).expect_exit(0);
    assert_eq!(setup.content(), before);

    let host = setup.start();
    host.wait_for_exporter("PerformanceExporterFile", "running", |exporter| {
        exporter["state"] == "running"
    });
    let before = setup.content();
    let output = setup.run(&["check"]).expect_exit(0);
    assert_eq!(output.stderr, "");
    assert_eq!(setup.content(), before);

    let refused = THREE.to_owned() + "ca_certificate = \"@/missing.pem\"\n";
    let setup = setup.with_config(&refused);
    let output = setup.run(&["check"]).expect_exit(3);
    assert!(output.stdout.contains("missing.pem"), "{output:?}");
}

#[test]
fn check_names_two_exporters_with_one_file_and_leaves_it_as_it_is() {
    let setup = Setup::new(&["file"], ONE_FILE);
    setup.write("out.jsonl", "{\"name\":\"iops\"}\n{\"name");
    let before = setup.content();
    let path = setup.path("out.jsonl");
    let reason = format!(
        "failed  exporter AlertExporterFile (AlertExporterFile, alert): `path` is `{}`, as in exporter \
         `PerformanceExporterFile` (give each exporter its own)",
        path.display()
    );
    for arguments in [&["check"][..], &["check", "--connect"]] {
        let output = setup.run(arguments).expect_exit(3);
        assert!(output.stdout.contains(&reason), "{output:?}");
        assert_eq!(setup.content(), before);
    }
}

#[test]
fn check_fails_on_an_unknown_exporter_and_on_a_refused_setting() {
    let setup = Setup::new(&["file"], REFUSED);
    let output = setup.run(&["check"]).expect_exit(3);
    let failed = output
        .stdout
        .lines()
        .filter(|line| line.starts_with("failed  "));
    let failed: Vec<&str> = failed.collect();
    assert_eq!(failed.len(), 2, "{output:?}");
    assert!(
        failed[0].contains("refused its config: ") && failed[0].contains("rotation"),
        "{output:?}"
    );
    assert!(
        failed[1].contains("no plugin offers the exporter `PerformanceExporterAbsent`"),
        "{output:?}"
    );
    assert_eq!(
        last_line(&output),
        "error: 2 of 2 checks failed",
        "{output:?}"
    );

    let output = setup.run(&["check", "--json"]).expect_exit(3);
    let found = output.json();
    assert_eq!(
        (&found[0]["ok"], &found[1]["ok"]),
        (&json!(false), &json!(false))
    );
    assert!(found[1]["reason"].is_string(), "{found}");
}

#[test]
fn run_strict_refuses_a_configuration_that_run_accepts() {
    let setup = Setup::new(&["file"], REFUSED);
    let output = setup.run(&["run", "--strict"]).expect_exit(3);
    assert_eq!(
        last_line(&output),
        "error: 2 of 2 checks failed",
        "{output:?}"
    );
    let host = setup.start();
    assert_eq!(
        host.exporter("PerformanceExporterAbsent")["state"],
        "failed"
    );
}

#[test]
fn a_configuration_that_is_no_toml_is_exit_code_3_and_names_the_line() {
    let setup = Setup::new(&[], "").with_whole_config("state_dir = \"@/state\"\n[api\n");
    for command in ["check", "run", "exporters"] {
        let output = setup.run(&[command]).expect_exit(3);
        assert_eq!(output.stdout, "");
        assert!(output.stderr.contains("delfin.conf:2"), "{output:?}");
    }
}

#[test]
fn a_named_configuration_that_is_missing_is_exit_code_3() {
    for command in ["run", "check"] {
        let args = [command, "--config", "/no/such/delfin.conf"];
        let output = CommandOutput::run(Command::new(binary()).args(args)).expect_exit(3);
        assert!(
            last_line(&output).contains("/no/such/delfin.conf"),
            "{output:?}"
        );
        let mut command = Command::new(binary());
        let output = CommandOutput::run(
            command
                .arg(args[0])
                .env("DELFIN_CONF", "/no/such/delfin.conf"),
        );
        assert!(last_line(&output.expect_exit(3)).contains("/no/such/delfin.conf"));
    }
}

#[test]
fn a_port_in_use_is_exit_code_1_and_names_the_setting() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address");
    let text =
        format!("state_dir = \"@/state\"\nplugin_dirs = []\n[api]\nlisten = \"{address}\"\n");
    let setup = Setup::new(&[], "").with_whole_config(&text);
    let output = setup.run(&["run"]).expect_exit(1);
    let line = last_line(&output);
    assert!(
        line.contains(&address.to_string()) && line.contains("api.listen"),
        "{output:?}"
    );
}

#[test]
fn a_second_host_on_the_same_state_is_exit_code_1_and_names_the_first() {
    let setup = Setup::new(&["file"], FILE);
    let host = setup.start();
    let output = setup.run(&["run"]).expect_exit(1);
    let line = last_line(&output);
    let pid = host.pid().to_string();
    assert!(
        line.contains(&format!("process {pid}")) && line.contains("state_dir"),
        "{output:?}"
    );
    // A check does not disturb it.
    let checked = setup.run(&["check"]).expect_exit(0);
    assert_eq!(checked.stderr, "");
    // The first host still runs.
    push(&setup, &host, "a.json", b"[]\n");
}

#[test]
fn exporters_are_a_table_and_json_and_without_a_host_exit_code_4() {
    let setup = Setup::new(&["file"], FILE);
    let host = setup.start();
    host.wait_for_exporter("PerformanceExporterFile", "running", |exporter| {
        exporter["state"] == "running"
    });
    let output = ask(&setup, &host, &["exporters"]).expect_exit(0);
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert!(lines[0].starts_with("exporter "), "{output:?}");
    assert!(
        lines[1].starts_with("PerformanceExporterFile "),
        "{output:?}"
    );
    assert_eq!(lines.last(), Some(&"1 exporter: 1 running"), "{output:?}");
    let answer = ask(&setup, &host, &["exporters", "--json"])
        .expect_exit(0)
        .json();
    assert_eq!(answer["exporters"][0]["name"], "PerformanceExporterFile");
    let url = host.url().to_owned();
    let (status, log) = host.stop();
    assert!(status.success(), "{log}");
    let output = setup.run(&["exporters", "--host", &url]).expect_exit(4);
    assert_eq!(
        (&*output.stdout, output.stderr.lines().count()),
        ("", 1),
        "{output:?}"
    );
}

/// Writes a file and pushes it: the number of accepted items.
fn push(setup: &Setup, host: &Host, name: &str, content: &[u8]) -> Value {
    let file = setup.path(name);
    fs::write(&file, content).expect("write a file");
    let file = file.display().to_string();
    let output = ask(setup, host, &["push", "performance", &file, "--json"]);
    output.expect_exit(0).json()["items"].clone()
}

fn packed(program: &str, content: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("content");
    fs::write(&file, content).expect("write a file");
    let output = Command::new(program).arg("-c").arg(file).output();
    output.expect("run the packer").stdout
}

#[test]
fn push_takes_json_lines_compressed_files_and_arrow_streams() {
    let setup = Setup::new(&["file"], FILE);
    let host = setup.start();
    let series =
        |name: &str| format!(r#"{{"name":"{name}","labels":{{}},"values":{{"1":1,"2":2}}}}"#);
    let array = format!("[{}]", series("array"));
    let lines = format!("{}\n{}\n", series("line-1"), series("line-2"));
    assert_eq!(push(&setup, &host, "a.json", array.as_bytes()), 2);
    assert_eq!(push(&setup, &host, "a.jsonl", lines.as_bytes()), 4);
    assert_eq!(push(&setup, &host, "a.json.gz", &packed("gzip", &array)), 2);
    assert_eq!(
        push(&setup, &host, "a.jsonl.gz", &packed("gzip", &lines)),
        4
    );
    let zstd = zstd::encode_all(lines.as_bytes(), 1).expect("pack");
    assert_eq!(push(&setup, &host, "a.jsonl.zst", &zstd), 4);
    let batch = sample::performance(3, 5);
    assert_eq!(push(&setup, &host, "a.arrows", &arrow_stream(&batch)), 15);

    let mut command = setup.command(&["push", "performance", "-", "--host", host.url()]);
    let output = CommandOutput::run_with_input(&mut command, lines.as_bytes()).expect_exit(0);
    assert!(
        output.stdout.ends_with(": 4 items, durable\n"),
        "{output:?}"
    );
    host.wait_for_delivered("PerformanceExporterFile", 35);

    let broken = setup.path("broken.json").display().to_string();
    fs::write(&broken, "[{\"name\": 1}]").expect("write a file");
    let output = ask(&setup, &host, &["push", "performance", &broken]).expect_exit(1);
    assert_eq!(
        (&*output.stdout, output.stderr.lines().count()),
        ("", 1),
        "{output:?}"
    );
}

fn arrow_stream(batch: &impl Batch) -> Vec<u8> {
    let arrow = batch.as_arrow();
    let mut writer = StreamWriter::try_new(Vec::new(), &arrow.schema()).expect("a writer");
    writer.write(arrow).expect("write the batch");
    writer.into_inner().expect("end the stream")
}

#[test]
fn push_takes_a_file_that_the_file_exporter_wrote() {
    let setup = Setup::new(&["file"], FILE);
    let host = setup.start();
    push(
        &setup,
        &host,
        "a.arrows",
        &arrow_stream(&sample::performance(4, 3)),
    );
    host.wait_for_delivered("PerformanceExporterFile", 12);
    let first = setup.lines("out.jsonl");
    let written = setup.path("out.jsonl").display().to_string();
    let _ = ask(&setup, &host, &["push", "performance", &written]).expect_exit(0);
    host.wait_for_delivered("PerformanceExporterFile", 24);
    let both = setup.lines("out.jsonl");
    assert_eq!(
        (both.len(), &both[..4], &both[4..]),
        (8, &first[..], &first[..])
    );
}

#[test]
fn trying_a_plugin_ends_with_0_only_if_it_delivered() {
    let setup = Setup::new(&[], "");
    let path = |name| setup.path(name).display().to_string();
    let out = format!("path={}", path("out.jsonl"));
    let file = plugin("file").display().to_string();
    let args = [
        "try",
        &file,
        "--exporter",
        "PerformanceExporterFile",
        "--set",
        &out,
    ];
    let output = setup
        .run(&[&args[..], &["--rows", "7"]].concat())
        .expect_exit(0);
    assert!(output.stdout.contains("outcome   delivered"), "{output:?}");
    assert_eq!(setup.lines("out.jsonl").len(), 7);
    let report = setup
        .run(&[&args[..], &["--json"]].concat())
        .expect_exit(0)
        .json();
    assert_eq!(
        (&report["rows"], &report["items"]),
        (&json!(100), &json!(1000))
    );
    let written = path("out.jsonl");
    let report = setup.run(&[&args[..], &["--batch", &written, "--json"]].concat());
    assert_eq!(report.expect_exit(0).json()["rows"], 107);
    let output = setup.run(&["try", &file]).expect_exit(1);
    assert!(
        last_line(&output).contains("choose one with --exporter"),
        "{output:?}"
    );
}

#[test]
fn trying_survives_the_plugin_and_reports_how_it_failed() {
    let setup = Setup::new(&[], "");
    let path = |name| setup.path(name).display().to_string();
    let file = plugin("scripted").display().to_string();
    for (word, outcome, reason) in [
        ("reject", "reject, from `export`", "export: not wanted"),
        (
            "refuse",
            "pause (misconfigured), from `create`",
            "create: the password ``",
        ),
        ("unauthorized", "pause (unauthorized), from `export`", ""),
        (
            "panic",
            "restart (panicked), from `export`",
            "panicked in `export`: the script requests a panic",
        ),
        (
            "segfault",
            "restart, from `export`",
            "export: the exporter process died: SIGSEGV",
        ),
        (
            "thread-abort",
            "restart, from `export`",
            "export: the exporter process died: SIGABRT",
        ),
        (
            "exit",
            "restart, from `export`",
            "export: the exporter process ended with exit code 0",
        ),
        (
            "abort-at-exit",
            "restart, from `exit`",
            "exit: the exporter process died: SIGABRT",
        ),
        (
            "hang",
            "restart, from `export`",
            "export: the exporter process was ended: a call was past its deadline",
        ),
    ] {
        setup.write("script", word);
        let timeout = if word == "hang" { "300ms" } else { "30s" };
        let output = setup.run(&[
            "try",
            &file,
            "--exporter",
            "PerformanceExporterScripted",
            "--timeout",
            timeout,
            "--log",
            "off",
            "--set",
            &format!("script={}", path("script")),
            "--set",
            &format!("received={}", path("received")),
        ]);
        let output = output.expect_exit(1);
        let line = format!("outcome   {outcome}");
        assert!(output.stdout.contains(&line), "{word}: {output:?}");
        assert!(last_line(&output).contains(reason), "{word}: {output:?}");
        // Nothing but the error: the level `off` shows no log record.
        assert_eq!(output.stderr.lines().count(), 1, "{word}: {output:?}");
    }
}
