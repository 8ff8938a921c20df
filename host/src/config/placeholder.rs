//! Placeholders in the configuration's strings, and their values.
//!
//! `${env:NAME}` and `${file:PATH}` may appear in any string; `$${` is a plain
//! `${`. Each value that replaces a placeholder is a secret: it goes to the
//! [`Redactor`], which shows the placeholder in its place.
//!
//! Knows nothing of keys, sections or TOML.

use std::path::Path;

use delfin_plugin_api::redact::Redactor;

use super::text_file::{self, TextFileError};

const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Why a placeholder has no value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PlaceholderError {
    #[error("`${{` has no closing `}}` (for a plain `${{`, write `$${{`)")]
    Open,
    #[error(
        "`{0}` is not a placeholder (write `${{env:NAME}}` or `${{file:PATH}}`, or `$${{` for a plain `${{`)"
    )]
    Unknown(String),
    #[error("the environment variable of `{0}` is not set (set it for the host)")]
    Unset(String),
    #[error("the value of `{0}` is not UTF-8 text (a placeholder takes text only)")]
    NotText(String),
    #[error("the file of `{placeholder}` cannot be read: {reason}")]
    Unreadable { placeholder: String, reason: String },
    #[error("the file of `{placeholder}` has no secret: {reason} (is it the right file?)")]
    WrongFile { placeholder: String, reason: String },
}

/// Replaces each placeholder by its value, and tells the redactor the value.
///
/// The escape `$${` is found at its `${`: the text before it then ends in `$`. The
/// scan continues behind each placeholder, so a value is never scanned itself.
pub(super) fn resolve(text: &str, redactor: &mut Redactor) -> Result<String, PlaceholderError> {
    let mut resolved = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if let Some(before) = rest[..at].strip_suffix('$') {
            resolved.push_str(before);
            resolved.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        resolved.push_str(&rest[..at]);
        let end = rest[at..].find('}').ok_or(PlaceholderError::Open)? + at + 1;
        let placeholder = &rest[at..end];
        let value = look_up(placeholder)?;
        redactor.add(&value, placeholder);
        resolved.push_str(&value);
        rest = &rest[end..];
    }
    resolved.push_str(rest);
    Ok(resolved)
}

fn look_up(placeholder: &str) -> Result<String, PlaceholderError> {
    let owned = || placeholder.to_owned();
    let inner = &placeholder[2..placeholder.len() - 1];
    match inner.split_once(':') {
        // `std::env::var_os` does not accept such names.
        Some(("env", name)) if !name.is_empty() && !name.contains(['=', '\0']) => {
            let value = std::env::var_os(name).ok_or_else(|| PlaceholderError::Unset(owned()))?;
            value
                .into_string()
                .map_err(|_| PlaceholderError::NotText(owned()))
        }
        Some(("file", path)) if !path.is_empty() => read_file(path, placeholder),
        _ => Err(PlaceholderError::Unknown(owned())),
    }
}

fn read_file(path: &str, placeholder: &str) -> Result<String, PlaceholderError> {
    let placeholder = placeholder.to_owned();
    let (_, mut text) =
        text_file::read(Path::new(path), MAX_FILE_BYTES).map_err(|error| match error {
            TextFileError::Io(error) => PlaceholderError::Unreadable {
                placeholder,
                reason: error.to_string(),
            },
            TextFileError::NotRegular | TextFileError::TooLarge { .. } | TextFileError::NotText => {
                PlaceholderError::WrongFile {
                    placeholder,
                    reason: error.to_string(),
                }
            }
        })?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_replaced_and_escapes_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "s3cr3t\n").unwrap();
        let file = format!("${{file:{}}}", path.display());
        let mut redactor = Redactor::default();
        let mut check = |text: &str, value: &str| {
            assert_eq!(resolve(text, &mut redactor), Ok(value.to_owned()));
        };
        check("plain", "plain");
        check("$ {} $$ }", "$ {} $$ }");
        check("$${env:X}", "${env:X}");
        check("${env:CARGO_PKG_NAME}", "delfin-host");
        check(&format!("Bearer {file}!"), "Bearer s3cr3t!");
        check(&format!("{file}{file}$${{"), "s3cr3ts3cr3t${");
        assert_eq!(redactor.redact("s3cr3t"), file);
    }

    #[test]
    fn only_one_trailing_newline_is_trimmed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let placeholder = format!("${{file:{}}}", path.display());
        let check = |content: &str, value: &str| {
            std::fs::write(&path, content).unwrap();
            assert_eq!(
                resolve(&placeholder, &mut Redactor::default()),
                Ok(value.to_owned())
            );
        };
        check("a\r\n", "a");
        check("a\n\n", "a\n");
        check(" a ", " a ");
        check("", "");
    }

    #[test]
    fn a_placeholder_without_a_value_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("big");
        std::fs::write(&path, vec![b'x'; 64 * 1024 + 1]).unwrap();
        let check = |text: &str, message: &str| {
            assert_eq!(
                resolve(text, &mut Redactor::default())
                    .unwrap_err()
                    .to_string(),
                message
            );
        };
        check(
            "a${env:B",
            "`${` has no closing `}` (for a plain `${`, write `$${`)",
        );
        check(
            "${topic}",
            "`${topic}` is not a placeholder (write `${env:NAME}` or `${file:PATH}`, or `$${` for a plain `${`)",
        );
        check(
            "${env:DELFIN_NOT_SET}",
            "the environment variable of `${env:DELFIN_NOT_SET}` is not set (set it for the host)",
        );
        check(
            "${file:/no/such/file}",
            "the file of `${file:/no/such/file}` cannot be read: No such file or directory (os error 2)",
        );
        let big = format!("${{file:{}}}", path.display());
        check(
            &big,
            &format!(
                "the file of `{big}` has no secret: it is larger than 64KiB (is it the right file?)"
            ),
        );
    }
}
