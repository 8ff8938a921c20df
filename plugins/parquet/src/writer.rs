//! Files in a folder of this machine.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use delfin_plugin_api::{
    Failure, Outcome,
    files::{FileError, write_file},
};

/// A hidden file, which readers leave out.
const PROBE: &str = ".delfin-host";

/// A folder for files.
#[derive(Debug)]
pub(crate) struct FolderWriter(PathBuf);

impl FolderWriter {
    /// A folder that exists, or that the first file creates.
    pub(crate) fn new(folder: PathBuf) -> Result<Self, Failure> {
        if folder.exists() && !folder.is_dir() {
            return Err(Failure::misconfigured(format!(
                "`{}` is not a folder (name another path)",
                folder.display()
            )));
        }
        Ok(Self(folder))
    }

    /// Writes a file below the folder, durably and as a whole. One with the same path is replaced.
    pub(crate) fn write(&self, path: &str, content: &[u8]) -> Outcome {
        write_file(&self.0.join(path), content).map_err(|error| error.failure())
    }

    /// Writes and removes a file: in the folder, or where the first file will create it.
    pub(crate) fn health(&self) -> Outcome {
        let existing = self.0.ancestors().find(|folder| folder.exists());
        let probe = existing.unwrap_or(Path::new(".")).join(PROBE);
        let action = if self.0.exists() {
            "write in"
        } else {
            "create folder"
        };
        let probed = File::create(&probe).and_then(|_| fs::remove_file(&probe));
        probed.map_err(|error| FileError::io(action, &self.0)(error).failure())
    }
}
