//! Who else can write or read the configuration file.
//!
//! The configuration names folders, programs and receivers, so a user who can write it
//! controls the host. A file that every user can write is refused. The other findings
//! are warnings: a source tree in a container often belongs to another user.

use std::{fs::File, io, path::Path};

use serde_json::{Map, Value};

use super::shown::is_secret_name;
use crate::platform::{ADMINISTRATOR, AccessFinding, FileAccess};

/// Why a configuration file is refused. The text continues after the path.
#[derive(Debug, thiserror::Error)]
pub enum UntrustedConfig {
    #[error("can be written by every user, {0}")]
    Writable(AccessFinding),
    #[error("has an unknown owner and mode: {error}")]
    Unknown { error: String },
}

/// Checks owner and mode of the open file with this text. Returns the warnings.
pub(super) fn check(file: &File, text: &str) -> Result<Vec<String>, UntrustedConfig> {
    let access = FileAccess::of(file).map_err(unknown)?;
    require_trusted(&access)?;
    let foreign_owner = foreign_owner(&access).into_iter();
    Ok(foreign_owner
        .chain(readable_secret(&access, text))
        .collect())
}

/// Checks the mode of a folder of further files, to which another user could add one.
pub(super) fn check_folder(folder: &Path) -> Result<(), UntrustedConfig> {
    match FileAccess::of_path(folder) {
        Ok(access) => require_trusted(&access),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(unknown(error)),
    }
}

fn require_trusted(access: &FileAccess) -> Result<(), UntrustedConfig> {
    match access.every_user_writes() {
        Some(found) => Err(UntrustedConfig::Writable(found)),
        None => Ok(()),
    }
}

fn unknown(error: io::Error) -> UntrustedConfig {
    UntrustedConfig::Unknown {
        error: error.to_string(),
    }
}

fn foreign_owner(access: &FileAccess) -> Option<String> {
    (!access.is_of_administrator() && !access.is_own()).then(|| {
        let owner = access.owner();
        format!("the file belongs to user {owner}, who can change what the host does (make {ADMINISTRATOR} or the host's user its owner)")
    })
}

/// Names the first secret that stands in a file that every user can read.
fn readable_secret(access: &FileAccess, text: &str) -> Option<String> {
    let found = access.every_user_reads()?;
    let settings: Map<String, Value> = toml::from_str(text).ok()?;
    let exporters = settings.get("exporter").and_then(Value::as_object);
    let exporters = exporters
        .into_iter()
        .flatten()
        .filter_map(|(name, exporter)| {
            let config = exporter.get("config")?.as_object()?;
            plain_secret(&format!("exporter.{name}.config"), config)
        });
    let storages = settings.get("storage").and_then(Value::as_array);
    let storages = storages.into_iter().flatten().filter_map(|storage| {
        plain_secret("storage.options", storage.get("options")?.as_object()?)
    });
    let cluster = settings.get("cluster").and_then(Value::as_object);
    let cluster = cluster.and_then(|cluster| plain_secret("cluster", cluster));
    let key = exporters.chain(storages).chain(cluster).next()?;
    Some(format!(
        "`{key}` is a plain secret in a file that every user can read, {} ({}, or write `${{file:PATH}}`)",
        found.shown, found.remedy
    ))
}

/// The path of a secret that is not the value of a placeholder.
fn plain_secret(path: &str, table: &Map<String, Value>) -> Option<String> {
    table.iter().find_map(|(key, value)| {
        let path = format!("{path}.{key}");
        match value {
            Value::Object(table) => plain_secret(&path, table),
            Value::String(text) => {
                let is_plain = !text.is_empty() && !text.contains("${");
                (is_secret_name(key) && is_plain && !is_path(key, text)).then_some(path)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
        }
    })
}

/// Whether a value is the path of a file that holds the secret.
fn is_path(name: &str, text: &str) -> bool {
    name.ends_with("_file") || Path::new(text).is_absolute()
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::{PermissionsExt, fchown},
    };

    use super::*;

    fn text(setting: &str) -> String {
        format!(
            "performance_exporters = [\"A\"]\n[exporter.A.config]\n{setting}\n[exporter.A.config.sasl]\nusername = \"u\"\n"
        )
    }

    fn check_mode(mode: u32, setting: &str) -> Result<Vec<String>, String> {
        let file = tempfile::tempfile().unwrap();
        file.set_permissions(Permissions::from_mode(mode)).unwrap();
        check(&file, &text(setting)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_that_every_user_can_write_is_refused() {
        let error = check_mode(0o666, "").unwrap_err();
        assert_eq!(
            error,
            "can be written by every user, its mode is 0666 (chmod o-w)"
        );
        assert_eq!(check_mode(0o664, "").unwrap(), [""; 0]);
    }

    #[test]
    fn a_folder_to_which_every_user_can_add_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(check_folder(&folder.path().join("none")).is_ok());
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        assert!(check_folder(folder.path()).is_ok());
        fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
        let error = check_folder(folder.path()).unwrap_err();
        assert!(error.to_string().contains("0777"), "{error}");
    }

    #[test]
    fn a_plain_secret_that_every_user_can_read_is_a_warning() {
        let warnings = check_mode(0o644, "bearer_token = \"abcdef\"").unwrap();
        assert_eq!(
            warnings,
            [
                "`exporter.A.config.bearer_token` is a plain secret in a file that every user can read, its mode is 0644 (chmod o-r, or write `${file:PATH}`)"
            ]
        );
        for (setting, key) in [
            (
                "headers = { X-Api-Key = \"abcdef\" }",
                "exporter.A.config.headers.X-Api-Key",
            ),
            (
                "headers = { Authorization = \"abcdef\" }",
                "exporter.A.config.headers.Authorization",
            ),
            (
                "[[storage]]\nvendor = \"fake_storage\"\nmodel = \"fake_driver\"\noptions = { rest = { password = \"abcdef\" } }",
                "storage.options.rest.password",
            ),
        ] {
            let warnings = check_mode(0o644, setting).unwrap();
            let wanted = format!("`{key}` is a plain secret");
            assert!(warnings[0].starts_with(&wanted), "{warnings:?}");
        }
        for (mode, setting) in [
            (0o640, "bearer_token = \"abcdef\""),
            (0o644, "bearer_token = \"${env:CARGO_PKG_NAME}\""),
            (0o644, "bearer_token = \"\""),
            (0o644, "password_file = \"secrets/x\""),
            (0o644, "topic = \"abcdef\""),
        ] {
            assert_eq!(check_mode(mode, setting).unwrap(), [""; 0], "{setting}");
        }
    }

    #[test]
    fn a_file_of_another_user_is_a_warning() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(foreign_owner(&FileAccess::of(&file).unwrap()), None);
        // Only root can give a file away.
        if fchown(&file, Some(65_534), None).is_ok() {
            let warning = foreign_owner(&FileAccess::of(&file).unwrap()).unwrap();
            assert!(warning.contains("user 65534"), "{warning}");
        }
    }
}
