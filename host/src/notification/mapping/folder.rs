//! Finds mapping files: those that are part of the program, and those of a folder.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use super::file::MappingFile;
use crate::regular_file;

/// The most bytes of a mapping file.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Why mapping files cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} mappings `{file}`: {reason}")]
pub struct MappingError {
    pub kind: &'static str,
    pub file: String,
    pub reason: String,
}

/// A folder with mapping files of one kind, and the built-in ones.
#[derive(Debug)]
pub struct MappingFolder<'a> {
    /// What the mappings are for: `trap`, `syslog`, `webhook` or the name of an input.
    pub kind: &'static str,
    /// Name and text.
    pub built_in: &'a [(&'static str, &'static str)],
    /// It need not exist.
    pub path: &'a Path,
}

impl MappingFolder<'_> {
    /// Reads all files. Those of the folder come before the built-in ones.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or has a mistake: of its own, or one that `add` finds.
    pub fn read(
        &self,
        mut add: impl FnMut(&str, MappingFile) -> Result<(), String>,
    ) -> Result<(), MappingError> {
        self.read_texts(|file, text| add(file, MappingFile::parse(text, self.kind)?))
    }

    /// As `read`, for files of another form.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or has a mistake that `add` finds.
    pub fn read_texts(
        &self,
        mut add: impl FnMut(&str, &str) -> Result<(), String>,
    ) -> Result<(), MappingError> {
        let built_in = self.built_in.iter().copied();
        let mut texts: BTreeMap<&str, &str> = built_in.collect();
        let mut own = BTreeMap::new();
        for path in files_of(self.path).map_err(|error| self.unreadable(self.path, &error))? {
            let text = read(&path).map_err(|error| self.unreadable(&path, &error))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            texts.remove(&*name);
            own.insert(path.display().to_string(), text);
        }
        let built_in = texts.into_iter();
        let built_in = built_in.map(|(name, text)| (format!("built-in {name}"), text.to_owned()));
        for (file, text) in own.into_iter().chain(built_in) {
            add(&file, &text).map_err(|reason| MappingError {
                kind: self.kind,
                file,
                reason,
            })?;
        }
        Ok(())
    }

    fn unreadable(&self, path: &Path, error: &io::Error) -> MappingError {
        MappingError {
            kind: self.kind,
            file: path.display().to_string(),
            reason: format!("cannot be read: {error} (check its owner and its mode)"),
        }
    }
}

/// The mapping files of a folder, by name.
fn files_of(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> io::Result<String> {
    let file = regular_file::open(path)?;
    if file.metadata()?.len() > MAX_FILE_BYTES {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    io::read_to_string(file)
}
