//! What must not be seen: passwords and keys.
//!
//! Promises: what was added is in no text that [`Secrets::scrub`] has seen.

use std::borrow::Cow;

/// What stands in a secret's place.
const HIDDEN: &str = "***";

/// Lines of a key shorter than this say nothing, and may stand in any text.
const SHORTEST_LINE: usize = 16;

/// Texts that nobody may see.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Secrets(Vec<String>);

impl Secrets {
    /// Hides a text from now on, and each line of it.
    pub(crate) fn add(&mut self, secret: &str) {
        let lines = secret
            .lines()
            .filter(|line| *line != secret && line.len() >= SHORTEST_LINE);
        for text in std::iter::once(secret).chain(lines) {
            if !text.is_empty() {
                self.0.push(text.to_owned());
            }
        }
        // The longest first: a secret may be a part of another one.
        self.0.sort_by_key(|text| std::cmp::Reverse(text.len()));
    }

    /// The text without them.
    pub(crate) fn scrub<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut scrubbed = Cow::Borrowed(text);
        for secret in &self.0 {
            if scrubbed.contains(secret) {
                scrubbed = Cow::Owned(scrubbed.replace(secret, HIDDEN));
            }
        }
        scrubbed
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(HIDDEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_scrubbed_wherever_it_stands_and_whatever_it_is_part_of() {
        let mut secrets = Secrets::default();
        secrets.add("");
        secrets.add("hunter2");
        secrets.add("hunter2-and-more");
        let text = "login hunter2-and-more failed, hunter2!";
        assert_eq!(secrets.scrub(text), "login *** failed, ***!");
        assert_eq!(secrets.scrub("nothing here"), "nothing here");
        assert_eq!(format!("{secrets:?}"), "***");
    }

    #[test]
    fn each_line_of_a_key_is_a_secret() {
        let mut secrets = Secrets::default();
        secrets.add("-----BEGIN-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\nAA==\n");
        let text = "bad base64: MIIEvQIBADANBgkqhkiG9w0BAQ";
        assert_eq!(secrets.scrub(text), "bad base64: ***");
    }
}
