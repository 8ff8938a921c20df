//! Plugins of several versions of the C interface in hosts of several versions. Host 1.0 has the
//! current types, and host 1.1 those of `c/v1.1`.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The plugins, the header that each is built with, and what the compiler defines.
const PLUGINS: [(&str, &str, &[&str]); 4] = [
    ("c-1-0", "../../../plugin-api/c", &[]),
    ("c-1-1", "../c/v1.1", &[]),
    ("c-2-0", "../c/v1.1", &["-DVERSION=(2u << 16)"]),
    ("c-cut", "../c/v1.1", &["-DSTRUCT_SIZE=80"]),
];

fn expected(host: &str, plugin: &str) -> String {
    let machine = match (host, plugin) {
        (_, "c-1-0") => "",
        // The host lacks the member, and the plugin notices.
        ("1.0", _) => " on unknown machine",
        _ => " on alpha",
    };
    let calls = [
        "exported 3",
        "exported 7",
        "flushed 7",
        "healthy 7",
        "ticked 7",
        "closed 7",
    ];
    let messages = calls.map(|call| format!("{call} for compat{machine}"));
    messages.join("; ")
}

#[test]
fn c_plugins_and_hosts_of_older_and_newer_tables_work_together() {
    let folder = build();
    let visits = [
        ("1.0", "c-1-1"),
        ("1.1", "c-1-0"),
        ("1.0", "c-1-0"),
        ("1.1", "c-1-1"),
    ];
    let expected: Vec<_> = visits
        .iter()
        .map(|(host, plugin)| expected(host, plugin))
        .collect();
    assert_eq!(visit(folder.path(), &visits), expected);
}

#[test]
fn a_table_of_another_major_version_or_without_its_first_members_is_refused() {
    let folder = build();
    let visits = [("1.0", "c-2-0"), ("1.1", "c-2-0"), ("1.0", "c-cut")];
    let lines = visit(folder.path(), &visits);
    for line in &lines[..2] {
        let reason = "was built for plugin interface c 2.0, this host has c 1, and these are never";
        assert!(line.contains(reason), "{line}");
    }
    assert!(lines[2].contains("with a wrong `struct_size`"), "{lines:?}");
}

/// The lines of one process that opens these plugins in these hosts.
fn visit(folder: &Path, visits: &[(&str, &str)]) -> Vec<String> {
    let cache = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_compat"));
    command.arg(cache.path());
    for (host, plugin) in visits {
        command.arg(host).arg(library(folder, plugin));
    }
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{visits:?}: {errors}");
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(str::to_owned).collect()
}

fn library(folder: &Path, plugin: &str) -> PathBuf {
    folder.join(format!("{plugin}.so"))
}

fn build() -> tempfile::TempDir {
    use std::{fs, os::unix::fs::PermissionsExt};
    let folder = tempfile::tempdir().unwrap();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (plugin, header, defines) in PLUGINS {
        let library = library(folder.path(), plugin);
        let mut cc = Command::new("cc");
        cc.args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared"]);
        cc.args(defines).arg("-I").arg(here.join(header));
        cc.arg(here.join("../c/plugin.c")).arg("-o").arg(&library);
        assert!(cc.status().unwrap().success(), "{plugin}");
        fs::set_permissions(library, fs::Permissions::from_mode(0o644)).unwrap();
    }
    folder
}
