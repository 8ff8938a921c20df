//! Where things are without a configuration: below `%ProgramData%`, and plugins next to the program.

use std::{
    env,
    path::{Path, PathBuf},
};

/// The command that copies a library of a plugin, in PowerShell.
pub(crate) const COPY_LIBRARY: &str = "Copy-Item";

/// Configuration files.
pub(crate) fn configuration_folder() -> PathBuf {
    let data = env::var_os("ProgramData");
    data.map_or_else(|| PathBuf::from(r"C:\ProgramData"), PathBuf::from)
        .join("delfin")
}

pub(crate) fn state_folder() -> PathBuf {
    configuration_folder().join("state")
}

pub(crate) fn plugin_folder() -> PathBuf {
    let program = env::current_exe().unwrap_or_default();
    program.parent().unwrap_or(Path::new(".")).join("plugins")
}
