//! What is wrong with a configuration, said so that a person can mend it.
//!
//! All mistakes of a file are listed together, each with its line, its key and
//! what would be right. Where a value came from a placeholder, the placeholder
//! is shown and never what it stands for.
//!
//! Knows nothing of TOML.

use std::fmt;

use super::Source;

/// One mistake, or one warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The line, counted from 1, where it is known.
    pub line: Option<usize>,
    /// The key's path, such as `exporter.kafka-dr.timeout`; empty when the
    /// whole text is meant.
    pub key: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Mistake {
    /// The mistake as one line that begins with its place.
    #[must_use]
    pub fn in_source(&self, source: &Source) -> String {
        let line = self.line.map(|line| format!(":{line}")).unwrap_or_default();
        let key = if self.key.is_empty() {
            String::new()
        } else {
            format!("{}: ", self.key)
        };
        format!("{source}{line}: {key}{}", self.message)
    }
}

/// Every mistake of one configuration, in the order of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors {
    read_from: Source,
    mistakes: Vec<Mistake>,
}

impl ConfigErrors {
    pub(super) fn new(source: &Source, mut mistakes: Vec<Mistake>) -> Self {
        mistakes.sort_by_key(|mistake| mistake.line);
        Self {
            read_from: source.clone(),
            mistakes,
        }
    }

    /// The mistakes; never empty.
    #[must_use]
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.mistakes.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}{}", mistake.in_source(&self.read_from))?;
        }
        Ok(())
    }
}

/// The known word that was probably meant.
pub(super) fn did_you_mean<'k>(
    written: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<&'k str> {
    let written = written.to_lowercase();
    let tolerated = (written.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|word| {
            (
                strsim::damerau_levenshtein(&written, &word.to_lowercase()),
                word,
            )
        })
        .filter(|(distance, _)| *distance <= tolerated)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// The remedy for a word that is not known: the nearest one, else all of them.
pub(super) fn remedy(written: &str, known: &[&str]) -> String {
    match did_you_mean(written, known.iter().copied()) {
        Some(word) => format!("did you mean `{word}`?"),
        None => format!("known here: {}", quoted(known)),
    }
}

fn quoted(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_the_word_and_another_word_does_not() {
        let check = |written, found| {
            assert_eq!(did_you_mean(written, ["listen", "level", "timeout"]), found);
        };
        check("listn", Some("listen"));
        check("lisetn", Some("listen"));
        check("Timeout", Some("timeout"));
        check("lvel", Some("level"));
        check("port", None);
        check("", None);
    }

    #[test]
    fn mistakes_are_listed_in_the_order_of_the_text() {
        let mistake = |line, key: &str| Mistake {
            line,
            key: key.into(),
            message: "is wrong".into(),
        };
        let errors = ConfigErrors::new(
            &Source::Flag("a.conf".into()),
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
