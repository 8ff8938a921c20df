//! Numbers, words and texts of an item that are not JSON, such as `nan`, `0x1F`, `1,5`, `None` or
//! a text with a tabulator.
//!
//! With another value in their place the item must be JSON. Otherwise a bracket or a quote is
//! missing, and what looks like the end of the item may be within another one.

use serde::de::IgnoredAny;

use super::extent::string_length;

/// As many levels as `serde_json` reads.
const MAX_DEPTH: usize = 128;

/// Bytes of an item from which [`without_faulty_scalars`] makes at most this many times as much.
pub(super) const MAX_GROWTH: usize = 2;

/// The first scalar of an item that is not JSON, if such scalars are its only fault.
pub(super) fn find(item: &str) -> Option<&str> {
    let (faulty, json) = without_faulty_scalars(item)?;
    is_json(&json).then_some(faulty)
}

/// The first such scalar, and the item with valid ones in place of all.
fn without_faulty_scalars(item: &str) -> Option<(&str, String)> {
    let mut faulty = None;
    let mut json = String::with_capacity(item.len());
    let mut brackets = Vec::new();
    let mut at = 0;
    while let Some(&byte) = item.as_bytes().get(at) {
        let rest = &item[at..];
        let (length, replacement) = match byte {
            b'"' => (string_length(rest.as_bytes())?, "\"\""),
            b'{' | b'[' | b'}' | b']' | b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' => {
                match byte {
                    b'{' | b'[' if brackets.len() < MAX_DEPTH => brackets.push(byte),
                    b'{' | b'[' => return None,
                    // `serde_json` compares the kinds of both brackets.
                    b'}' | b']' => drop(brackets.pop()?),
                    _ => {}
                }
                json.push(char::from(byte));
                at += 1;
                if byte == b':' && is_empty_value(&item[at..]) {
                    faulty.get_or_insert("");
                    json.push('0');
                }
                continue;
            }
            _ => (bare_length(rest, brackets.last() == Some(&b'{')), "0"),
        };
        let scalar = &rest[..length];
        if is_json(scalar) {
            json.push_str(scalar);
        } else {
            faulty.get_or_insert(scalar);
            json.push_str(replacement);
        }
        at += length;
    }
    faulty.map(|scalar| (scalar, json))
}

/// Whether a value is missing between a colon and `rest`.
fn is_empty_value(rest: &str) -> bool {
    rest.trim_ascii_start().starts_with([',', '}'])
}

/// The length of a scalar without quotes. In an object, a comma ends it only if a key follows, so
/// that `1,5` is one number.
fn bare_length(rest: &str, in_object: bool) -> usize {
    let ends = |(at, mark): (usize, char)| match mark {
        '{' | '}' | '[' | ']' | '"' => true,
        ',' => !in_object || rest[at + 1..].trim_ascii_start().starts_with('"'),
        _ => false,
    };
    let end = rest.char_indices().find(|&mark| ends(mark));
    let scalar = end.map_or(rest, |(at, _)| &rest[..at]);
    scalar.trim_ascii_end().len()
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scalar_that_is_not_json_is_found_in_every_place() {
        let scalars = [
            "nan",
            "NaN",
            "NAN",
            "-nan",
            "nan(ind)",
            "1.#QNAN",
            "inf",
            "-inf",
            "+inf",
            "Infinity",
            "-Infinity",
            "INFINITY",
            "+1",
            "-",
            "01",
            "1.",
            ".5",
            "1e",
            "0x1F",
            "1_000",
            "1,5",
            "1.000,5",
            "1 000",
            "1 GiB",
            "12:30",
            "None",
            "True",
            "undefined",
            "n/a",
            "'1'",
            "\u{2212}1",
            "\"a\tb\"",
            "\"\\x41\"",
            "\"\\u12\"",
            "",
        ];
        for scalar in scalars {
            let item = format!("{{\"a\": [1, {{\"b\": \"x\", \"c\":{scalar} , \"d\": 2}}]}}");
            assert_eq!(find(&item), Some(scalar), "{item}");
            let last = format!("{{\"c\": {scalar}}}");
            assert_eq!(find(&last), Some(scalar), "{last}");
        }
        for scalar in ["nan", "1.", "\"\t\""] {
            assert_eq!(find(scalar), Some(scalar));
            assert_eq!(find(&format!("[\"a\", {scalar} ]")), Some(scalar));
        }
        assert_eq!(find("{\"nan\": 1, \"b\": nan, \"c\": inf}"), Some("nan"));
    }

    #[test]
    fn an_item_with_another_fault_has_no_known_end() {
        for item in [
            "{\"a\": nan \"b\": 1}",
            "{\"a\": nan",
            "{\"a\": nan]",
            "{\"a\": nan}}",
            "{\"a: nan, \"b\": 1}",
            "{a: nan}",
            "{'a': 'x\", \"b'}",
            "[nan,,1]",
            "[\"a\" nan]",
            "[nan \"",
            "{\"a\": \"x\ny\"}",
            &"[".repeat(200),
        ] {
            assert_eq!(find(item), None, "{item}");
        }
        // Nothing to find.
        for item in ["{}", "[1]", "{\"NaN\": \"\u{e9}\\\"NaN\"}", ""] {
            assert_eq!(find(item), None, "{item}");
        }
    }

    #[test]
    fn the_item_grows_within_its_limit_and_in_linear_time() {
        for part in ["\"\":,", "x,", "{\"\":", "x, ", "1,"] {
            let item = format!("{{{}", part.repeat(100));
            if let Some((_, json)) = without_faulty_scalars(&item) {
                assert!(json.len() <= MAX_GROWTH * item.len(), "{part}");
            }
        }
        let commas = format!("{{\"a\": {}0}}", "0, ".repeat(1_000_000));
        assert_eq!(find(&commas).map(str::len), Some(3_000_001));
    }
}
