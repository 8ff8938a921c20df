//! What `new exporter` writes is built as it stands, outside this workspace,
//! and is a plugin that a host takes.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

fn host(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_delfin-host"));
    command.current_dir(folder).args(args).output().unwrap()
}

fn succeeded(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");
    stdout
}

/// Builds the crate. All that it needs is on this machine, or this test could
/// not have been built.
fn build(krate: &Path) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new-exporter");
    let mut command = Command::new(env!("CARGO"));
    command
        .current_dir(krate)
        .args(["build", "--offline"])
        .env("CARGO_TARGET_DIR", &target);
    succeeded(&command.output().unwrap());
    target.join("debug")
}

fn check(name: &str, kind: &str, exporter: &str) {
    let folder = tempfile::tempdir().unwrap();
    let args = ["new", "exporter", name, "--kind", kind, "--json"];
    let written: Value = serde_json::from_str(&succeeded(&host(folder.path(), &args))).unwrap();
    assert_eq!(written["exporter"], exporter);

    let krate = folder.path().join(name);
    let library = build(&krate).join(written["library"].as_str().unwrap());
    let plugin = folder.path().join("plugin.so");
    fs::copy(library, &plugin).unwrap();
    fs::set_permissions(&plugin, fs::Permissions::from_mode(0o755)).unwrap();

    let args = ["plugins", "inspect", "--json", "plugin.so"];
    let plugin: Value = serde_json::from_str(&succeeded(&host(folder.path(), &args))).unwrap();
    assert_eq!(plugin["plugin"], format!("delfin-exporter-{name}"));
    assert_eq!(plugin["exporters"][0]["name"], exporter);
    assert_eq!(plugin["exporters"][0]["kind"], kind);
    let example = fs::read_to_string(krate.join("example.toml")).unwrap();
    assert_eq!(plugin["example"], example);
}

#[test]
fn a_new_exporter_is_built_as_it_stands_and_is_a_plugin() {
    check("acme", "performance", "PerformanceExporterAcme");
}

#[test]
fn a_name_that_rust_uses_itself_and_alerts_make_a_plugin_too() {
    check("string", "alert", "AlertExporterString");
}

#[test]
fn what_is_there_is_not_written_over() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("acme")).unwrap();
    let output = host(folder.path(), &["new", "exporter", "acme"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout, b"");
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "error: `acme` exists already (choose another name, or remove it)\n"
    );
}
