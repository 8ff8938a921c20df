//! Plugins of every interface version in hosts of every interface version.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

const VISITS: [(&str, &str); 4] = [
    ("1.0", "1-0"),
    ("1.0", "1-1"),
    ("1.1", "1-0"),
    ("1.1", "1-1"),
];

/// The messages of the plugin for all calls of the host.
fn expected(host: &str, plugin: &str) -> String {
    let machine = match (host, plugin) {
        (_, "1-0") => "",
        // The host lacks the method, so the default of the plugin's version runs.
        ("1.0", "1-1") => " on unknown machine",
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
    let mut answers: Vec<_> = calls
        .map(|call| format!("{call} for compat{machine}"))
        .into();
    match (host, plugin) {
        ("1.0", _) => {}
        // The plugin lacks the method, so the default of the host's version runs.
        (_, "1-0") => answers.extend(["cannot say".to_owned(), "greeting: None".to_owned()]),
        _ => answers.extend([
            "counting".to_owned(),
            "greeting: Some(\"hello\")".to_owned(),
        ]),
    }
    answers.join("; ")
}

#[test]
fn plugins_and_hosts_of_every_version_work_in_every_order_in_one_process() {
    for order in orders(&VISITS) {
        let answers = visit(&order);
        let expected: Vec<_> = order
            .iter()
            .map(|(host, plugin)| expected(host, plugin))
            .collect();
        assert_eq!(answers, expected, "{order:?}");
    }
}

#[test]
fn a_changed_method_is_refused_in_one_line_with_versions_and_remedy() {
    for (host, has) in [("1.0", "1.0.0"), ("1.1", "1.1.0")] {
        refused(
            host,
            "changed-method",
            &format!(
                "was built for plugin interface 1.2.0, which is not compatible with this host's \
                 {has}: they differ in `Exporter::tick` (rebuild it for interface {has}, or update the host)"
            ),
        );
    }
}

#[test]
fn a_grown_struct_is_refused_in_one_line_with_versions_and_remedy() {
    for (host, has) in [("1.0", "1.0.0"), ("1.1", "1.1.0")] {
        refused(
            host,
            "grown-struct",
            &format!(
                "was built for plugin interface 1.3.0, which is not compatible with this host's \
                 {has}: they differ in `Outcome` (rebuild it for interface {has}, or update the host)"
            ),
        );
    }
}

#[test]
fn another_major_version_is_refused_in_one_line_with_versions_and_remedy() {
    for (host, has) in [("1.0", "1.0.0"), ("1.1", "1.1.0")] {
        refused(
            host,
            "2-0",
            &format!(
                "was built for plugin interface 2.0.0, this host has {has}, and these are never \
                 compatible (rebuild it for interface {has})"
            ),
        );
    }
}

#[test]
fn a_refused_plugin_does_not_affect_later_plugins() {
    let order = [
        ("1.1", "grown-struct"),
        ("1.1", "1-0"),
        ("1.1", "changed-method"),
        ("1.0", "1-1"),
    ];
    let answers = visit(&order);
    assert!(answers[0].starts_with("refused: "), "{answers:?}");
    assert_eq!(answers[1], expected("1.1", "1-0"));
    assert!(answers[2].starts_with("refused: "), "{answers:?}");
    assert_eq!(answers[3], expected("1.0", "1-1"));
}

/// Checks the error, in a process of its own and after compatible plugins.
fn refused(host: &str, plugin: &str, reason: &str) {
    let line = format!("refused: plugin `{}` {reason}", library(plugin).display());
    assert_eq!(visit(&[(host, plugin)])[0], line);
    let after = visit(&[(host, "1-0"), (host, "1-1"), (host, plugin)]);
    assert_eq!(after[2], line);
}

/// The lines of one process that opens these plugins in these hosts.
fn visit(order: &[(&str, &str)]) -> Vec<String> {
    let cache = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_compat"));
    command.arg(cache.path());
    for (host, plugin) in order {
        command.arg(host).arg(library(plugin));
    }
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{order:?}: {errors}");
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(str::to_owned).collect()
}

fn orders<T: Copy>(of: &[T]) -> Vec<Vec<T>> {
    if of.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (i, first) in of.iter().enumerate() {
        let rest: Vec<_> = [&of[..i], &of[i + 1..]].concat();
        for mut order in orders(&rest) {
            order.insert(0, *first);
            all.push(order);
        }
    }
    all
}

/// The library of a plugin. The first call builds all plugins.
fn library(plugin: &str) -> PathBuf {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(build_plugins);
    folder
        .path()
        .join(format!("libcompat_plugin_{}.so", plugin.replace('-', "_")))
}

/// Builds the plugins and copies them into a folder that other users cannot write to,
/// because the loader would refuse them in a working copy that is group-writable.
fn build_plugins() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--message-format=json", "--manifest-path"])
        .arg(workspace);
    for plugin in ["1-0", "1-1", "2-0", "changed-method", "grown-struct"] {
        cargo
            .arg("--package")
            .arg(format!("compat-plugin-{plugin}"));
    }
    let output = cargo.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for message in String::from_utf8(output.stdout).unwrap().lines() {
        let message: serde_json::Value = serde_json::from_str(message).unwrap();
        let file = Path::new(message["filenames"][0].as_str().unwrap_or_default());
        if file.extension().is_some_and(|extension| extension == "so") {
            install(file, folder.path());
        }
    }
    folder
}

fn install(file: &Path, folder: &Path) {
    use std::{fs, os::unix::fs::PermissionsExt};
    let copy = folder.join(file.file_name().unwrap());
    fs::copy(file, &copy).unwrap();
    fs::set_permissions(copy, fs::Permissions::from_mode(0o644)).unwrap();
}
