//! Builds the host and the plugins, once per test program. `scripts/windows test` has built those for Windows.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use crate::CommandOutput;

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

/// The folder with the host and the plugins for Windows, if the tests run these.
static WINDOWS: LazyLock<Option<PathBuf>> =
    LazyLock::new(|| env::var_os("DELFIN_TEST_WINDOWS").map(PathBuf::from));

static TARGET: LazyLock<PathBuf> = LazyLock::new(|| {
    let root = root();
    let mut cargo = delfin_plugin_api::testkit::cargo();
    cargo
        .args(["build", "--locked", "--quiet", "--manifest-path"])
        .arg(root.join("Cargo.toml"));
    for package in PACKAGES {
        cargo.args(["--package", package]);
    }
    // The test program itself is in TARGET/PROFILE/deps, and cargo calls the folder of the profile
    // `dev` target/debug. A benchmark measures the profile that it was built in.
    let program = env::current_exe();
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

/// The host, for this system.
#[must_use]
pub fn binary() -> PathBuf {
    TARGET.join("delfin-host")
}

/// The command that runs the host: with Wine, if it is for Windows.
#[must_use]
pub fn host_command() -> Command {
    if !runs_windows() {
        return Command::new(binary());
    }
    windows_script(&["run"])
}

/// The command that runs `scripts/windows`.
#[must_use]
pub fn windows_script(args: &[&str]) -> Command {
    let mut command = Command::new(root().join("scripts/windows"));
    command.args(args);
    command
}

/// Whether the host and the plugins are those for Windows.
#[must_use]
pub fn runs_windows() -> bool {
    WINDOWS.is_some()
}

/// A timeout for an exporter in a process, which has to start in this time. To start a process with Wine takes longer.
#[must_use]
pub fn process_timeout(usual: &'static str) -> &'static str {
    if runs_windows() { "20s" } else { usual }
}

/// Ends a process that the host has started, by the number that the host shows.
pub fn end_process(pid: &serde_json::Value) {
    let mut command = if runs_windows() {
        windows_script(&["wine", "taskkill", "/f", "/pid"])
    } else {
        let mut command = Command::new("kill");
        command.arg("-KILL");
        command
    };
    let _ = CommandOutput::run(command.arg(pid.to_string())).expect_exit(0);
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
    let library = format!("delfin_{offers}_{name}");
    match &*WINDOWS {
        Some(folder) => folder.join(format!("plugins/{library}.dll")),
        None => TARGET.join(format!("lib{library}.so")),
    }
}

/// The folder of the project.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
