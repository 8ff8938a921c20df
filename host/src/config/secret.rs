//! Placeholders in the configuration, and what they stand for.
//!
//! `${env:NAME}` and `${file:PATH}` may stand in any string; `$${` is a plain
//! `${`. Whatever a placeholder stood for is remembered as a secret, so that
//! text from elsewhere can be scrubbed: the placeholder takes its place.
//!
//! Knows nothing of keys, sections or TOML.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::Read;

/// Shorter values occur in ordinary text by chance: replacing them would spoil
/// every message and hide next to nothing.
const MIN_SCRUBBED_CHARS: usize = 4;

const MAX_FILE_BYTES: u64 = 64 * 1024;

/// What the placeholders of a configuration stood for.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets {
    /// Longest value first, so that a secret inside another never wins.
    found: Vec<Secret>,
}

#[derive(Clone, PartialEq, Eq)]
struct Secret {
    value: String,
    placeholder: String,
}

impl Secrets {
    /// The text with every secret replaced by its placeholder.
    ///
    /// A value of fewer than four characters is left alone.
    #[must_use]
    pub fn scrub<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut scrubbed = String::new();
        let mut rest = text;
        while let Some((at, secret)) = self.first_in(rest) {
            scrubbed.push_str(&rest[..at]);
            scrubbed.push_str(&secret.placeholder);
            rest = &rest[at + secret.value.len()..];
        }
        if scrubbed.is_empty() && rest.len() == text.len() {
            return Cow::Borrowed(text);
        }
        scrubbed.push_str(rest);
        Cow::Owned(scrubbed)
    }

    fn first_in(&self, text: &str) -> Option<(usize, &Secret)> {
        self.found
            .iter()
            .filter_map(|secret| text.find(&secret.value).map(|at| (at, secret)))
            .min_by_key(|(at, _)| *at)
    }

    fn remember(&mut self, value: &str, placeholder: &str) {
        self.add(value, placeholder);
        // Messages often quote what they were given: with `\n` for a new line.
        let escaped = value.escape_debug().to_string();
        if escaped != value {
            self.add(&escaped, placeholder);
        }
    }

    fn add(&mut self, value: &str, placeholder: &str) {
        let known = self.found.iter().any(|secret| secret.value == value);
        if known || value.chars().count() < MIN_SCRUBBED_CHARS {
            return;
        }
        let place = self
            .found
            .partition_point(|secret| secret.value.len() >= value.len());
        let secret = Secret {
            value: value.to_owned(),
            placeholder: placeholder.to_owned(),
        };
        self.found.insert(place, secret);
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Why a placeholder stands for nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PlaceholderError {
    #[error("`${{` has no closing `}}` (write `$${{` for a plain `${{`)")]
    Open,
    #[error(
        "`{0}` is no placeholder (known: `${{env:NAME}}` and `${{file:PATH}}`; write `$${{` for a plain `${{`)"
    )]
    Unknown(String),
    #[error("`{0}` stands for an environment variable that is not set")]
    Unset(String),
    #[error("`{0}` stands for something that is not UTF-8 text")]
    NotText(String),
    #[error("`{placeholder}` cannot be read: {reason}")]
    Unreadable { placeholder: String, reason: String },
    #[error("`{0}` stands for a file larger than 64KiB")]
    TooLarge(String),
}

/// The text with each placeholder replaced by what it stands for.
pub(super) fn resolve(text: &str, secrets: &mut Secrets) -> Result<String, PlaceholderError> {
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
        secrets.remember(&value, placeholder);
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
        // `std::env` takes no empty name and none with `=` in it.
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
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| PlaceholderError::Unreadable {
            placeholder: placeholder.to_owned(),
            reason: error.to_string(),
        })?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(PlaceholderError::TooLarge(placeholder.to_owned()));
    }
    let mut text =
        String::from_utf8(bytes).map_err(|_| PlaceholderError::NotText(placeholder.to_owned()))?;
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

    fn secrets(pairs: &[(&str, &str)]) -> Secrets {
        let mut secrets = Secrets::default();
        for (value, placeholder) in pairs {
            secrets.remember(value, placeholder);
        }
        secrets
    }

    #[test]
    fn every_occurrence_of_a_secret_gives_way_to_its_placeholder() {
        let secrets = secrets(&[
            ("hunter2", "${env:A}"),
            ("hunter2-long", "${env:B}"),
            ("äöüß", "${env:C}"),
        ]);
        let check = |text: &str, scrubbed: &str| assert_eq!(secrets.scrub(text), scrubbed);
        check("nothing here", "nothing here");
        check("hunter2", "${env:A}");
        check("a hunter2, hunter2!", "a ${env:A}, ${env:A}!");
        check("hunter2-long", "${env:B}");
        check("xäöüßy", "x${env:C}y");
    }

    #[test]
    fn a_quoted_secret_is_scrubbed_too() {
        let secrets = secrets(&[("line 1\nline \"2\"", "${file:key}")]);
        assert_eq!(
            secrets.scrub(r#"bad key "line 1\nline \"2\"""#),
            r#"bad key "${file:key}""#
        );
    }

    #[test]
    fn a_placeholder_put_in_is_not_scrubbed_again() {
        let secrets = secrets(&[("long secret", "${env:NAME}"), ("NAME", "${env:OTHER}")]);
        assert_eq!(secrets.scrub("long secret"), "${env:NAME}");
    }

    #[test]
    fn a_value_of_three_characters_is_left_alone() {
        assert_eq!(
            secrets(&[("abc", "${env:A}"), ("", "${env:B}")]).scrub("abcabc"),
            "abcabc"
        );
    }

    #[test]
    fn secrets_print_stars() {
        assert_eq!(format!("{:?}", secrets(&[("hunter2", "${env:A}")])), "***");
    }

    #[test]
    fn placeholders_are_replaced_and_escapes_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "s3cr3t\n").unwrap();
        let file = format!("${{file:{}}}", path.display());
        let mut secrets = Secrets::default();
        let mut check = |text: &str, value: &str| {
            assert_eq!(resolve(text, &mut secrets), Ok(value.to_owned()));
        };
        check("plain", "plain");
        check("$ {} $$ }", "$ {} $$ }");
        check("$${env:X}", "${env:X}");
        check("${env:CARGO_PKG_NAME}", "delfin-host");
        check(&format!("Bearer {file}!"), "Bearer s3cr3t!");
        check(&format!("{file}{file}$${{"), "s3cr3ts3cr3t${");
        assert_eq!(secrets.scrub("s3cr3t"), file);
    }

    #[test]
    fn only_one_trailing_newline_is_trimmed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let placeholder = format!("${{file:{}}}", path.display());
        let check = |content: &str, value: &str| {
            std::fs::write(&path, content).unwrap();
            assert_eq!(
                resolve(&placeholder, &mut Secrets::default()),
                Ok(value.to_owned())
            );
        };
        check("a\r\n", "a");
        check("a\n\n", "a\n");
        check(" a ", " a ");
        check("", "");
    }

    #[test]
    fn a_placeholder_for_nothing_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("big");
        std::fs::write(&path, vec![b'x'; 64 * 1024 + 1]).unwrap();
        let check = |text: &str, message: &str| {
            assert_eq!(
                resolve(text, &mut Secrets::default())
                    .unwrap_err()
                    .to_string(),
                message
            );
        };
        check(
            "a${env:B",
            "`${` has no closing `}` (write `$${` for a plain `${`)",
        );
        check(
            "${topic}",
            "`${topic}` is no placeholder (known: `${env:NAME}` and `${file:PATH}`; write `$${` for a plain `${`)",
        );
        check(
            "${env:DELFIN_NOT_SET}",
            "`${env:DELFIN_NOT_SET}` stands for an environment variable that is not set",
        );
        check(
            "${file:/no/such/file}",
            "`${file:/no/such/file}` cannot be read: No such file or directory (os error 2)",
        );
        let big = format!("${{file:{}}}", path.display());
        check(
            &big,
            &format!("`{big}` stands for a file larger than 64KiB"),
        );
    }
}
