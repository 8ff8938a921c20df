//! What an exporter may be called.

/// Why this cannot be an exporter's name, if it cannot.
///
/// A name is also a folder's name: dots alone would lead out of the state
/// folder.
pub(super) fn name_fault(name: &str) -> Option<&'static str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() {
        Some("is empty (a name has 1 to 64 of `A-Z a-z 0-9 . _ -`)")
    } else if !name.chars().all(allowed) {
        Some("is not a name (only `A-Z a-z 0-9 . _ -` may stand in one)")
    } else if name.len() > 64 {
        Some("is too long for a name (at most 64 characters)")
    } else if name.chars().all(|c| c == '.') {
        Some("is not a name (it needs more than dots)")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_safe_as_file_names() {
        for good in [
            "a",
            "kafka-dr",
            "PerformanceExporterFile",
            "a.b_c-9",
            &"x".repeat(64),
        ] {
            assert_eq!(name_fault(good), None, "{good}");
        }
        for bad in ["", ".", "..", "a b", "a/b", "ä", &"x".repeat(65)] {
            assert!(name_fault(bad).is_some(), "{bad}");
        }
    }
}
