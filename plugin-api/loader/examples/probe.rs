//! The child process of a probe, as the host runs it.

use std::{path::Path, process::ExitCode};

fn main() -> ExitCode {
    match std::env::args_os().nth(1) {
        Some(library) => delfin_plugin_loader::probe(Path::new(&library)),
        None => ExitCode::FAILURE,
    }
}
