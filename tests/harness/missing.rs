//! What a machine lacks for a test: an error in CI, and elsewhere one line.

use std::{
    collections::BTreeSet,
    env,
    io::{self, Write},
    sync::{Mutex, PoisonError},
};

/// What was reported, so that each is reported once.
static REPORTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Says that something is missing, so that its tests did not run, and what provides it. In CI it panics.
pub fn missing(what: &str, remedy: &str) {
    let missing = format!("SKIPPED: {what} is missing, so nothing is tested with it ({remedy})");
    let is_ci = env::var_os("CI").is_some_and(|value| !value.is_empty());
    assert!(!is_ci, "{missing}");
    let mut reported = REPORTED.lock().unwrap_or_else(PoisonError::into_inner);
    if reported.insert(what.to_owned()) {
        // Not through a macro: the output of a test that passes is not shown.
        let _ = writeln!(io::stderr(), "{missing}");
    }
}
