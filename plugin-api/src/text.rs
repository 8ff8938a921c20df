//! Texts of other programs, short and printable enough for a message.

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
}
