//! The texts of an alert in one allocation: a table can hold hundreds of thousands of alerts.

use delfin_plugin_api::TEXT_COLUMNS;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Texts by name, in the order in which they were given.
///
/// In the buffer, each text follows the number of its column and its length. A name that is no
/// column is in the buffer itself, after the number that no column has.
#[derive(Clone, PartialEq, Eq)]
pub struct AlertTexts(Box<str>);

/// The column number of a name that follows.
const NAMED: usize = TEXT_COLUMNS.len();

/// Bits of a length in one character, which stays below 128: the buffer is valid text.
const BITS: u32 = 6;
const MORE: usize = 1 << BITS;

impl AlertTexts {
    pub(super) fn new<'a>(texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut buffer = String::new();
        for (name, text) in texts {
            let column = TEXT_COLUMNS.iter().position(|column| *column == name);
            write_number(&mut buffer, column.unwrap_or(NAMED));
            if column.is_none() {
                write_text(&mut buffer, name);
            }
            write_text(&mut buffer, text);
        }
        Self(buffer.into())
    }

    /// Names and texts.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || {
            let name = match read_number(&mut rest)? {
                NAMED => read_text(&mut rest)?,
                column => TEXT_COLUMNS[column],
            };
            Some((name, read_text(&mut rest)?))
        })
    }
}

fn write_text(buffer: &mut String, text: &str) {
    write_number(buffer, text.len());
    buffer.push_str(text);
}

fn write_number(buffer: &mut String, mut number: usize) {
    while number >= MORE {
        buffer.push(character(MORE | (number % MORE)));
        number /= MORE;
    }
    buffer.push(character(number));
}

/// The character with a code below 128.
fn character(code: usize) -> char {
    char::from(code as u8)
}

fn read_text<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let length = read_number(rest)?;
    let (text, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(text)
}

fn read_number(rest: &mut &str) -> Option<usize> {
    let mut number = 0;
    for (index, byte) in rest.bytes().enumerate() {
        let byte = usize::from(byte);
        number |= (byte % MORE) << (BITS * index as u32);
        if byte < MORE {
            *rest = &rest[index + 1..];
            return Some(number);
        }
    }
    None
}

impl std::fmt::Debug for AlertTexts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// A list of pairs.
impl Serialize for AlertTexts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for AlertTexts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = Vec::<(String, String)>::deserialize(deserializer)?;
        Ok(Self::new(
            texts.iter().map(|(name, text)| (&**name, &**text)),
        ))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name() -> impl Strategy<Value = String> {
        prop_oneof![
            prop::sample::select(&TEXT_COLUMNS[..]).prop_map(str::to_owned),
            any::<String>(),
        ]
    }

    proptest! {
        #[test]
        fn any_texts_are_read_as_they_were_given(
            texts in prop::collection::vec((name(), any::<String>()), 0..20),
            long in 0..10_000_usize,
        ) {
            let mut given = texts;
            given.push(("description".to_owned(), "ä".repeat(long)));
            let pairs = || given.iter().map(|(name, text)| (&**name, &**text));
            let kept = AlertTexts::new(pairs());
            prop_assert!(kept.iter().eq(pairs()));
            let json = serde_json::to_string(&kept).unwrap();
            prop_assert_eq!(&json, &serde_json::to_string(&given).unwrap());
            prop_assert_eq!(serde_json::from_str::<AlertTexts>(&json).unwrap(), kept);
        }
    }

    #[test]
    fn a_column_costs_its_text_and_two_bytes() {
        let texts = AlertTexts::new([("severity", "Major"), ("description", "")]);
        assert_eq!(texts.0.len(), 5 + 2 + 2);
    }
}
