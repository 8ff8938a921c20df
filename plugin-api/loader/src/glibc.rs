//! Versions of glibc.

use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};

/// A version of glibc, such as `2.36`. Versions compare by their numbers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GlibcVersion(Vec<u32>);

/// A text that is not a version of glibc.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseGlibcVersionError;

impl FromStr for GlibcVersion {
    type Err = ParseGlibcVersionError;

    fn from_str(text: &str) -> Result<Self, ParseGlibcVersionError> {
        let numbers: Result<_, _> = text.split('.').map(str::parse).collect();
        Ok(Self(numbers.map_err(|_| ParseGlibcVersionError)?))
    }
}

impl fmt::Display for GlibcVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, number) in self.0.iter().enumerate() {
            let dot = if i == 0 { "" } else { "." };
            write!(f, "{dot}{number}")?;
        }
        Ok(())
    }
}

impl Serialize for GlibcVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        let version = |text: &str| text.parse::<GlibcVersion>().unwrap();
        assert!(version("2.9") < version("2.36"));
        assert!(version("2.2.5") < version("2.36"));
        assert_eq!(version("2.2.5").to_string(), "2.2.5");
        assert!("PRIVATE".parse::<GlibcVersion>().is_err());
    }
}
