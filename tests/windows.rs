//! The host and plugins for Windows, with Wine.
//!
//! `scripts/windows test` runs these tests, and those of other files that need nothing of Linux.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use delfin_tests::{
    CommandOutput, FILES, Host, Receiver, Row, Setup, json_lines, lines, one_series, plugin_file,
    root, wait_for,
};
use serde_json::{Value, json};

const SCRIPTED: &str = "PerformanceExporterScripted";

const SCRIPT: &str = r#"
performance_exporters = ["PerformanceExporterFile", "PerformanceExporterScripted"]
[exporter.PerformanceExporterFile.config]
path = "@/out.jsonl"
[exporter.PerformanceExporterScripted.retry]
initial_interval = "20ms"
max_interval = "100ms"
[exporter.PerformanceExporterScripted.config]
script = "@/script"
received = "@/received"
rows = "@/rows"
"#;

fn script(args: &[&str]) -> Command {
    let mut command = Command::new(root().join("scripts/windows"));
    command.args(args);
    command
}

fn ingest(host: &Host, name: &str) {
    let (status, receipt) = host.ingest("performance", &one_series(name, 1));
    assert_eq!(status, 202, "{receipt}");
}

#[test]
fn libraries_of_both_systems_are_listed_and_inspected() {
    let setup = Setup::new(&["file"], FILES);
    let code = plugin_file::with_manifest("Tiny", "");
    plugin_file::compile(&setup.path("plugins/tiny.so"), &code);
    let list = setup.run(&["plugins", "list"]).expect_exit(0);
    assert!(list.stdout.contains("delfin_exporter_file.dll"), "{list:?}");
    assert!(
        list.stdout
            .ends_with("2 exporters in 1 plugin, 1 refused\n"),
        "{list:?}"
    );
    let refused = setup.run(&["plugins", "inspect", "plugins/tiny.so"]);
    let refused = refused.expect_exit(1);
    let reason = "was built for x86_64 (elf), this host is x86_64-pc-windows-gnu";
    for said in [&list.stdout, &refused.stderr] {
        assert!(said.contains(reason), "{said}");
    }
    let args = [
        "plugins",
        "inspect",
        "--json",
        "plugins/delfin_exporter_file.dll",
    ];
    let inspected = setup.run(&args).expect_exit(0).json();
    let names = |value: &Value| -> Vec<String> {
        let names = value.as_array().into_iter().flatten();
        names
            .map(|name| name.as_str().unwrap_or_default().to_lowercase())
            .collect()
    };
    let needed = names(&inspected["image"]["needed"]);
    let once: BTreeSet<&String> = needed.iter().collect();
    assert!(
        needed.iter().any(|name| name == "kernel32.dll"),
        "{needed:?}"
    );
    assert_eq!(once.len(), needed.len(), "{needed:?}");
    assert_eq!(inspected["image"]["missing"], json!([]));
}

#[test]
fn a_process_that_crashes_is_named_and_its_rows_are_delivered_by_the_next() {
    for (word, cause) in [
        ("segfault", "died: access violation (0xc0000005)"),
        ("thread-segfault", "died: access violation (0xc0000005)"),
        ("abort", "died: abort (0xc0000409)"),
        ("exit", "ended with exit code 0"),
        ("thread-exit", "ended with exit code 7"),
    ] {
        let setup = Setup::new(&["file", "scripted"], SCRIPT);
        setup.write("script", word);
        let host = setup.start();
        ingest(&host, "iops");
        host.wait_for_exporter(SCRIPTED, cause, |exporter| {
            let error = exporter["last_error"].as_str();
            error.is_some_and(|error| error.contains(cause))
        });
        setup.write("script", "deliver");
        for exporter in [SCRIPTED, "PerformanceExporterFile"] {
            host.wait_for_delivered(exporter, 1);
        }
        assert_eq!(setup.lines("rows"), ["s1 iops 1"], "{word}");
        let (status, log) = host.stop();
        assert!(status.success(), "{status}\n{log}");
    }
}

#[test]
fn the_processes_of_exporters_end_with_a_host_that_is_killed() {
    let setup = Setup::new(&["file", "scripted"], SCRIPT);
    setup.write("script", "hang");
    let host = setup.start();
    ingest(&host, "iops");
    host.wait_for_log("hanging");
    host.kill();
    // The hanging process would deliver the row.
    setup.write("script", "retry");
    let host = setup.start();
    host.wait_for_exporter(SCRIPTED, "retrying", |exporter| {
        exporter["state"] == "retrying"
    });
    assert!(setup.lines("rows").is_empty());
    setup.write("script", "deliver");
    host.wait_for_delivered(SCRIPTED, 1);
    assert_eq!(setup.lines("rows"), ["s1 iops 1"]);
}

#[test]
fn a_library_that_was_replaced_is_taken_over_by_a_reload() {
    let setup = Setup::new(&["file", "scripted"], SCRIPT);
    let host = setup.start();
    let pid = || host.exporter(SCRIPTED)["pid"].clone();
    let old = wait_for("a process", || Some(pid()).filter(Value::is_u64));
    ingest(&host, "before");
    host.wait_for_delivered(SCRIPTED, 1);
    setup.change_plugin("scripted");
    let reloaded = setup.run(&["reload", "--json", "--host", host.url()]);
    assert_eq!(reloaded.expect_exit(0).json()["changed"], json!([SCRIPTED]));
    ingest(&host, "after");
    host.wait_for_delivered(SCRIPTED, 2);
    assert_ne!(pid(), old);
    assert_eq!(setup.lines("rows"), ["s1 before 1", "s1 after 1"]);
}

#[test]
fn files_and_a_webhook_get_rows_and_alerts_also_after_a_restart() {
    let receiver = Receiver::start();
    let config = format!(
        r#"
performance_exporters = ["PerformanceExporterFile", "PerformanceExporterWebhook"]
alert_exporters = ["AlertExporterFile", "AlertExporterWebhook"]
[exporter.PerformanceExporterFile.config]
path = "@/performance.jsonl"
[exporter.AlertExporterFile.config]
path = "@/alerts.jsonl"
[exporter.PerformanceExporterWebhook.config]
url = "{url}"
[exporter.AlertExporterWebhook.config]
url = "{url}"
"#,
        url = receiver.url()
    );
    let setup = Setup::new(&["file", "webhook"], &config);
    let _ = setup.run(&["check", "--connect"]).expect_exit(0);
    for round in 1..=2 {
        let host = setup.start();
        ingest(&host, &format!("iops-{round}"));
        let alert = json!([{
            "alert_id": format!("fan-{round}"), "alert_name": "fan", "storage_id": "s1",
            "severity": "Major", "category": "Fault", "occur_time": 1_700_000_000_000_u64,
        }]);
        let (status, receipt) = host.ingest("alerts", &alert);
        assert_eq!(status, 202, "{receipt}");
        for kind in ["Performance", "Alert"] {
            for exporter in ["File", "Webhook"] {
                host.wait_for_delivered(&format!("{kind}Exporter{exporter}"), round);
            }
        }
        let (status, log) = host.stop();
        assert!(status.success(), "{status}\n{log}");
    }
    let files = ["performance.jsonl", "alerts.jsonl"].map(|file| setup.json_lines(file));
    let written: BTreeSet<Row> = files.iter().flatten().map(Row::from_json).collect();
    let names: Vec<&str> = written.iter().map(|row| &*row.name).collect();
    assert_eq!(names, ["fan-1", "fan-2", "iops-1", "iops-2"]);
    let received: BTreeSet<Row> = receiver.rows().into_iter().collect();
    assert_eq!(received, written);
}

#[test]
fn the_key_of_the_inventory_is_trusted_after_a_restart() {
    let storage = json!({
        "vendor": "fake_storage", "model": "fake_driver",
        "rest": { "host": "192.0.2.7", "port": 1, "username": "admin", "password": "secret" },
        "extra_attributes": { "storage_pools": "0", "volumes": "1", "disks": "0" },
    });
    let setup = Setup::new(&[], "");
    let host = setup.start();
    let (status, registered) = host.send("POST", "/v1/storages", Some(&storage));
    assert_eq!(status, 201, "{registered}");
    let (status, log) = host.stop();
    assert!(status.success(), "{status}\n{log}");
    let host = setup.start();
    let id = registered["id"].as_str().unwrap_or_default();
    let (status, access) = host.get(&format!("/v1/storages/{id}/access-info"));
    assert_eq!(
        (status, &access["rest"]["username"]),
        (200, &json!("admin"))
    );
}

#[test]
fn this_machine_is_measured() {
    let storage = "[[storage]]\nvendor = \"windows\"\nmodel = \"host\"\n\
                   performance.interval = \"1s\"\nalerts.interval = \"1s\"\n\
                   options = { filesystem_full_percent = 1, filesystem_critical_percent = 100 }\n";
    let setup = Setup::new(&["file"], &format!("{FILES}\n{storage}"));
    let host = setup.start();
    let of = |file: &str, key: &str, wanted: &str| {
        let mut items = setup.json_lines(file).into_iter();
        items.find(|item| item[key] == wanted)
    };
    let usage = host.wait_for("the time of the processors", || {
        of("performance.jsonl", "name", "cpuUsage")
    });
    assert_eq!(usage["labels"]["resource_type"], "controller");
    let size = host.wait_for("a capacity", || {
        of("performance.jsonl", "name", "totalCapacity")
    });
    assert!(
        size["values"]
            .as_object()
            .is_some_and(|values| !values.is_empty()),
        "{size}"
    );
    // Wine's volumes are those of this machine, which have something in them.
    let alert = host.wait_for("an alert", || {
        of("alerts.jsonl", "alert_id", "filesystem-nearly-full")
    });
    let location = alert["location"].as_str().unwrap_or_default();
    assert!(location.ends_with(":\\"), "{alert}");
}

#[test]
fn a_new_exporter_is_built_and_receives_batches() {
    let setup = Setup::new(&[], "");
    let output = setup.run(&["new", "exporter", "acme"]).expect_exit(0);
    let library = "target/release/delfin_exporter_acme.dll";
    assert!(output.stdout.contains(library), "{output:?}");
    // The dependencies that were built for the host.
    let lock = setup.path("acme/Cargo.lock");
    fs::copy(root().join("Cargo.lock"), lock).expect("copy a file");
    let mut cargo = script(&["cargo", "build", "--manifest-path"]);
    // No time limit: a build takes longer than any other wait.
    let built = cargo.arg(setup.path("acme/Cargo.toml")).output();
    let built = built.expect("run cargo");
    assert!(built.status.success(), "{built:?}");
    let library = "target/windows/target/x86_64-pc-windows-gnu/debug/delfin_exporter_acme.dll";
    acme_receives_batches(setup, &root().join(library));
}

#[test]
fn a_new_exporter_in_c_is_built_and_receives_batches() {
    let setup = Setup::new(&[], "");
    let args = ["new", "exporter", "acme", "--lang", "c"];
    let output = setup.run(&args).expect_exit(0);
    assert!(output.stdout.contains("acme.dll"), "{output:?}");
    let mut make = Command::new("make");
    make.arg("-C").arg(setup.path("acme"));
    make.arg("CC=x86_64-w64-mingw32-gcc-posix -Werror");
    let _ = CommandOutput::run(&mut make).expect_exit(0);
    let library = "acme/acme.dll";
    let _ = setup.run(&["conformance", library]).expect_exit(0);
    let library = setup.path(library);
    acme_receives_batches(setup, &library);
}

/// Runs a host with the exporter of a project that was just made.
fn acme_receives_batches(setup: Setup, library: &Path) {
    let setup = setup
        .with_library(library)
        .with_config("performance_exporters = [\"PerformanceExporterAcme\"]");
    let host = setup.start();
    ingest(&host, "iops");
    let line = host.wait_for_log("received 1 points");
    assert!(line.contains("exporter=PerformanceExporterAcme"), "{line}");
    host.wait_for_delivered("PerformanceExporterAcme", 1);
}

/// The host of the archive, in the folders of Wine where it is on Windows. What was installed is removed in the end.
struct Installed {
    program_files: PathBuf,
    data: PathBuf,
}

impl Installed {
    fn new() -> Self {
        let drive = root().join("target/windows/wine/drive_c");
        let installed = Self {
            program_files: drive.join("Program Files"),
            data: drive.join("ProgramData/delfin"),
        };
        installed.unpack();
        // What a test that was killed has left.
        let _ = installed.run(&["service", "uninstall"]);
        let _ = fs::remove_dir_all(&installed.data);
        installed
    }

    /// Unpacks the archive, also over what is there.
    fn unpack(&self) {
        let version = env!("CARGO_PKG_VERSION");
        let archive = format!("target/package/delfin-host-{version}-windows-x86_64.zip");
        let mut unzip = Command::new("unzip");
        unzip.args(["-q", "-o"]).arg(root().join(archive));
        // The plugins of this test, because those in the profile `dev` are large.
        let names = ["delfin-host.exe", "LICENSE", "plugins/*_file.dll"];
        unzip.args(names.map(|name| format!("delfin-host/{name}")));
        unzip.arg("-d").arg(&self.program_files);
        let _ = CommandOutput::run(&mut unzip).expect_exit(0);
    }

    /// Runs a command of the host, with the configuration in its place.
    fn run(&self, args: &[&str]) -> CommandOutput {
        let program = self.program_files.join("delfin-host/delfin-host.exe");
        let mut command = script(&["wine"]);
        command.arg(program).args(args).env_remove("DELFIN_CONF");
        // Where no configuration is.
        command.current_dir(&self.program_files);
        CommandOutput::run(&mut command)
    }

    /// Starts the service: the address of its API.
    fn start(&self) -> String {
        let starts = self.logged("the API listens").len();
        let _ = CommandOutput::run(&mut script(&["wine", "net", "start", "delfin-host"]));
        wait_for("the API of the service", || {
            let line = self.logged("the API listens").into_iter().nth(starts)?;
            let (_, address) = line.split_once("address=")?;
            Some(format!("http://{}", address.trim_end()))
        })
    }

    /// Stops the service, which drains.
    fn stop(&self) {
        let stops = self.logged("stopped; ").len();
        let _ = CommandOutput::run(&mut script(&["wine", "net", "stop", "delfin-host"]));
        wait_for("the end of the service", || {
            (self.logged("stopped; ").len() > stops).then_some(())
        });
    }

    /// The lines of the log with a text, also of rotated files.
    fn logged(&self, text: &str) -> Vec<String> {
        let rotated = (1..=5).rev().map(|number| format!("own.log.{number}"));
        let files = rotated.chain(["own.log".to_owned()]);
        let lines = files.flat_map(|file| lines(&self.data.join(file)));
        lines.filter(|line| line.contains(text)).collect()
    }

    /// Names of the series that were ingested and delivered.
    fn delivered(&self) -> Vec<String> {
        let rows = json_lines(&self.data.join("rows.jsonl")).into_iter();
        let names = rows.filter_map(|row| row["name"].as_str().map(str::to_owned));
        names.filter(|name| name.starts_with("own-")).collect()
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        let _ = self.run(&["service", "uninstall"]);
        for folder in [&self.program_files.join("delfin-host"), &self.data] {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

#[test]
fn an_archive_is_installed_run_as_a_service_upgraded_and_removed() {
    let installed = Installed::new();
    let file = installed.data.join("delfin.conf");
    let written = installed.run(&["init"]).expect_exit(0);
    assert!(
        written
            .stdout
            .contains(r"C:\ProgramData\delfin\delfin.conf"),
        "{written:?}"
    );
    let config = fs::read_to_string(&file).expect("the configuration");
    let config = config.replace("PerformanceExporterPrometheus", "PerformanceExporterFile");
    let (config, _) = config
        .split_once("# The page that Prometheus scrapes")
        .expect("the settings of the page");
    let config = format!(
        "{config}[exporter.PerformanceExporterFile.config]\npath = 'C:\\ProgramData\\delfin\\rows.jsonl'\n\
         [api]\nlisten = \"127.0.0.1:0\"\n[journal]\nmin_free_bytes = 0\n\
         [log]\nfile = 'C:\\ProgramData\\delfin\\own.log'\nfile_max_bytes = \"16KiB\"\nlevel = \"debug\"\n"
    );
    fs::write(&file, config).expect("write the configuration");
    let _ = installed.run(&["check"]).expect_exit(0);

    let missing = installed.run(&["service", "uninstall"]).expect_exit(1);
    assert!(missing.stderr.contains("is not installed"), "{missing:?}");
    let _ = installed.run(&["service", "install"]).expect_exit(0);
    let again = installed.run(&["service", "install"]).expect_exit(1);
    assert!(again.stderr.contains("is installed already"), "{again:?}");

    let send = |url: &str, name: &str| {
        let sent = ureq::post(format!("{url}/v1/ingest/performance"));
        let answer = sent.send_json(one_series(name, 1)).expect("an answer");
        assert_eq!(answer.status(), 202);
    };
    let url = installed.start();
    send(&url, "own-1");
    installed.stop();
    assert_eq!(installed.delivered(), ["own-1"]);

    installed.unpack();
    let url = installed.start();
    let mut names = vec!["own-1".to_owned()];
    wait_for("a rotation", || {
        let name = format!("own-{}", names.len() + 1);
        send(&url, &name);
        names.push(name);
        installed.data.join("own.log.1").exists().then_some(())
    });
    installed.stop();
    assert_eq!(installed.delivered(), names);
    let _ = installed.run(&["service", "uninstall"]).expect_exit(0);
    assert!(file.exists() && installed.data.join("state").exists());
}
