//! `scripts/deb`: the package on a Debian of its own, which `scripts/receivers fetch debian` makes.

#![expect(clippy::expect_used, reason = "a test says by a panic that it failed")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use delfin_tests::{CommandOutput, binary, missing, plugin};

const VERSIONS: [&str; 2] = ["0.1.0~old", "0.1.0"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn run(command: &mut Command) -> CommandOutput {
    CommandOutput::run(command.current_dir(root())).expect_exit(0)
}

/// Copies without what debuggers need, which is most of a file of a debug build.
fn strip(from: &Path, to: &Path) {
    run(Command::new("strip").arg("-o").arg(to).arg(from));
}

/// Builds a package of each version in a folder.
fn build(folder: &Path) -> [String; 2] {
    let from = folder.join("dist");
    fs::create_dir_all(from.join("plugins")).expect("make a folder");
    strip(&binary(), &from.join("delfin-host"));
    let library = plugin("prometheus");
    let name = library.file_name().expect("a name");
    strip(&library, &from.join("plugins").join(name));
    VERSIONS.map(|version| {
        let mut script = Command::new("scripts/deb");
        // Compression takes longer than all the rest.
        script.env("DPKG_DEB_COMPRESSOR_TYPE", "none");
        let built = run(script.arg(&from).arg(folder).arg(version)).stdout;
        let name = built
            .split('/')
            .next_back()
            .and_then(|name| name.split('\'').next());
        name.expect("the name of a package").to_owned()
    })
}

#[test]
fn the_package_is_installed_upgraded_and_removed_and_keeps_the_state() {
    let debian = root().join("target/receivers/debian.tar");
    if !debian.exists() || !rustix::process::geteuid().is_root() {
        return missing(
            "a Debian to install in",
            "run `make setup` and this test as root",
        );
    }
    let folder = tempfile::tempdir().expect("a folder");
    let system = folder.path().join("debian");
    let packages = system.join("packages");
    fs::create_dir_all(&packages).expect("make a folder");
    run(Command::new("tar")
        .arg("-xf")
        .arg(&debian)
        .arg("-C")
        .arg(&system));
    let [old, new] = build(&packages);
    let mut lifecycle = Command::new("unshare");
    let script = root().join("tests/package/lifecycle");
    let lifecycle = lifecycle.args(["--mount", "--net"]).arg(script);
    let said = run(lifecycle.arg(&system).args([old, new]));
    assert!(said.stdout.ends_with("purge\n"), "{}", said.stdout);
}

#[test]
fn the_unit_exposes_little_of_the_machine() {
    let mut analyze = Command::new("systemd-analyze");
    let unit = "etc/systemd/delfin-host.service";
    // The exit code says whether the exposure is below the threshold, in tenths.
    run(analyze.args(["security", "--offline=true", "--threshold=30", unit]));
}
