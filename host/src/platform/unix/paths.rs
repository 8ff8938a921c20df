//! Where things are without a configuration.

use std::path::PathBuf;

/// The command that copies a library of a plugin, in a shell.
pub(crate) const COPY_LIBRARY: &str = "install -m 0755";

/// Configuration files.
pub(crate) fn configuration_folder() -> PathBuf {
    "/etc/delfin".into()
}

pub(crate) fn state_folder() -> PathBuf {
    "/var/lib/delfin-host".into()
}

pub(crate) fn plugin_folder() -> PathBuf {
    "/usr/local/lib/delfin-host/plugins".into()
}
