//! Where the configuration comes from.
//!
//! Looks in a fixed order and takes the first file there is. A file that
//! somebody named must exist; a file that exists must be readable: neither is
//! ever passed over in silence.
//!
//! Knows nothing of what the text means.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::ConfigErrors;

/// The environment variable that names the configuration file.
pub const ENV: &str = "DELFIN_CONF";

/// The configuration that the binary carries.
pub const EMBEDDED: &str = include_str!("../../../etc/delfin/delfin.conf");

/// A larger file is no configuration: reading stops here.
const MAX_BYTES: u64 = 1024 * 1024;

const WORKING_DIRECTORY: &str = "etc/delfin/delfin.conf";
const SYSTEM: &str = "/etc/delfin/delfin.conf";

/// Where a configuration came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The file named on the command line.
    Flag(PathBuf),
    /// The file named by the environment variable [`ENV`].
    Env(PathBuf),
    /// The file at its usual place below the working directory.
    WorkingDirectory(PathBuf),
    /// The machine's file.
    System(PathBuf),
    /// The text in the binary: there was no file.
    Embedded,
}

impl Source {
    /// The file, unless the text is the one in the binary.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Flag(path)
            | Self::Env(path)
            | Self::WorkingDirectory(path)
            | Self::System(path) => Some(path),
            Self::Embedded => None,
        }
    }

    /// Who chose the file, for a person to read.
    #[must_use]
    pub const fn chosen_by(&self) -> &'static str {
        match self {
            Self::Flag(_) => "named by --config",
            Self::Env(_) => "named by DELFIN_CONF",
            Self::WorkingDirectory(_) => "found in the working directory",
            Self::System(_) => "found at its usual place",
            Self::Embedded => "part of the program, as no file was found",
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

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Somebody named a file that is not there.
    #[error("configuration `{file}`, {}, does not exist", file.chosen_by())]
    Missing {
        /// The file and who named it.
        file: Source,
    },
    /// The file is there and cannot be read.
    #[error("cannot read configuration `{file}`, {}", file.chosen_by())]
    Read {
        /// The file and who named it.
        file: Source,
        /// What the system says.
        source: io::Error,
    },
    /// The file is too large to be a configuration.
    #[error("configuration `{file}`, {}, is larger than 1MiB (is it the right file?)", file.chosen_by())]
    TooLarge {
        /// The file and who named it.
        file: Source,
    },
    /// The file holds something other than text.
    #[error("configuration `{file}`, {}, is not UTF-8 text (is it the right file?)", file.chosen_by())]
    NotText {
        /// The file and who named it.
        file: Source,
    },
    /// The text has mistakes.
    #[error(transparent)]
    Invalid(#[from] ConfigErrors),
}

/// Finds the configuration and reads its text.
pub(super) fn find(explicit: Option<&Path>) -> Result<(Source, String), LoadError> {
    find_among(
        explicit,
        std::env::var_os(ENV),
        [
            Source::WorkingDirectory(WORKING_DIRECTORY.into()),
            Source::System(SYSTEM.into()),
        ],
    )
}

fn find_among(
    explicit: Option<&Path>,
    env: Option<OsString>,
    usual: [Source; 2],
) -> Result<(Source, String), LoadError> {
    let named = explicit
        .map(|path| Source::Flag(path.to_owned()))
        // An empty variable is how a shell script unsets it.
        .or_else(|| {
            env.filter(|value| !value.is_empty())
                .map(|value| Source::Env(value.into()))
        });
    if let Some(file) = named {
        return match read(&file)? {
            Some(text) => Ok((file, text)),
            None => Err(LoadError::Missing { file }),
        };
    }
    for file in usual {
        if let Some(text) = read(&file)? {
            return Ok((file, text));
        }
    }
    Ok((Source::Embedded, EMBEDDED.to_owned()))
}

/// The file's text, or nothing where there is no such file.
fn read(file: &Source) -> Result<Option<String>, LoadError> {
    let Some(path) = file.path() else {
        return Ok(Some(EMBEDDED.to_owned()));
    };
    let mut bytes = Vec::new();
    let outcome =
        File::open(path).and_then(|open| open.take(MAX_BYTES + 1).read_to_end(&mut bytes));
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(LoadError::Read {
                file: file.clone(),
                source,
            });
        }
        Ok(read) if read as u64 > MAX_BYTES => {
            return Err(LoadError::TooLarge { file: file.clone() });
        }
        Ok(_) => {}
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(LoadError::NotText { file: file.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usual(folder: &Path) -> [Source; 2] {
        [
            Source::WorkingDirectory(folder.join("here.conf")),
            Source::System(folder.join("system.conf")),
        ]
    }

    fn write(folder: &Path, name: &str) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, format!("# {name}")).unwrap();
        path
    }

    #[test]
    fn the_flag_comes_before_the_variable_and_both_before_the_usual_places() {
        let folder = tempfile::tempdir().unwrap();
        let places = || usual(folder.path());
        let flag = write(folder.path(), "flag.conf");
        let env = write(folder.path(), "env.conf").into_os_string();
        write(folder.path(), "here.conf");
        write(folder.path(), "system.conf");

        let found = |flag, env| find_among(flag, env, places()).unwrap().1;
        assert_eq!(
            found(Some(flag.as_path()), Some(env.clone())),
            "# flag.conf"
        );
        assert_eq!(found(None, Some(env)), "# env.conf");
        assert_eq!(found(None, Some(OsString::new())), "# here.conf");
        assert_eq!(found(None, None), "# here.conf");
        std::fs::remove_file(folder.path().join("here.conf")).unwrap();
        assert_eq!(found(None, None), "# system.conf");
    }

    #[test]
    fn without_any_file_the_embedded_text_holds() {
        let folder = tempfile::tempdir().unwrap();
        let (source, text) = find_among(None, None, usual(folder.path())).unwrap();
        assert_eq!(source, Source::Embedded);
        assert_eq!(text, EMBEDDED);
    }

    #[test]
    fn a_named_file_that_is_missing_is_an_error_even_if_another_exists() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "here.conf");
        let check = |flag: Option<&Path>, env: Option<&str>, message: &str| {
            let error = find_among(flag, env.map(Into::into), usual(folder.path())).unwrap_err();
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
    fn a_file_that_cannot_be_read_is_an_error_and_not_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("here.conf")).unwrap();
        let error = find_among(None, None, usual(folder.path())).unwrap_err();
        assert!(matches!(error, LoadError::Read { .. }), "{error:?}");
    }

    #[test]
    fn a_huge_file_and_a_binary_one_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.conf");
        std::fs::write(&path, vec![b'#'; 1024 * 1024 + 1]).unwrap();
        let error = find_among(Some(&path), None, usual(folder.path())).unwrap_err();
        assert!(matches!(error, LoadError::TooLarge { .. }), "{error:?}");
        std::fs::write(&path, [0xff, 0xfe, 0x00]).unwrap();
        let error = find_among(Some(&path), None, usual(folder.path())).unwrap_err();
        assert!(matches!(error, LoadError::NotText { .. }), "{error:?}");
    }
}
