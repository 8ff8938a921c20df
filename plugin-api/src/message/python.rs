//! Writes JSON like Python.
//!
//! Promises: [`Python`] writes byte for byte what `json.dumps` writes by default.

use crate::json::{Compact, Style};

/// A JSON style for messages.
pub(crate) trait MessageStyle: Style {
    /// Whether a message of one row is an array too.
    const ALWAYS_ARRAY: bool;
}

/// The style of Delfin's own exporter.
pub(crate) enum Python {}

impl MessageStyle for Python {
    const ALWAYS_ARRAY: bool = true;
}

impl MessageStyle for Compact {
    const ALWAYS_ARRAY: bool = false;
}

impl Style for Python {
    const SERIES: [&'static str; 4] = ["[", ", ", ", ", "]"];
    const COMMA: &'static str = ", ";
    const COLON: &'static str = ": ";

    fn text(text: &str, out: &mut Vec<u8>) {
        out.push(b'"');
        if text.bytes().all(is_plain) {
            out.extend_from_slice(text.as_bytes());
        } else {
            text.chars().for_each(|c| escape(c, out));
        }
        out.push(b'"');
    }

    fn number(number: f64, out: &mut Vec<u8>) {
        let mut buffer = zmij::Buffer::new();
        let text = buffer.format_finite(number);
        let size = number.abs();
        if (1e-4..1e16).contains(&size) || size == 0.0 {
            out.extend_from_slice(text.as_bytes());
        } else {
            python_exponent(text, out);
        }
    }
}

/// Whether Python writes a byte without an escape.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

fn escape(c: char, out: &mut Vec<u8>) {
    match c {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        '\u{8}' => out.extend_from_slice(b"\\b"),
        '\u{c}' => out.extend_from_slice(b"\\f"),
        ' '..='~' => out.push(c as u8),
        _ => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
            }
        }
    }
}

/// Writes the shortest digits of a very large or very small number in Python's
/// form: `1.5e+16`, `1e-05`.
fn python_exponent(text: &str, out: &mut Vec<u8>) {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text),
    };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0');
    let skipped = digits.len() - significant.len();
    // Python's mantissa has one digit before the point. So the exponent grows by
    // the distance of the first significant digit from the point.
    let place = whole.len() as i32 - 1 - skipped as i32;
    let exponent = exponent.parse::<i32>().unwrap_or(0) + place;
    let significant = significant.trim_end_matches('0');
    let (first, rest) = significant.split_at(1.min(significant.len()));
    let point = if rest.is_empty() { "" } else { "." };
    let text = format!("{sign}{first}{point}{rest}e{exponent:+03}");
    out.extend_from_slice(text.as_bytes());
}
