//! Texts in the parts of a message, with the characters that each part allows.

use std::fmt::Write;

/// The length of the name of a parameter (RFC 5424).
const MAX_NAME: usize = 32;

/// Appends a space and a field of the header: printable ASCII, `_` for each other
/// character; the nil value for no text.
pub(super) fn push_header(out: &mut String, text: Option<&str>, max: usize) {
    out.push(' ');
    let text = text.unwrap_or("-").chars().take(max);
    out.extend(text.map(|c| if c.is_ascii_graphic() { c } else { '_' }));
}

/// Appends the name of a parameter: printable ASCII without `=`, `]` and `"`; `_` for each
/// other character.
pub(super) fn push_name(out: &mut String, name: &str) {
    if name.is_empty() {
        return out.push('_');
    }
    let valid = |c: char| c.is_ascii_graphic() && !matches!(c, '=' | ']' | '"');
    out.extend(
        name.chars()
            .take(MAX_NAME)
            .map(|c| if valid(c) { c } else { '_' }),
    );
}

/// Appends the value of a parameter, without its quotes.
pub(super) fn push_value(out: &mut String, value: &str, limit: usize) {
    push_limited(out, value, limit, |out, c| {
        if matches!(c, '"' | '\\' | ']') {
            out.push('\\');
        }
        out.push(c);
    });
}

/// Appends a text of the message.
pub(super) fn push_text(out: &mut String, text: &str, limit: usize) {
    push_limited(out, text, limit, String::push);
}

/// Appends at most `limit` characters; the last one is `…` if more would follow. A
/// control character is written as `#` and its octal number, as RFC 5424 suggests: a line
/// end would end the message for many receivers.
fn push_limited(out: &mut String, text: &str, limit: usize, push: impl Fn(&mut String, char)) {
    let cut = text.char_indices().nth(limit).is_some();
    let kept = if cut { limit - 1 } else { usize::MAX };
    for c in text.chars().take(kept) {
        if c.is_control() {
            // Writing to a `String` cannot fail.
            let _ = write!(out, "#{:03o}", u32::from(c));
        } else {
            push(out, c);
        }
    }
    if cut {
        out.push('…');
    }
}
