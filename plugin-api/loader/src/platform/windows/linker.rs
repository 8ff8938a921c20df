//! The folders in which the system looks for a library.

use std::{
    env,
    path::{Path, PathBuf},
};

use crate::{elf::Needs, platform::OwnFolders};

/// Names of libraries that the system resolves without a file begin so.
const API_SETS: [&str; 2] = ["api-ms-win-", "ext-ms-"];

/// The folders for every file: see [`open_library`](super::open_library).
pub(crate) fn system_folders() -> Vec<PathBuf> {
    let root = env::var_os("SystemRoot");
    root.map(|root| Path::new(&root).join("System32"))
        .into_iter()
        .collect()
}

/// The folder of the file.
pub(crate) fn own_folders(_: &Needs, path: &Path) -> OwnFolders {
    OwnFolders {
        fixed: Vec::new(),
        by_origin: path.parent().map(Path::to_owned).into_iter().collect(),
    }
}

/// Whether a library needs no file.
pub(crate) fn is_part_of_system(library: &str) -> bool {
    let name = library.to_ascii_lowercase();
    API_SETS.iter().any(|start| name.starts_with(start))
}
