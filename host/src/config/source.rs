//! Which text a configuration was read from.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// The origin of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The file named on the command line.
    Flag(PathBuf),
    /// The file named by the environment variable `DELFIN_CONF`.
    Env(PathBuf),
    /// `etc/delfin/delfin.conf` below the working directory.
    WorkingDirectory(PathBuf),
    /// `/etc/delfin/delfin.conf`.
    System(PathBuf),
    /// A file of the folder `conf.d` next to one of those above, or the folder.
    Further(PathBuf),
    /// The text in the binary, because no file exists.
    Embedded,
}

impl Source {
    /// The file; `None` for the text in the binary.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Flag(path)
            | Self::Env(path)
            | Self::WorkingDirectory(path)
            | Self::System(path)
            | Self::Further(path) => Some(path),
            Self::Embedded => None,
        }
    }

    /// Why the host reads this file, as a phrase for messages.
    #[must_use]
    pub const fn chosen_by(&self) -> &'static str {
        match self {
            Self::Flag(_) => "named by --config",
            Self::Env(_) => "named by DELFIN_CONF",
            Self::WorkingDirectory(_) => "found in the working directory",
            Self::System(_) => "the system-wide file",
            Self::Further(_) => "next to the configuration file",
            Self::Embedded => "built into the program, because no file exists",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path() {
            Some(path) => write!(f, "{}", path.display()),
            None => f.write_str("(embedded) delfin.conf"),
        }
    }
}
