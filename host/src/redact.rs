//! Replaces secrets in texts that leave the host.
//!
//! Promises: no text that [`Redactor::redact`] returns contains a secret of four
//! characters or more that was added. That holds for log lines, error texts and
//! API responses, no matter what a plugin, a driver or a library puts into them.
//!
//! Knows nothing of where secrets come from.

use std::{borrow::Cow, fmt};

/// Shorter secrets occur in ordinary text by chance: replacing them would make
/// messages unreadable and hide next to nothing.
const MIN_CHARS: usize = 4;

/// The secrets, and the text that replaces each of them.
///
/// Its `Debug` form shows none of them.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Redactor {
    /// The longest first: where two secrets begin at the same place, the longer
    /// one is replaced, so that no rest of it stays.
    secrets: Vec<Secret>,
}

#[derive(Clone, PartialEq, Eq)]
struct Secret {
    value: String,
    replacement: String,
}

impl Redactor {
    /// Adds a secret. A secret of fewer than four characters is ignored.
    pub(crate) fn add(&mut self, value: &str, replacement: &str) {
        self.insert(value, replacement);
        // Messages often quote what they were given: with `\n` for a new line.
        let escaped = value.escape_debug().to_string();
        if escaped != value {
            self.insert(&escaped, replacement);
        }
    }

    /// The text with every secret replaced.
    ///
    /// One pass from left to right: a replacement is never searched for other
    /// secrets, because a placeholder may contain one (`${env:NAME}`).
    pub(crate) fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut redacted = String::new();
        let mut rest = text;
        while let Some((at, secret)) = self.first_in(rest) {
            redacted.push_str(&rest[..at]);
            redacted.push_str(&secret.replacement);
            rest = &rest[at + secret.value.len()..];
        }
        if redacted.is_empty() && rest.len() == text.len() {
            return Cow::Borrowed(text);
        }
        redacted.push_str(rest);
        Cow::Owned(redacted)
    }

    /// The secret that begins first. `min_by_key` keeps the first of several
    /// minima, which is the longest secret.
    fn first_in(&self, text: &str) -> Option<(usize, &Secret)> {
        self.secrets
            .iter()
            .filter_map(|secret| text.find(&secret.value).map(|at| (at, secret)))
            .min_by_key(|(at, _)| *at)
    }

    fn insert(&mut self, value: &str, replacement: &str) {
        let known = self.secrets.iter().any(|secret| secret.value == value);
        if known || value.chars().count() < MIN_CHARS {
            return;
        }
        let at = self
            .secrets
            .partition_point(|secret| secret.value.len() >= value.len());
        let secret = Secret {
            value: value.to_owned(),
            replacement: replacement.to_owned(),
        };
        self.secrets.insert(at, secret);
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor(secrets: &[(&str, &str)]) -> Redactor {
        let mut redactor = Redactor::default();
        for (value, replacement) in secrets {
            redactor.add(value, replacement);
        }
        redactor
    }

    #[test]
    fn every_occurrence_of_a_secret_is_replaced() {
        let redactor = redactor(&[
            ("hunter2", "${env:A}"),
            ("hunter2-long", "${env:B}"),
            ("äöüß", "${env:C}"),
        ]);
        let check = |text: &str, redacted: &str| assert_eq!(redactor.redact(text), redacted);
        check("nothing here", "nothing here");
        check("hunter2", "${env:A}");
        check("a hunter2, hunter2!", "a ${env:A}, ${env:A}!");
        check("hunter2-long", "${env:B}");
        check("xäöüßy", "x${env:C}y");
    }

    #[test]
    fn a_quoted_secret_is_replaced_too() {
        let redactor = redactor(&[("line 1\nline \"2\"", "${file:key}")]);
        assert_eq!(
            redactor.redact(r#"bad key "line 1\nline \"2\"""#),
            r#"bad key "${file:key}""#
        );
    }

    #[test]
    fn a_replacement_is_not_redacted_again() {
        let redactor = redactor(&[("long secret", "${env:NAME}"), ("NAME", "${env:OTHER}")]);
        assert_eq!(redactor.redact("long secret"), "${env:NAME}");
    }

    #[test]
    fn a_secret_of_three_characters_is_left_alone() {
        assert_eq!(
            redactor(&[("abc", "${env:A}"), ("", "${env:B}")]).redact("abcabc"),
            "abcabc"
        );
    }

    #[test]
    fn a_redactor_prints_stars() {
        assert_eq!(format!("{:?}", redactor(&[("hunter2", "${env:A}")])), "***");
    }
}
