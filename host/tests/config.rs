//! Good and bad configuration files, the exact message next to each bad one.
//!
//! `NAME.bad.toml` gives just what `NAME.bad.txt` holds. `NAME.good.toml` gives
//! a configuration, with the warnings in `NAME.good.txt` where there are any.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that cannot be read fails the test"
)]

use std::fs;
use std::path::{Path, PathBuf};

use delfin_host::config::{self, Source};

fn fixtures(ending: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config");
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = entries
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths
}

/// The file's outcome: its errors, or else its warnings.
fn outcome(path: &Path) -> Result<String, String> {
    let name = path.file_name().unwrap();
    let text = fs::read_to_string(path).unwrap();
    match config::parse(&text, &Source::Flag(name.into())) {
        Ok(config) => Ok(config.warnings.join("\n")),
        Err(errors) => Err(errors.to_string()),
    }
}

#[test]
fn every_bad_file_gives_exactly_the_message_next_to_it() {
    let mut failures = Vec::new();
    for path in fixtures(".bad.toml") {
        let expected = fs::read_to_string(path.with_extension("txt")).unwrap_or_default();
        let found = outcome(&path).expect_err(&format!("{} is accepted", path.display()));
        if found != expected.trim_end() {
            failures.push(format!("{}:\n{found}\n", path.display()));
        }
    }
    assert!(
        failures.is_empty(),
        "other messages than expected:\n\n{}",
        failures.join("\n")
    );
}

#[test]
fn every_good_file_is_accepted_with_no_other_warnings_than_expected() {
    for path in fixtures(".good.toml") {
        let expected = fs::read_to_string(path.with_extension("txt")).unwrap_or_default();
        let found = outcome(&path).unwrap_or_else(|errors| panic!("refused:\n{errors}"));
        assert_eq!(found, expected.trim_end(), "{}", path.display());
    }
}
