//! Sizes and durations as people write them. The host's configuration and the
//! settings of plugins use the same form.

use std::time::Duration;

const UNITS: [(&str, u64); 10] = [
    ("", 1),
    ("B", 1),
    ("KB", 1000),
    ("MB", 1000 * 1000),
    ("GB", 1000 * 1000 * 1000),
    ("TB", 1000 * 1000 * 1000 * 1000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// The bytes of a size such as `8GiB`, `10MB` or `4096`. Case does not matter.
///
/// `None` for another text, and for more than `i64::MAX` bytes, because the journal
/// counts in signed 64-bit numbers.
#[must_use]
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let (_, factor) = UNITS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit.trim_start()))?;
    let bytes = number.parse::<u64>().ok()?.checked_mul(*factor)?;
    i64::try_from(bytes).is_ok().then_some(bytes)
}

/// A size in the largest binary unit that needs no fraction.
#[must_use]
pub fn format_size(bytes: u64) -> String {
    let unit = UNITS[6..]
        .iter()
        .rev()
        .find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor));
    match unit {
        Some((name, factor)) => format!("{}{name}", bytes / factor),
        None => bytes.to_string(),
    }
}

/// The duration of a text such as `10s`, `250ms` or `1h30m`; `None` for another text.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    humantime::parse_duration(text.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_both_kinds_of_units() {
        let check = |text, bytes| assert_eq!(parse_size(text), bytes, "{text}");
        check("0", Some(0));
        check("4096", Some(4096));
        check("8GiB", Some(8 << 30));
        check("8 GiB", Some(8 << 30));
        check("512MiB", Some(512 << 20));
        check("10MB", Some(10_000_000));
        check("10mb", Some(10_000_000));
        check("1TiB", Some(1 << 40));
        for bad in [
            "",
            "GiB",
            "8G",
            "1.5GiB",
            "-1",
            "+1",
            "8GiB!",
            "8EiB",
            "9999999999TiB",
            "9223372036854775808",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn sizes_are_formatted_as_they_are_parsed() {
        for text in ["0", "1", "1000", "64KiB", "1536MiB", "8GiB", "3TiB"] {
            assert_eq!(format_size(parse_size(text).unwrap()), text);
        }
    }

    #[test]
    fn durations_need_a_unit() {
        let check = |text, millis: Option<u64>| {
            assert_eq!(
                parse_duration(text),
                millis.map(Duration::from_millis),
                "{text}"
            );
        };
        check("10s", Some(10_000));
        check("250ms", Some(250));
        check("72h", Some(259_200_000));
        check("1h30m", Some(5_400_000));
        check("1h 30m", Some(5_400_000));
        for bad in ["", "10", "10x", "-1s", "s"] {
            check(bad, None);
        }
    }
}
