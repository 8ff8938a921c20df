//! Runs cargo in a test: builds the library of the crate under test.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::platform::make_trusted;

/// Builds the `cdylib` of the crate that calls it in a test or a benchmark, with the
/// profile of the caller, and returns the path of the library.
///
/// # Panics
///
/// Cargo fails, or the crate has no `cdylib`.
#[must_use]
pub fn build_library() -> PathBuf {
    let manifest = crate_folder().join("Cargo.toml").display().to_string();
    let output = cargo()
        .args([
            "build",
            "--lib",
            "--message-format=json-render-diagnostics",
            "--manifest-path",
        ])
        .arg(&manifest)
        .args(profile().map(|profile| format!("--profile={profile}")))
        .output()
        .unwrap_or_else(|error| panic!("cannot run cargo: {error}"));
    assert!(
        output.status.success(),
        "cargo cannot build `{manifest}`:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let messages = String::from_utf8_lossy(&output.stdout);
    let library = messages
        .lines()
        .filter_map(|line| library_of(line, &manifest))
        .next_back();
    library
        .unwrap_or_else(|| panic!("`{manifest}` has no library (add `crate-type = [\"cdylib\"]`)"))
}

/// The folder of the crate that calls it in a test or a benchmark.
pub(super) fn crate_folder() -> PathBuf {
    env("CARGO_MANIFEST_DIR").into()
}

/// Cargo as a shell runs it: without what cargo has set for the running test.
///
/// The build scripts of some crates, `ring` among them, run again when these variables change. Cargo
/// would then build everything that depends on TLS again, in each test and after it.
///
/// # Panics
///
/// The test was not started by cargo.
#[must_use]
pub fn cargo() -> Command {
    let mut command = Command::new(env("CARGO"));
    let is_of_test = |name: &str| {
        ["CARGO_PKG_", "CARGO_MANIFEST_"]
            .iter()
            .any(|start| name.starts_with(start))
            || ["CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE", "OUT_DIR"].contains(&name)
    };
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_of_test) {
            command.env_remove(name);
        }
    }
    command
}

/// The profile of the running test or benchmark, which is in TARGET/PROFILE/deps; `None` for `dev`
/// and `test`, whose folder is `debug`.
fn profile() -> Option<String> {
    let program = std::env::current_exe().ok()?;
    let profile = program.parent()?.parent()?.file_name()?.to_str()?;
    (profile != "debug").then(|| profile.to_owned())
}

/// The path of the shared library in a message of cargo, if the message is about this
/// crate.
fn library_of(message: &str, manifest: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    if message["reason"] != "compiler-artifact" || message["manifest_path"] != manifest {
        return None;
    }
    let files = message["filenames"]
        .as_array()?
        .iter()
        .filter_map(|file| file.as_str());
    let mut files = files.map(PathBuf::from);
    files.find(|file| {
        file.extension()
            .is_some_and(|end| end == std::env::consts::DLL_EXTENSION)
    })
}

fn env(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("`{name}` is not set (run the test with cargo)"))
}

/// The symbol of the root module, as the dynamic linker looks it up.
const ROOT_MODULE: &[u8] = b"_1as_0lib_1header_0root_bmodule_bloader";

/// Copies a library without its root module into a folder, so that only its C interface is left.
///
/// # Panics
///
/// The library has no root module, or cannot be copied.
#[must_use]
pub fn c_interface_only(library: &Path, folder: &Path) -> PathBuf {
    let bytes = fs::read(library);
    let mut bytes = bytes.unwrap_or_else(|error| panic!("`{}`: {error}", library.display()));
    let names = bytes.windows(ROOT_MODULE.len()).enumerate();
    let names = names.filter(|(_, name)| *name == ROOT_MODULE);
    let names: Vec<usize> = names.map(|(at, _)| at).collect();
    assert!(!names.is_empty(), "the library has no root module");
    for at in names {
        // With another name in the table of strings, the linker does not find the symbol.
        bytes[at] = b'x';
    }
    let copy = folder.join("c_interface_only.so");
    let written = fs::write(&copy, bytes).and_then(|()| make_trusted(&copy));
    written.unwrap_or_else(|error| panic!("`{}`: {error}", copy.display()));
    copy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_sees_nothing_of_the_running_test() {
        let command = cargo();
        let removed: Vec<_> = command
            .get_envs()
            .filter(|(_, value)| value.is_none())
            .map(|(name, _)| name)
            .collect();
        for name in [
            "CARGO_MANIFEST_DIR",
            "CARGO_PKG_NAME",
            "CARGO_PKG_VERSION_PRE",
        ] {
            assert!(removed.iter().any(|removed| *removed == name), "{name}");
        }
        assert!(!removed.iter().any(|name| *name == "CARGO_HOME"));
    }
}
