//! JSON values that are neither objects nor arrays, read from their own text.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::super::rules::{self, excerpt};

/// The value as text: a string without its escapes, a number or boolean exactly as
/// written; `None` for `null`.
pub(super) fn text<'de>(raw: &'de RawValue) -> Result<Option<Cow<'de, str>>, String> {
    let json = raw.get();
    match json.as_bytes().first() {
        Some(b'"') => unescaped(json).map(Some),
        Some(b'{') => Err("is an object, not a text, number or boolean".to_owned()),
        Some(b'[') => Err("is an array, not a text, number or boolean".to_owned()),
        Some(b'n') => Ok(None),
        _ => Ok(Some(Cow::Borrowed(json))),
    }
}

/// The value as a finite number.
pub(super) fn number(raw: &RawValue) -> Result<f64, String> {
    let json = raw.get();
    let number: f64 = json
        .parse()
        .map_err(|_| format!("`{}` is not a number", excerpt(json)))?;
    if number.is_finite() {
        Ok(number)
    } else {
        Err(format!("`{}` is too large a number", excerpt(json)))
    }
}

/// Milliseconds since the Unix epoch, parsed from digits.
pub(super) fn time(digits: &str) -> Result<i64, String> {
    let number = digits.strip_prefix('-').unwrap_or(digits);
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        let shown = excerpt(digits);
        return Err(format!("`{shown}` is not an integer of milliseconds"));
    }
    digits
        .parse()
        .ok()
        .filter(|time| rules::VALID_TIMES.contains(time))
        .ok_or_else(|| rules::out_of_range(excerpt(digits)))
}

fn unescaped(json: &str) -> Result<Cow<'_, str>, String> {
    let inside = json
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    match inside {
        Some(text) if !text.contains('\\') => Ok(Cow::Borrowed(text)),
        _ => serde_json::from_str(json)
            .map(Cow::Owned)
            .map_err(|error| format!("`{}` is not a text: {error}", excerpt(json))),
    }
}
