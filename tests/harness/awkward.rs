//! Texts and values that receivers have failed on.

/// A text of 10,000 characters.
pub const LONG_TEXT: &str = match str::from_utf8(&[b'x'; 10_000]) {
    Ok(text) => text,
    Err(_) => "",
};

/// Texts that are hard to escape, to store or to display.
pub const AWKWARD_TEXTS: [&str; 6] = [
    "say \"no\" \\",
    "line\nbreak\r\ttab\u{1b}",
    "grüße 🦀",
    " ",
    "",
    LONG_TEXT,
];

/// Values that lose digits or their sign, and values that are no numbers.
pub const AWKWARD_VALUES: [f64; 6] = [
    0.1 + 0.2,
    f64::MAX,
    -0.0,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
];
