//! What ARCHITECTURE.md says must never be, as far as sources and manifests tell.

#![expect(clippy::expect_used, reason = "a test says by a panic that it failed")]

mod cycles;
mod floor;
mod names;
mod sources;
mod systems;
mod words;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use delfin_tests::CommandOutput;
use serde_json::Value;

use crate::sources::{files, read, root, shipped};

/// Where `unsafe` is allowed: what crosses the boundary, opening a library, mapping a batch,
/// closing inherited descriptors, resetting signals, setting options of the allocator, and functions of Windows
/// that the standard library does not have.
const UNSAFE: [&str; 33] = [
    "host/src/batch/codec/trusted.rs",
    "host/src/platform/unix/allocator.rs",
    "host/src/platform/unix/processes/descriptors.rs",
    "host/src/platform/unix/processes/ignored_signals.rs",
    "host/src/platform/unix/processes/watched.rs",
    "host/src/platform/windows/disks.rs",
    "host/src/platform/windows/files.rs",
    "host/src/platform/windows/machine.rs",
    "host/src/platform/windows/processes/child.rs",
    "host/src/platform/windows/processes/inherited.rs",
    "host/src/platform/windows/processes/job.rs",
    "host/src/platform/windows/udp.rs",
    "host/src/plugin/process/runner/rows.rs",
    "plugin-api/abi/src/arrow.rs",
    "plugin-api/c/src/lib.rs",
    "plugin-api/loader/src/c_plugin/call.rs",
    "plugin-api/loader/src/c_plugin/extension.rs",
    "plugin-api/loader/src/c_plugin/host.rs",
    "plugin-api/loader/src/c_plugin/mod.rs",
    "plugin-api/loader/src/library.rs",
    "plugin-api/loader/src/platform/unix/mod.rs",
    "plugin-api/loader/src/platform/windows/mod.rs",
    "plugin-api/loader/src/platform/windows/rights.rs",
    "plugin-api/protocol/src/files.rs",
    "plugin-api/protocol/src/platform/unix.rs",
    "plugin-api/protocol/src/platform/windows.rs",
    "plugin-api/src/c_glue.rs",
    "plugin-api/src/driver/extension.rs",
    "plugin-api/src/export.rs",
    "plugin-api/src/glue.rs",
    "plugin-api/src/platform/windows/files.rs",
    "plugin-api/src/platform/windows/ports.rs",
    "plugins/file/src/writer/platform/windows.rs",
];

/// What every plugin's folder has. A plugin with a folder for each exporter has `config.rs` there.
const PLUGIN_FILES: [&str; 5] = [
    "Cargo.toml",
    "README.md",
    "example.toml",
    "src/lib.rs",
    "tests",
];

/// The files of a plugin that is a program.
const PROGRAM_FILES: [&str; 4] = ["README.md", "plugin.toml", "program.py", "tests"];

/// The modules of a plugin, by their role. CONTRIBUTING.md says what each is for. A role is a file
/// or a folder.
const PLUGIN_ROLES: [&str; 7] = [
    "client", "config", "encode", "outcome", "server", "state", "writer",
];

/// The modules of a plugin with drivers.
const DRIVER_ROLES: [&str; 9] = [
    "alerts",
    "client",
    "config",
    "decode",
    "driver",
    "mapping",
    "resources",
    "series",
    "state",
];

const MAX_LINES: usize = 600;

/// What each package of the workspace depends on of ours.
fn our_dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["metadata", "--no-deps", "--locked", "--format-version=1"])
        .current_dir(root());
    let metadata = CommandOutput::run(&mut cargo).expect_exit(0).json();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let packages = list(&metadata["packages"]).into_iter().map(|package| {
        let dependencies = list(&package["dependencies"]).into_iter();
        let shipped = dependencies.filter(|dependency| dependency["kind"] != "dev");
        let names = shipped.map(|dependency| text(&dependency["name"]));
        (text(&package["name"]), names.collect())
    });
    packages.collect()
}

fn plugins() -> Vec<String> {
    let packages = our_dependencies().into_keys();
    let plugins = packages.filter(|name| name.starts_with("delfin-exporter-"));
    plugins
        .filter(|name| name != "delfin-exporter-scripted")
        .collect()
}

#[test]
fn the_host_names_no_plugin() {
    let plugins = plugins();
    assert!(plugins.len() >= 2, "{plugins:?}");
    // Pages of `new` name the crate that they make.
    let host = files("host/src")
        .into_iter()
        .filter(|path| !path.contains("/new_project"));
    let host = host.filter(|path| !path.contains("/tests") && !path.contains("/snapshots/"));
    // What is no text names nothing.
    let host = host.filter(|path| !path.ends_with(".bin"));
    for path in host.chain(["host/Cargo.toml".to_owned(), "host/build.rs".to_owned()]) {
        let text = read(&path);
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        for plugin in &plugins {
            let library = plugin.replace('-', "_");
            assert!(
                !text.contains(plugin) && !text.contains(&library),
                "`{path}` names `{plugin}`"
            );
        }
    }
}

#[test]
fn dependencies_point_one_way() {
    for (package, dependencies) in our_dependencies() {
        let ours = dependencies
            .iter()
            .filter(|name| name.starts_with("delfin-"));
        let ours: Vec<&str> = ours.map(String::as_str).collect();
        match &*package {
            "delfin-plugin-abi" => {
                assert_eq!(dependencies.iter().collect::<Vec<_>>(), ["abi_stable"])
            }
            name if name.starts_with("delfin-exporter-") => {
                assert_eq!(ours, ["delfin-plugin-api"], "{package}")
            }
            // Neither the host nor what it is built of depends on a plugin.
            _ => assert!(
                !ours
                    .iter()
                    .any(|name| *name == "delfin-host" || name.starts_with("delfin-exporter-")),
                "{package}: {ours:?}"
            ),
        }
    }
}

#[test]
fn every_plugins_folder_has_the_same_files() {
    for plugin in fs::read_dir(root().join("plugins")).expect("the plugins") {
        let folder = plugin.expect("a plugin").path();
        let is_program = folder.join("plugin.toml").exists();
        let files: &[&str] = if is_program {
            &PROGRAM_FILES
        } else {
            &PLUGIN_FILES
        };
        for file in files {
            assert!(
                folder.join(file).exists(),
                "`{}` has no `{file}`",
                folder.display()
            );
        }
    }
}

#[test]
fn every_plugin_names_its_modules_after_their_roles() {
    for plugin in fs::read_dir(root().join("plugins")).expect("the plugins") {
        let source = plugin.expect("a plugin").path().join("src");
        // A program.
        if !source.exists() {
            continue;
        }
        let mut modules = modules(&source);
        let exporters: Vec<PathBuf> = modules
            .iter()
            .filter(|path| path.join("mod.rs").is_file() && path.join("config.rs").is_file())
            .cloned()
            .collect();
        // A folder for each exporter has the same files, and `src/` then has no other module.
        if !exporters.is_empty() {
            modules.retain(|path| !exporters.contains(path));
            assert_eq!(modules, [] as [PathBuf; 0], "next to folders of exporters");
        }
        for folder in exporters
            .iter()
            .chain(exporters.is_empty().then_some(&source))
        {
            let roles: Vec<String> = self::modules(folder)
                .iter()
                .map(|path| name(path))
                .collect();
            let folder = folder.display();
            assert!(
                roles.iter().any(|role| role == "config"),
                "`{folder}` has no `config`"
            );
            let known = if roles.iter().any(|role| role == "driver") {
                &DRIVER_ROLES[..]
            } else {
                &PLUGIN_ROLES[..]
            };
            for role in roles.iter().filter(|role| *role != "tests") {
                assert!(
                    known.contains(&&**role),
                    "`{folder}` has a module `{role}`: the roles are {known:?}"
                );
            }
        }
    }
}

/// The modules directly in a folder: files and folders, without `lib.rs` and `mod.rs`.
fn modules(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of sources");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut modules: Vec<PathBuf> = paths
        .filter(|path| !matches!(&*name(path), "lib" | "mod"))
        .collect();
    modules.sort();
    modules
}

fn name(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default();
    stem.to_string_lossy().into_owned()
}

#[test]
fn no_file_is_longer_than_600_lines() {
    for path in shipped().filter(|path| !path.ends_with("tests.rs")) {
        let text = read(&path);
        let lines = text
            .split("\n#[cfg(test)]\nmod tests {")
            .next()
            .unwrap_or_default()
            .lines()
            .count();
        assert!(lines <= MAX_LINES, "`{path}` has {lines} lines");
    }
}

#[test]
fn unsafe_code_is_only_in_the_listed_files() {
    let code = |line: &str| !line.trim_start().starts_with("//");
    let word = |line: &str| {
        line.split(|c: char| !c.is_alphanumeric() && c != '_')
            .any(|word| word == "unsafe")
    };
    for path in shipped() {
        let found = read(&path).lines().any(|line| code(line) && word(line));
        assert!(
            !found || UNSAFE.contains(&&*path),
            "`{path}` has unsafe code"
        );
    }
}

#[test]
fn lints_are_expected_with_a_reason_and_never_allowed() {
    // The macros of abi_stable write code that would need an expectation each.
    for path in shipped().filter(|path| path != "plugin-api/abi/src/lib.rs") {
        let text = read(&path);
        assert!(
            !text.contains("#[allow(") && !text.contains("#![allow("),
            "`{path}` allows a lint"
        );
    }
}

#[test]
fn every_file_starts_with_a_header() {
    for path in shipped().filter(|path| !path.ends_with("tests.rs")) {
        assert!(read(&path).starts_with("//!"), "`{path}` has no header");
    }
}
