//! A body as text, also if single bytes of it are not UTF-8.
//!
//! Such a byte is `?` in the text, so positions in text and body are the same. The byte's item
//! has to be rejected.

use std::borrow::Cow;

const BYTE_ORDER_MARK: &str = "\u{feff}";

/// The bytes of a body, and their text.
pub(super) struct BodyText<'b> {
    bytes: &'b [u8],
    text: Cow<'b, str>,
}

impl<'b> BodyText<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        let text = std::str::from_utf8(bytes)
            .map_or_else(|_| Cow::Owned(with_question_marks(bytes)), Cow::Borrowed);
        Self { bytes, text }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// The memory of the bytes, and of the text if it is a copy.
    pub(super) fn memory_bytes(&self) -> usize {
        match &self.text {
            Cow::Borrowed(_) => self.bytes.len(),
            Cow::Owned(text) => self.bytes.len() + text.len(),
        }
    }

    /// Where the text begins: after the byte order mark that some programs write.
    pub(super) fn start(&self) -> usize {
        let has_mark = self.text.starts_with(BYTE_ORDER_MARK);
        if has_mark { BYTE_ORDER_MARK.len() } else { 0 }
    }

    /// The first byte at or after `from` that is not UTF-8. `from` is between characters.
    pub(super) fn invalid_byte(&self, from: usize) -> Option<usize> {
        match &self.text {
            Cow::Borrowed(_) => None,
            Cow::Owned(_) => {
                let error = std::str::from_utf8(&self.bytes[from..]).err()?;
                Some(from + error.valid_up_to())
            }
        }
    }
}

fn with_question_marks(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(std::iter::repeat_n('?', chunk.invalid().len()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_stay_the_same_and_every_invalid_byte_is_found() {
        let body = BodyText::new(b"a\xffb\xc3\xa9\xf0\x9f\x98c");
        assert_eq!(body.as_str(), "a?b\u{e9}???c");
        assert_eq!(body.invalid_byte(0), Some(1));
        assert_eq!(body.invalid_byte(2), Some(5));
        assert_eq!(body.invalid_byte(8), None);
        let valid = BodyText::new("\u{feff}\u{e9}".as_bytes());
        assert_eq!((valid.invalid_byte(0), valid.start()), (None, 3));
    }
}
