//! The mistakes of a configuration.
//!
//! All mistakes of a file are reported together, each with its line, its key and
//! the remedy. The plugins' settings have a collector of their own,
//! `delfin_plugin_api::setting::Mistakes`: it sees JSON values, which have no line.
//!
//! Knows nothing of TOML.

use std::fmt;

use delfin_plugin_api::setting::did_you_mean;

use super::parts::FileLines;

/// One mistake, or one warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Counted from 1, over all files. `None` for a mistake of the whole text.
    pub line: Option<usize>,
    /// The path of the key, such as `exporter.kafka-dr.timeout`; empty for a
    /// mistake of the whole text.
    pub key: String,
    /// The reason, and the remedy in brackets.
    pub message: String,
}

impl Mistake {
    /// The mistake with its position in front.
    #[must_use]
    pub(super) fn in_files(&self, files: &FileLines) -> String {
        let place = files.place(self.line);
        let key = if self.key.is_empty() {
            String::new()
        } else {
            format!("{}: ", self.key)
        };
        format!("{place}: {key}{}", self.message)
    }
}

/// Every mistake of one configuration, in the order of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors {
    files: FileLines,
    mistakes: Vec<Mistake>,
}

impl ConfigErrors {
    pub(super) fn new(files: &FileLines, mut mistakes: Vec<Mistake>) -> Self {
        mistakes.sort_by_key(|mistake| mistake.line);
        Self {
            files: files.clone(),
            mistakes,
        }
    }

    #[cfg(test)]
    pub(super) fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.mistakes.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}{}", mistake.in_files(&self.files))?;
        }
        Ok(())
    }
}

/// The remedy for an unknown word: the most similar known word, or else all known
/// words after `introduction`.
pub(super) fn remedy(written: &str, known: &[&str], introduction: &str) -> String {
    match did_you_mean(written, known.iter().copied()) {
        Some(word) => format!("did you mean `{word}`?"),
        None => format!("{introduction} {}", quoted(known)),
    }
}

fn quoted(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parts::ConfigParts;

    #[test]
    fn mistakes_are_listed_in_the_order_of_the_text() {
        let mistake = |line, key: &str| Mistake {
            line,
            key: key.into(),
            message: "is wrong".into(),
        };
        let errors = ConfigErrors::new(
            ConfigParts::new([("a.conf".to_owned(), "")]).files(),
            vec![
                mistake(Some(9), "b"),
                mistake(Some(2), "a"),
                mistake(None, ""),
            ],
        );
        assert_eq!(
            errors.to_string(),
            "a.conf: is wrong\na.conf:2: a: is wrong\na.conf:9: b: is wrong"
        );
    }
}
