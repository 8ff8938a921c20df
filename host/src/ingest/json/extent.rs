//! The extent of a JSON value whose text has a fault: found by brackets and quotes alone, so
//! that the items after it can be read.

/// The length of the value at the begin of `text`; `None` if it does not end.
pub(super) fn value_length(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    let bytes = text.as_bytes();
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => at += string_length(&bytes[at..])?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' if depth == 0 => return Some(at),
            b'}' | b']' => {
                depth -= 1;
                at += 1;
            }
            b',' | b' ' | b'\t' | b'\n' | b'\r' if depth == 0 => return Some(at),
            _ => {
                at += 1;
                continue;
            }
        }
        if depth == 0 {
            return Some(at);
        }
    }
    (depth == 0).then_some(at)
}

/// The length of the string at the begin, with its quotes. A string does not go on in the
/// next line.
pub(super) fn string_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            b'\n' => return None,
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_ends_with_its_last_bracket_or_quote() {
        let check = |text: &str, length| assert_eq!(value_length(text), length, "{text}");
        check(r#"{"a": [1, NaN]}, {}"#, Some(15));
        check(r#"["}", "\"]"], 1"#, Some(12));
        check(r#""a,b" "#, Some(5));
        check("NaN, 1", Some(3));
        check("7]", Some(1));
        check("é?", Some(3));
        check("", Some(0));
        check("{", None);
        check("[\"a", None);
        check("[\"a\n\"]", None);
        check("\"\\", None);
    }
}
