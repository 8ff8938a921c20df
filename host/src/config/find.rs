//! Finds the configuration file.
//!
//! The host reads the first file that exists, in a fixed order. A file that the
//! user names must exist, and a file that exists must be readable: the host never
//! falls through to the next one because of an error.
//!
//! Knows nothing of what the text means.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::mistake::ConfigErrors;
use super::source::Source;

/// The environment variable that names the configuration file.
const ENV: &str = "DELFIN_CONF";

/// The configuration that is built into the binary.
pub(super) const EMBEDDED: &str = include_str!("../../../etc/delfin/delfin.conf");

/// A larger file is not a configuration. The host stops reading here.
const MAX_BYTES: u64 = 1024 * 1024;

const WORKING_DIRECTORY: &str = "etc/delfin/delfin.conf";
const SYSTEM: &str = "/etc/delfin/delfin.conf";

/// Why the configuration cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("configuration `{file}`, {}, does not exist", file.chosen_by())]
    Missing { file: Source },
    #[error("cannot read configuration `{file}`, {}", file.chosen_by())]
    Read { file: Source, source: io::Error },
    #[error("configuration `{file}`, {}, is larger than 1MiB (is it the right file?)", file.chosen_by())]
    TooLarge { file: Source },
    #[error("configuration `{file}`, {}, is not UTF-8 text (is it the right file?)", file.chosen_by())]
    NotText { file: Source },
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
    defaults: [Source; 2],
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
    for file in defaults {
        if let Some(text) = read(&file)? {
            return Ok((file, text));
        }
    }
    Ok((Source::Embedded, EMBEDDED.to_owned()))
}

/// The file's text; `None` if the file does not exist.
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
    use std::path::PathBuf;

    use super::*;

    fn defaults(folder: &Path) -> [Source; 2] {
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
    fn the_flag_comes_before_the_variable_and_both_before_the_default_paths() {
        let folder = tempfile::tempdir().unwrap();
        let places = || defaults(folder.path());
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
    fn without_any_file_the_embedded_configuration_is_used() {
        let folder = tempfile::tempdir().unwrap();
        let (source, text) = find_among(None, None, defaults(folder.path())).unwrap();
        assert_eq!(source, Source::Embedded);
        assert_eq!(text, EMBEDDED);
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
    fn a_file_that_cannot_be_read_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("here.conf")).unwrap();
        let error = find_among(None, None, defaults(folder.path())).unwrap_err();
        assert!(matches!(error, LoadError::Read { .. }), "{error:?}");
    }

    #[test]
    fn a_huge_file_and_a_binary_one_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.conf");
        std::fs::write(&path, vec![b'#'; 1024 * 1024 + 1]).unwrap();
        let error = find_among(Some(&path), None, defaults(folder.path())).unwrap_err();
        assert!(matches!(error, LoadError::TooLarge { .. }), "{error:?}");
        std::fs::write(&path, [0xff, 0xfe, 0x00]).unwrap();
        let error = find_among(Some(&path), None, defaults(folder.path())).unwrap_err();
        assert!(matches!(error, LoadError::NotText { .. }), "{error:?}");
    }
}
