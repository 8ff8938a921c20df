//! Files in a folder of this machine.

use std::{fs, path::PathBuf};

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

    /// Writes and removes a file.
    pub(crate) fn health(&self) -> Outcome {
        self.write(PROBE, b"")?;
        let probe = self.0.join(PROBE);
        fs::remove_file(&probe).map_err(|error| FileError::io("remove", &probe)(error).failure())
    }
}
