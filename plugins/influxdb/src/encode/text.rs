//! Names, tags and values in line protocol.

use std::borrow::Cow;

use super::LineBuffer;

/// Names that InfluxDB refuses or reserves get this prefix.
const PREFIX: &str = "delfin_";

/// The key of a tag or a field, or a measurement. `time` and names that begin with `_` are
/// reserved, and a line that begins with `#` is a comment.
pub(super) fn name(name: &str) -> Cow<'_, str> {
    if name.is_empty() || name == "time" || name.starts_with(['_', '#']) {
        return Cow::Owned(format!("{PREFIX}{name}"));
    }
    Cow::Borrowed(name)
}

/// Tags of one row, ordered by key, which InfluxDB recommends.
#[derive(Debug, Default)]
pub(super) struct Tags<'k, 'v>(Vec<(Cow<'k, str>, Cow<'v, str>)>);

impl<'k, 'v> Tags<'k, 'v> {
    /// The tags with a value: a tag cannot be empty. The values of keys that become the
    /// same are joined by `;`.
    pub(super) fn new(tags: impl Iterator<Item = (&'k str, &'v str)>) -> Self {
        let tags = tags.filter(|(_, value)| !value.is_empty());
        let mut tags: Vec<_> = tags
            .map(|(key, value)| (name(key), Cow::Borrowed(value)))
            .collect();
        tags.sort_unstable();
        tags.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                let joined = kept.1.to_mut();
                joined.push(';');
                joined.push_str(&next.1);
            }
            same
        });
        Self(tags)
    }

    pub(super) fn push_to(&self, lines: &mut LineBuffer) {
        for (key, value) in &self.0 {
            lines.text.push(b',');
            push_escaped(&mut lines.text, key);
            lines.text.push(b'=');
            push_escaped(&mut lines.text, value);
        }
    }
}

/// Appends a measurement, a key, or the value of a tag.
pub(super) fn push_escaped(out: &mut Vec<u8>, text: &str) {
    let is_special = |c: char| matches!(c, ',' | '=' | ' ');
    // Most texts need no change.
    if !text.contains(|c: char| is_special(c) || c == '\\' || c.is_control()) {
        return out.extend_from_slice(text.as_bytes());
    }
    let mut utf8 = [0; 4];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            // Before these characters, and at the end, a backslash would escape what follows,
            // and line protocol has no other way to write it.
            '\\' if chars.peek().is_none_or(|&next| is_special(next)) => out.push(b'/'),
            c if is_special(c) => out.extend_from_slice(&[b'\\', c as u8]),
            c if c.is_control() => out.extend(c.escape_debug().map(|c| c as u8)),
            c => out.extend_from_slice(c.encode_utf8(&mut utf8).as_bytes()),
        }
    }
}

/// Appends the value of a text field, with its quotes.
pub(super) fn push_quoted(lines: &mut LineBuffer, text: &str) {
    lines.text.push(b'"');
    for &byte in text.as_bytes() {
        match byte {
            b'\n' if lines.escapes_line_ends => lines.text.extend_from_slice(b"\\\\n"),
            b'"' | b'\\' => lines.text.extend_from_slice(&[b'\\', byte]),
            _ => {
                lines.has_line_end |= byte == b'\n';
                lines.text.push(byte);
            }
        }
    }
    lines.text.push(b'"');
}
