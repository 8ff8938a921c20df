//! A crate that `new exporter` writes outside this workspace is built without a change, tested, copied
//! to the plugin folder, named in the configuration, and receives batches after a restart.

#![expect(clippy::expect_used, reason = "a test says by a panic that it failed")]

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use delfin_tests::{CommandOutput, Host, Setup, binary};
use serde_json::{Value, json};

/// A crate that `new exporter` wrote.
struct Scaffold {
    folder: tempfile::TempDir,
    name: &'static str,
    written: Value,
}

impl Scaffold {
    fn new(name: &'static str, kind: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(binary());
        command.args(["new", "exporter", name, "--kind", kind, "--json"]);
        let output = CommandOutput::run(command.current_dir(folder.path())).expect_exit(0);
        let written = output.json();
        Self {
            folder,
            name,
            written,
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(self.name)
    }

    fn exporter(&self) -> &str {
        self.written["exporter"].as_str().expect("a name")
    }

    /// Runs cargo without the network. The dependencies of the crate are on this machine, because this
    /// test has the same.
    fn cargo(&self, command: &str) {
        let mut cargo = delfin_plugin_api::testkit::cargo();
        let cargo = cargo.arg(command).current_dir(self.path());
        let cargo = cargo.env("CARGO_TARGET_DIR", target());
        // No time limit: a build takes longer than any other wait.
        let output = cargo.env("CARGO_NET_OFFLINE", "true").output();
        let output = output.expect("run cargo");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let messages = text(&output.stdout) + &text(&output.stderr);
        assert!(output.status.success(), "cargo {command}:\n{messages}");
        assert!(
            !messages.contains("warning"),
            "cargo {command}:\n{messages}"
        );
    }

    /// Copies the built library to a plugin folder.
    fn install(&self, folder: &Path) -> PathBuf {
        let library = self.written["library"].as_str().expect("a file name");
        let file = folder.join(library);
        fs::copy(target().join("debug").join(library), &file).expect("copy the library");
        fs::set_permissions(&file, Permissions::from_mode(0o755)).expect("set its mode");
        file
    }
}

/// One target folder for all crates, so that dependencies are built once.
fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("third-party")
}

fn ingest(host: &Host, points: u64) {
    let values = (0..points).map(|time| (time.to_string(), json!(time)));
    let values: serde_json::Map<_, _> = values.collect();
    let batch = json!([{ "name": "iops", "labels": {}, "values": values }]);
    let (status, answer) = host.ingest("performance", &batch);
    assert_eq!(status, 202, "{answer}");
}

const BEFORE: &str = "performance_exporters = [\"PerformanceExporterExample\"]";
const AFTER: &str =
    "performance_exporters = [\"PerformanceExporterExample\", \"PerformanceExporterAcme\"]";

#[test]
fn a_new_exporter_is_built_installed_configured_and_receives_batches() {
    let acme = Scaffold::new("acme", "performance");
    assert_eq!(acme.exporter(), "PerformanceExporterAcme");
    acme.cargo("build");

    let setup = Setup::new(&["example"], BEFORE);
    let host = setup.start();
    ingest(&host, 3);
    host.wait_for_delivered("PerformanceExporterExample", 3);
    acme.install(&setup.path("plugins"));
    let (status, log) = host.stop();
    assert!(status.success(), "{log}");

    let setup = setup.with_config(AFTER);
    let _ = setup.run(&["check"]).expect_exit(0);
    let host = setup.start();
    ingest(&host, 4);
    let line = host.wait_for_log("received 4 points");
    assert!(line.contains("exporter=PerformanceExporterAcme"), "{line}");
    host.wait_for_delivered("PerformanceExporterAcme", 4);
    host.wait_for_delivered("PerformanceExporterExample", 7);

    // The test of the crate runs the conformance suite.
    acme.cargo("test");
}

#[test]
fn a_rust_keyword_as_name_and_an_alert_exporter_build_too() {
    let string = Scaffold::new("string", "alert");
    assert_eq!(string.exporter(), "AlertExporterString");
    string.cargo("build");
    let setup = Setup::new(&[], "");
    let file = string.install(&setup.path("plugins"));
    let file = file.display().to_string();
    let plugin = setup
        .run(&["plugins", "inspect", "--json", &file])
        .expect_exit(0);
    let plugin = plugin.json();
    assert_eq!(plugin["plugin"], "delfin-exporter-string");
    assert_eq!(plugin["exporters"][0]["name"], "AlertExporterString");
    assert_eq!(plugin["exporters"][0]["kind"], "alert");
    let example = fs::read_to_string(string.path().join("example.toml"));
    assert_eq!(plugin["example"], example.expect("the example"));
    let tried = setup
        .run(&["try", &file, "--set", "greeting=tried"])
        .expect_exit(0);
    assert!(tried.stderr.contains("tried 100 alerts"), "{tried:?}");
}
