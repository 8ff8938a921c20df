//! Programs that `scripts/provision test` brings.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

/// A program of Prometheus' package, if it is here; if not, a line says so.
///
/// # Panics
///
/// It is missing, and this is CI.
#[must_use]
pub fn receiver(name: &str) -> Option<PathBuf> {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/receivers/usr/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([unpacked]);
    let found = folders
        .map(|folder| folder.join(name))
        .find(|file| file.is_file());
    if found.is_none() {
        let missing =
            format!("`{name}` IS MISSING (run scripts/provision test), NOT TESTED WITH IT");
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{missing}");
        // Not through a macro, whose output a test that passes does not show.
        let _ = writeln!(std::io::stderr(), "{missing}");
    }
    found
}
