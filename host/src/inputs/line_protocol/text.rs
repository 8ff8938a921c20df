//! Texts with escapes, and what is wrong with a line.

use std::borrow::Cow;

const NOT_UTF8: &str = "is not UTF-8 (send the text in UTF-8)";

/// What is wrong with a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LineMistake(pub(super) String);

impl LineMistake {
    pub(super) fn new(reason: &str) -> Self {
        Self(reason.to_owned())
    }
}

/// The first of `stops` in a text that has no backslash before it, or the end.
pub(super) fn end_of(bytes: &[u8], stops: &[u8]) -> usize {
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' if bytes.get(at + 1).is_some_and(|next| *next != b'\n') => at += 2,
            byte if stops.contains(byte) => break,
            _ => at += 1,
        }
    }
    at.min(bytes.len())
}

/// The text, without the backslashes before characters that mean something.
pub(super) fn unescape(bytes: &[u8]) -> Result<Cow<'_, str>, LineMistake> {
    let text = str::from_utf8(bytes).map_err(|_| LineMistake::new(NOT_UTF8))?;
    if text.contains('\0') {
        return Err(LineMistake::new("has a NUL character (remove it)"));
    }
    if !text.contains('\\') {
        return Ok(text.into());
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(next) = rest.next() {
        let escapes = |after: &char| [',', '=', ' '].contains(after);
        match rest.next_if(|after| next == '\\' && escapes(after)) {
            Some(after) => plain.push(after),
            None => plain.push(next),
        }
    }
    Ok(plain.into())
}
