//! Finds the configuration file.
//!
//! The host reads the first file that exists, in a fixed order. A file that the
//! user names must exist, and a file that exists must be readable: the host never
//! falls through to the next one because of an error.
//!
//! Knows nothing of what the text means.

use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use super::{
    mistake::ConfigErrors,
    parts::ConfigParts,
    permissions::UntrustedConfig,
    source::Source,
    text_file::{self, TextFileError},
};
use crate::platform::configuration_folder;

/// The environment variable that names the configuration file.
const ENV: &str = "DELFIN_CONF";

/// The configuration that is built into the binary: the one for production.
pub(super) const EMBEDDED: &str = include_str!("../../../etc/delfin/production.conf");

/// A larger file is not a configuration. The host stops reading here.
const MAX_BYTES: u64 = 1024 * 1024;

/// All further files together.
const MAX_FOLDER_BYTES: usize = 16 << 20;

/// The folder with further files, next to the configuration file.
const FOLDER: &str = "conf.d";

const WORKING_DIRECTORY: &str = "etc/delfin/delfin.conf";
/// Of the folder with configuration files.
const SYSTEM: &str = "delfin.conf";

/// Why the configuration cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("configuration `{file}`, {}, does not exist", file.chosen_by())]
    Missing { file: Source },
    #[error("cannot read configuration `{file}`, {}", file.chosen_by())]
    Read { file: Source, source: io::Error },
    #[error("cannot use configuration `{file}`, {}: {reason} (is it the right file?)", file.chosen_by())]
    WrongFile { file: Source, reason: String },
    #[error("configuration `{file}`, {}, {reason}", file.chosen_by())]
    Untrusted {
        file: Source,
        reason: UntrustedConfig,
    },
    #[error(transparent)]
    Invalid(#[from] ConfigErrors),
}

/// The text of a configuration, and the file that it is from.
#[derive(Debug)]
pub(super) struct ConfigText {
    pub(super) source: Source,
    pub(super) text: String,
    /// `None` for the embedded text.
    pub(super) file: Option<File>,
    /// The files of the folder next to it, by their names.
    pub(super) further: Vec<FurtherFile>,
}

/// A further file of a configuration.
#[derive(Debug)]
pub(super) struct FurtherFile {
    pub(super) source: Source,
    pub(super) text: String,
    pub(super) file: File,
}

impl ConfigText {
    /// All files as one document.
    pub(super) fn parts(&self) -> ConfigParts {
        let further = self.further.iter();
        let further = further.map(|one| (one.source.to_string(), one.text.as_str()));
        ConfigParts::new(
            [(self.source.to_string(), self.text.as_str())]
                .into_iter()
                .chain(further),
        )
    }

    /// The folder with further files, which need not exist.
    pub(super) fn folder(&self) -> Option<PathBuf> {
        Some(self.source.path()?.with_file_name(FOLDER))
    }
}

/// Finds the configuration and reads its text.
pub(super) fn find(explicit: Option<&Path>) -> Result<ConfigText, LoadError> {
    find_among(
        explicit,
        std::env::var_os(ENV),
        [
            Source::WorkingDirectory(WORKING_DIRECTORY.into()),
            Source::System(system_path()),
        ],
    )
}

/// The configuration file of the machine.
pub fn system_path() -> PathBuf {
    configuration_folder().join(SYSTEM)
}

fn find_among(
    explicit: Option<&Path>,
    env: Option<OsString>,
    defaults: [Source; 2],
) -> Result<ConfigText, LoadError> {
    let named = explicit
        .map(|path| Source::Flag(path.to_owned()))
        // An empty variable is how a shell script unsets it.
        .or_else(|| {
            env.filter(|value| !value.is_empty())
                .map(|value| Source::Env(value.into()))
        });
    if let Some(file) = named {
        return read(&file)?.ok_or(LoadError::Missing { file });
    }
    for file in defaults {
        if let Some(found) = read(&file)? {
            return Ok(found);
        }
    }
    Ok(ConfigText {
        source: Source::Embedded,
        text: super::sample(None, None),
        file: None,
        further: Vec::new(),
    })
}

/// Reads a file and the further ones next to it; `None` if it does not exist.
fn read(source: &Source) -> Result<Option<ConfigText>, LoadError> {
    let Some((file, text)) = read_file(source)? else {
        return Ok(None);
    };
    let mut found = ConfigText {
        source: source.clone(),
        text,
        file: Some(file),
        further: Vec::new(),
    };
    if let Some(folder) = found.folder() {
        found.further = read_folder(&folder)?;
    }
    Ok(Some(found))
}

/// The files `*.toml` of a folder, by their names.
fn read_folder(folder: &Path) -> Result<Vec<FurtherFile>, LoadError> {
    let source = Source::Further(folder.to_owned());
    let failed = |error| LoadError::Read {
        file: source.clone(),
        source: error,
    };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let is_hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
            && !is_hidden
        {
            paths.push(path);
        }
    }
    paths.sort();
    let mut files = Vec::new();
    let mut bytes = 0;
    for path in paths {
        let source = Source::Further(path);
        // One that was removed a moment ago is not a file of the folder.
        if let Some((file, text)) = read_file(&source)? {
            bytes += text.len();
            files.push(FurtherFile { source, text, file });
        }
    }
    if bytes > MAX_FOLDER_BYTES {
        return Err(LoadError::WrongFile {
            file: source,
            reason: format!(
                "its files are larger than {} MiB together",
                MAX_FOLDER_BYTES >> 20
            ),
        });
    }
    Ok(files)
}

/// Reads a file; `None` if it does not exist.
fn read_file(source: &Source) -> Result<Option<(File, String)>, LoadError> {
    let Some(path) = source.path() else {
        return Ok(None);
    };
    match text_file::read(path, MAX_BYTES) {
        Ok(found) => Ok(Some(found)),
        Err(TextFileError::Io(error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(TextFileError::Io(error)) => Err(LoadError::Read {
            file: source.clone(),
            source: error,
        }),
        Err(
            error @ (TextFileError::NotRegular
            | TextFileError::TooLarge { .. }
            | TextFileError::NotText),
        ) => Err(LoadError::WrongFile {
            file: source.clone(),
            reason: error.to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaults(folder: &Path) -> [Source; 2] {
        [
            Source::WorkingDirectory(folder.join("here.conf")),
            Source::System(folder.join("system.conf")),
        ]
    }

    fn write(folder: &Path, name: &str) -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, format!("# {name}")).unwrap();
        path
    }

    #[test]
    fn the_flag_comes_before_the_variable_and_both_before_the_default_paths() {
        let folder = tempfile::tempdir().unwrap();
        let places = || defaults(folder.path());
        let flag = write(folder.path(), "flag.conf");
        let env = write(folder.path(), "env.conf").into_os_string();
        write(folder.path(), "here.conf");
        write(folder.path(), "system.conf");

        let found = |flag, env| find_among(flag, env, places()).unwrap().text;
        assert_eq!(
            found(Some(flag.as_path()), Some(env.clone())),
            "# flag.conf"
        );
        assert_eq!(found(None, Some(env)), "# env.conf");
        assert_eq!(found(None, Some(OsString::new())), "# here.conf");
        assert_eq!(found(None, None), "# here.conf");
        fs::remove_file(folder.path().join("here.conf")).unwrap();
        assert_eq!(found(None, None), "# system.conf");
    }

    #[test]
    fn further_files_are_read_by_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let main = write(folder.path(), "main.conf");
        let further = folder.path().join(FOLDER);
        fs::create_dir(&further).unwrap();
        for name in ["20-b.toml", "10-a.toml", ".hidden.toml", "note.txt"] {
            write(&further, name);
        }
        let found = find_among(Some(&main), None, defaults(folder.path())).unwrap();
        let texts: Vec<_> = found.further.iter().map(|one| one.text.as_str()).collect();
        assert_eq!(texts, ["# 10-a.toml", "# 20-b.toml"]);
        fs::create_dir(further.join("30.toml")).unwrap();
        let error = find_among(Some(&main), None, defaults(folder.path())).unwrap_err();
        assert!(error.to_string().contains("30.toml"), "{error}");
    }

    #[test]
    fn without_any_file_the_embedded_configuration_is_used() {
        let folder = tempfile::tempdir().unwrap();
        let found = find_among(None, None, defaults(folder.path())).unwrap();
        assert_eq!(found.source, Source::Embedded);
        assert_eq!(found.text, EMBEDDED);
    }

    #[test]
    fn a_named_file_that_is_missing_is_an_error_even_if_another_exists() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "here.conf");
        let check = |flag: Option<&Path>, env: Option<&str>, message: &str| {
            let error = find_among(flag, env.map(Into::into), defaults(folder.path())).unwrap_err();
            assert_eq!(error.to_string(), message);
        };
        check(
            Some(Path::new("no.conf")),
            None,
            "configuration `no.conf`, named by --config, does not exist",
        );
        check(
            None,
            Some("no.conf"),
            "configuration `no.conf`, named by DELFIN_CONF, does not exist",
        );
    }

    #[test]
    fn a_file_that_is_no_text_is_an_error_even_if_another_exists() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "system.conf");
        fs::create_dir(folder.path().join("here.conf")).unwrap();
        let error = find_among(None, None, defaults(folder.path())).unwrap_err();
        assert!(
            error.to_string().ends_with(
                "here.conf`, found in the working directory: it is not a regular file (is it the right file?)"
            ),
            "{error}"
        );
    }
}
