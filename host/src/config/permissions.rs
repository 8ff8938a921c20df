//! Who else can write or read the configuration file.
//!
//! The configuration names folders, programs and receivers, so a user who can write it
//! controls the host. A file that every user can write is refused. The other findings
//! are warnings: a source tree in a container often belongs to another user.

use std::{
    fs::{File, Metadata},
    os::unix::fs::MetadataExt,
};

use serde_json::Value;

use super::{Config, shown::is_secret_name};

/// Why a configuration file is refused. The text continues after the path.
#[derive(Debug, thiserror::Error)]
pub enum UntrustedConfig {
    #[error("can be written by every user, its mode is {mode:04o} (chmod o-w)")]
    Mode { mode: u32 },
    #[error("has an unknown owner and mode: {error}")]
    Unknown { error: String },
}

/// Checks owner and mode of the open file. Returns the warnings.
pub(super) fn check(file: &File, config: &Config) -> Result<Vec<String>, UntrustedConfig> {
    let metadata = file.metadata().map_err(|error| UntrustedConfig::Unknown {
        error: error.to_string(),
    })?;
    let mode = metadata.mode() & 0o7777;
    if mode & 0o002 != 0 {
        return Err(UntrustedConfig::Mode { mode });
    }
    let own = rustix::process::geteuid().as_raw();
    let foreign_owner = foreign_owner(&metadata, own).into_iter();
    Ok(foreign_owner.chain(readable_secret(mode, config)).collect())
}

fn foreign_owner(metadata: &Metadata, own: u32) -> Option<String> {
    let uid = metadata.uid();
    (uid != 0 && uid != own).then(|| {
        format!("the file belongs to user {uid}, who can change what the host does (chown it to root or to the host's user)")
    })
}

/// Names the first secret that stands in a file that every user can read.
fn readable_secret(mode: u32, config: &Config) -> Option<String> {
    if mode & 0o004 == 0 {
        return None;
    }
    let exporters = config.exporters.iter().map(|exporter| {
        let table = format!("exporter.{}.config", exporter.name);
        plain_secret(&table, &exporter.config, config)
    });
    let storages = config
        .storages
        .iter()
        .map(|storage| plain_secret("storage.options", &storage.options, config));
    let key = exporters.chain(storages).flatten().next()?;
    Some(format!(
        "`{key}` is a plain secret in a file that every user can read, its mode is {mode:04o} (chmod o-r, or write `${{file:PATH}}`)"
    ))
}

/// The path of a secret that is not the value of a placeholder.
fn plain_secret(
    path: &str,
    table: &serde_json::Map<String, Value>,
    config: &Config,
) -> Option<String> {
    table.iter().find_map(|(key, value)| {
        let path = format!("{path}.{key}");
        match value {
            Value::Object(table) => plain_secret(&path, table, config),
            Value::String(text) => {
                // The redactor knows the values of placeholders.
                let is_plain = !text.is_empty() && config.redactor.redact(text) == *text;
                (is_secret_name(key) && is_plain && !is_path(key, text)).then_some(path)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
        }
    })
}

/// Whether a value is the path of a file that holds the secret.
fn is_path(name: &str, text: &str) -> bool {
    name.ends_with("_file") || text.starts_with('/')
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    use super::*;
    use crate::config::{Source, parse};

    fn config(setting: &str) -> Config {
        let text = format!(
            "performance_exporters = [\"A\"]\n[exporter.A.config]\n{setting}\n[exporter.A.config.sasl]\nusername = \"u\"\n"
        );
        parse(&text, &Source::Embedded).unwrap()
    }

    fn check_mode(mode: u32, setting: &str) -> Result<Vec<String>, String> {
        let file = tempfile::tempfile().unwrap();
        file.set_permissions(Permissions::from_mode(mode)).unwrap();
        check(&file, &config(setting)).map_err(|error| error.to_string())
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
        let metadata = tempfile::tempfile().unwrap().metadata().unwrap();
        let uid = metadata.uid();
        assert_eq!(foreign_owner(&metadata, uid), None);
        assert_eq!(foreign_owner(&metadata, uid + 1).is_some(), uid != 0);
    }
}
