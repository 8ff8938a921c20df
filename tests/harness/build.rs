//! Builds the host and the plugins, once per test program.

use std::{
    path::{Path, PathBuf},
    sync::LazyLock,
};

const PACKAGES: [&str; 9] = [
    "delfin-host",
    "delfin-driver-array",
    "delfin-exporter-example",
    "delfin-exporter-file",
    "delfin-exporter-prometheus",
    "delfin-exporter-prometheus-remote-write",
    "delfin-exporter-scrape",
    "delfin-exporter-scripted",
    "delfin-exporter-webhook",
];

static TARGET: LazyLock<PathBuf> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut cargo = delfin_plugin_api::testkit::cargo();
    cargo
        .args(["build", "--locked", "--quiet", "--manifest-path"])
        .arg(root.join("Cargo.toml"));
    for package in PACKAGES {
        cargo.args(["--package", package]);
    }
    // The test program itself is in TARGET/PROFILE/deps, and cargo calls the folder of the profile
    // `dev` target/debug. A benchmark measures the profile that it was built in.
    let program = std::env::current_exe();
    let program = program.unwrap_or_else(|error| panic!("no path of this program: {error}"));
    let target = program.ancestors().nth(2).map(Path::to_path_buf);
    let target = target.unwrap_or_else(|| panic!("`{}` is in no target folder", program.display()));
    let profile = target.file_name().unwrap_or_default();
    if profile != "debug" {
        cargo.arg("--profile").arg(profile);
    }
    let status = cargo
        .status()
        .unwrap_or_else(|error| panic!("cannot run cargo: {error}"));
    assert!(status.success(), "cargo cannot build what the tests run");
    target
});

/// The host.
#[must_use]
pub fn binary() -> PathBuf {
    TARGET.join("delfin-host")
}

/// The library of a plugin: `array`, `example`, `file`, `prometheus`, `prometheus_remote_write`, `scrape`,
/// `scripted`, `webhook`.
#[must_use]
pub fn plugin(name: &str) -> PathBuf {
    let offers = if name == "array" {
        "driver"
    } else {
        "exporter"
    };
    TARGET.join(format!("libdelfin_{offers}_{name}.so"))
}
