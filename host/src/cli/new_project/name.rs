//! The name of a new project.

use std::str::FromStr;

/// The name of a new exporter or driver: `acme`, `big-lake`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectName(String);

impl ProjectName {
    const MAX: usize = 40;

    /// The name in the form of a Rust type: `BigLake`.
    pub(super) fn camel_case(&self) -> String {
        self.words().collect()
    }

    /// The name in the form of a title: `Big Lake`.
    pub(super) fn title(&self) -> String {
        self.words().collect::<Vec<_>>().join(" ")
    }

    fn words(&self) -> impl Iterator<Item = String> {
        let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
        let words = self.0.split('-').filter(|word| !word.is_empty());
        words.map(capital)
    }
}

impl FromStr for ProjectName {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let is_valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.len() > Self::MAX {
            return Err("use at most 40 characters");
        }
        if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(is_valid) {
            return Err("use a-z, 0-9 and `-`, and begin with a-z");
        }
        Ok(Self(name.to_owned()))
    }
}

impl std::fmt::Display for ProjectName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_a_folder_a_type_and_a_title() {
        let name = |name: &str| name.parse::<ProjectName>().unwrap();
        assert_eq!(name("acme").camel_case(), "Acme");
        assert_eq!(name("big-lake2").camel_case(), "BigLake2");
        assert_eq!(name("a--b-").camel_case(), "AB");
        assert_eq!(name("big-lake").title(), "Big Lake");
    }

    #[test]
    fn an_invalid_name_is_refused() {
        let long = "a".repeat(41);
        for name in ["", "Acme", "3par", "-a", "a_b", "../a", "a/b", "ä", &long] {
            assert!(name.parse::<ProjectName>().is_err(), "{name}");
        }
    }
}
