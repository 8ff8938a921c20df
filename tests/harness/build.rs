//! Builds what the tests run, once a test program.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

const PACKAGES: [&str; 6] = [
    "delfin-host",
    "delfin-exporter-example",
    "delfin-exporter-file",
    "delfin-exporter-prometheus",
    "delfin-exporter-scripted",
    "delfin-exporter-webhook",
];

static TARGET: LazyLock<PathBuf> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--locked", "--quiet", "--manifest-path"])
        .arg(root.join("Cargo.toml"));
    for package in PACKAGES {
        cargo.args(["--package", package]);
    }
    // A benchmark runs what is shipped.
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let status = cargo
        .status()
        .unwrap_or_else(|error| panic!("cannot run cargo: {error}"));
    assert!(status.success(), "cargo cannot build what the tests run");
    // The test program itself is in TARGET/PROFILE/deps.
    let program = std::env::current_exe().unwrap_or_else(|error| panic!("who am I: {error}"));
    let target = program.ancestors().nth(2).map(Path::to_path_buf);
    target.unwrap_or_else(|| panic!("`{}` is in no target folder", program.display()))
});

/// The host.
#[must_use]
pub fn binary() -> PathBuf {
    TARGET.join("delfin-host")
}

/// The library of a plugin: `example`, `file`, `prometheus`, `scripted`, `webhook`.
#[must_use]
pub fn plugin(name: &str) -> PathBuf {
    TARGET.join(format!("libdelfin_exporter_{name}.so"))
}
