//! The files of a new project, and where they are written.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::sdk;
use crate::cli::error::Error;

/// The path and the text of each file, with placeholders.
pub(super) type TemplateFiles = &'static [(&'static str, &'static str)];

/// The path and the content of each file of a kit.
pub(super) type KitFiles = &'static [(&'static str, &'static [u8])];

/// A project, before it is written.
pub(super) struct Project {
    /// The path and the text of each file.
    pub(super) files: Vec<(String, String)>,
    /// The folder of the kit in the project, and its files.
    pub(super) kit: (String, KitFiles),
    /// The message after the project was written.
    pub(super) next_steps: String,
}

/// Why the project was not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum NewProjectError {
    #[error("`{}` already exists (choose another name, or remove it)", path.display())]
    Exists { path: PathBuf },
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
}

impl From<NewProjectError> for Error {
    fn from(error: NewProjectError) -> Self {
        Self::failed(error)
    }
}

impl Project {
    /// Fills in the placeholders of the files and of the message.
    pub(super) fn new(
        files: TemplateFiles,
        kit: (String, KitFiles),
        next_steps: &str,
        fill: impl Fn(&str) -> String,
    ) -> Self {
        let files = files.iter().map(|(path, text)| (fill(path), fill(text)));
        Self {
            files: files.collect(),
            kit,
            next_steps: fill(next_steps),
        }
    }

    /// Writes all files, or none.
    pub(super) fn write(&self, folder: &Path) -> Result<(), NewProjectError> {
        fs::create_dir(folder).map_err(|source| {
            let path = folder.to_owned();
            match source.kind() {
                io::ErrorKind::AlreadyExists => NewProjectError::Exists { path },
                _ => NewProjectError::Write { path, source },
            }
        })?;
        let files = self.files.iter();
        let files = files.map(|(path, text)| (path.clone(), text.as_bytes()));
        let (kit_folder, kit) = &self.kit;
        let kit = kit
            .iter()
            .map(|(path, bytes)| (format!("{kit_folder}/{path}"), *bytes));
        let is_crate = self.files.iter().any(|(path, _)| path == "Cargo.toml");
        let lock = is_crate.then(|| ("Cargo.lock".to_owned(), sdk::LOCK));
        for (path, bytes) in files.chain(kit).chain(lock) {
            let path = folder.join(path);
            if let Err(source) = write_file(&path, bytes) {
                // An incomplete project would make the next attempt fail.
                let _ = fs::remove_dir_all(folder);
                return Err(NewProjectError::Write { path, source });
            }
        }
        Ok(())
    }
}

/// Replaces each placeholder by its value.
pub(super) fn fill(text: &str, values: &[(&str, &str)]) -> String {
    values
        .iter()
        .fold(text.to_owned(), |text, (placeholder, value)| {
            text.replace(placeholder, value)
        })
}

fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, bytes)
}

#[cfg(test)]
pub(super) fn check_placeholders(project: &Project) {
    for (path, text) in &project.files {
        // A decorator in Python, and the target of a rule in a Makefile.
        let text = path.clone() + &text.replace("@dataclass", "").replace("$@", "");
        assert!(!text.contains('@'), "{path}: {text}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_existing_folder_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("mine"), "").unwrap();
        let project = Project::new(&[("a", "b")], (String::new(), &[]), "", str::to_owned);
        let error = project.write(folder.path()).unwrap_err();
        assert!(matches!(error, NewProjectError::Exists { .. }), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_sdk_has_all_that_a_plugin_needs_to_build() {
        let text = |path: &str| {
            let file = sdk::FILES.iter().find(|(name, _)| *name == path);
            String::from_utf8(file.unwrap().1.to_vec()).unwrap()
        };
        assert!(text("plugin-api/src/lib.rs").contains("pub use exporter::Exporter"));
        assert!(text("plugin-api/abi/Cargo.toml").contains("delfin-plugin-abi"));
        assert!(text("plugin-api/protocol/src/driver.rs").contains("DRIVER_EXTENSION"));
        assert!(!text("plugin-api/loader/Cargo.toml").contains("dev-dependencies"));
        let workspace: toml::Table = text("Cargo.toml").parse().unwrap();
        let dependencies = workspace["workspace"]["dependencies"].as_table().unwrap();
        assert!(dependencies.contains_key("abi_stable"));
        assert!(!dependencies.contains_key("rusqlite"));
    }
}
