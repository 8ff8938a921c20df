//! JSON values that are neither objects nor arrays, read from their own text.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::super::{rules::excerpt, times};

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

/// The value as a finite number. A string that is a number counts as one: programs write
/// exact decimals so.
pub(super) fn number(raw: &RawValue) -> Result<f64, String> {
    let json = raw.get();
    // JSON has no other token that Rust reads as a number.
    if let Ok(number) = json.parse::<f64>()
        && number.is_finite()
    {
        return Ok(number);
    }
    let inside = json
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    let text = inside.unwrap_or(json);
    times::number(text).ok_or_else(|| {
        let shown = excerpt(json);
        match text.parse::<f64>() {
            Ok(number) if number.is_infinite() && text.contains(|c: char| c.is_ascii_digit()) => {
                format!("`{shown}` is too large a number")
            }
            _ => format!("`{shown}` is not a number"),
        }
    })
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
