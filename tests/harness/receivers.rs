//! Programs that `scripts/provision test` brings.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

/// A binary that came with the receivers, if it is here; if not, a line says so.
///
/// # Panics
///
/// It is missing, in CI.
#[must_use]
pub fn binary(name: &str) -> Option<PathBuf> {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/receivers/usr/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([unpacked]);
    let found = folders
        .map(|folder| folder.join(name))
        .find(|file| file.is_file());
    if found.is_none() {
        let missing =
            format!("`{name}` IS MISSING (run scripts/provision test), NOT TESTED WITH IT");
        let is_ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty());
        assert!(!is_ci, "{missing}");
        // Not through a macro, whose output a test that passes does not show.
        let _ = writeln!(std::io::stderr(), "{missing}");
    }
    found
}
