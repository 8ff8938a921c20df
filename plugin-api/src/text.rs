//! Texts of other programs and of devices, short and printable enough for a message.

/// The beginning of a text on one line: at most `max_chars` characters of it, and
/// `…` if that is not all.
///
/// Control characters, line ends among them, are escaped as Rust does it: `\n`,
/// `\u{1b}`. An escape counts as one character.
///
/// ```
/// use delfin_plugin_api::text::excerpt;
///
/// assert_eq!(excerpt("no\nroom", 80), r"no\nroom");
/// assert_eq!(excerpt("no room left", 7), "no room…");
/// ```
#[must_use]
pub fn excerpt(text: &str, max_chars: usize) -> String {
    let mut excerpt = String::new();
    for (count, char) in text.chars().enumerate() {
        if count == max_chars {
            excerpt.push('…');
            break;
        }
        if char.is_control() {
            excerpt.extend(char.escape_debug());
        } else {
            excerpt.push(char);
        }
    }
    excerpt
}

/// The beginning of a text as lines, for receivers that show them: at most `max_chars` characters of
/// it, and `…` if that is not all.
///
/// Control characters are escaped as in [`excerpt`].
///
/// ```
/// use delfin_plugin_api::text::excerpt_lines;
///
/// assert_eq!(excerpt_lines("fan\r\n\tfailed", 80), ["fan", r"\tfailed"]);
/// assert_eq!(excerpt_lines("fan\nfailed", 5), ["fan", "fa…"]);
/// ```
#[must_use]
pub fn excerpt_lines(text: &str, max_chars: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut left = max_chars;
    for line in text.lines() {
        let shown = excerpt(line, left);
        let is_cut = line.chars().nth(left).is_some();
        lines.push(shown);
        if is_cut {
            break;
        }
        left -= line.chars().count();
    }
    lines
}

/// A text with every byte percent-encoded but `A` to `Z`, `a` to `z`, `0` to `9`, `-`, `.`, `_`, `~`
/// and the characters of `kept`, which are ASCII.
pub(crate) fn percent_encoded(text: &str, kept: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric()
            || b"-._~".contains(&byte)
            || kept.as_bytes().contains(&byte)
        {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// Bytes that the next texts may still have.
#[derive(Debug)]
pub struct TextBudget(usize);

impl TextBudget {
    /// A budget of bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self(bytes)
    }

    /// The text, cut to what is left, and to at most this many bytes.
    pub fn cut(&mut self, text: impl Into<String>, most: usize) -> String {
        let mut text = text.into();
        text.truncate(floor_char_boundary(&text, most.min(self.0)));
        self.0 -= text.len();
        text
    }

    /// The bytes that are left.
    #[must_use]
    pub fn left(&self) -> usize {
        self.0
    }
}

/// The last boundary of a character up to this byte.
fn floor_char_boundary(text: &str, most: usize) -> usize {
    let most = most.min(text.len());
    (0..=most)
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_one_line_of_bounded_length() {
        let check = |text: &str, expected: &str| assert_eq!(excerpt(text, 4), expected);
        check("", "");
        check("four", "four");
        check("fifth", "fift…");
        check("\r\n\u{1b}[", "\\r\\n\\u{1b}[");
        check("éééé", "éééé");
        check("ééééé", "éééé…");
    }

    #[test]
    fn an_excerpt_of_lines_is_of_bounded_length() {
        let check = |text: &str, expected: &[&str]| assert_eq!(excerpt_lines(text, 4), expected);
        check("", &[]);
        check("a\n\nb\n", &["a", "", "b"]);
        check("ab\r\ncd", &["ab", "cd"]);
        check("ab\ncde\nf", &["ab", "cd…"]);
        check("four\nmore\nlines", &["four", "…"]);
        check("\u{1b}[\n", &["\\u{1b}["]);
    }
}
