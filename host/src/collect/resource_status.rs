//! The status of a resource as a number.
//!
//! One series with a number, and not one series for each state: a change of the state starts no new
//! series and ends none, every receiver can compare a number with a threshold, and a large storage
//! needs one point for each resource. The order of the numbers is the order of severity.

/// The status of a resource, or of a storage as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResourceStatus {
    /// The storage does not know it, or has a word for it that is not in the table.
    Unknown,
    Normal,
    /// It works, and needs attention.
    Degraded,
    /// It has failed.
    Faulty,
    /// It is switched off, absent, or does not answer.
    Offline,
}

/// The words that storages use, in lower case.
const WORDS: [(ResourceStatus, &[&str]); 4] = [
    (
        ResourceStatus::Normal,
        &[
            "normal",
            "ok",
            "online",
            "healthy",
            "good",
            "available",
            "up",
            "active",
            "running",
            "enabled",
            "ready",
            "connected",
            "in-use",
            "live",
        ],
    ),
    (
        ResourceStatus::Degraded,
        &[
            "degraded",
            "warning",
            "minor",
            "rebuilding",
            "reconstructing",
            "initializing",
            "predictive failure",
            "recovering",
            "resetting",
        ],
    ),
    (
        ResourceStatus::Faulty,
        &[
            "abnormal",
            "faulty",
            "fault",
            "failed",
            "failure",
            "error",
            "critical",
            "major",
            "bad",
            "unhealthy",
            "dead",
        ],
    ),
    (
        ResourceStatus::Offline,
        &[
            "offline",
            "down",
            "disconnected",
            "disabled",
            "stopped",
            "absent",
            "missing",
            "removed",
            "not present",
            "not_available",
            "unavailable",
        ],
    ),
];

impl ResourceStatus {
    /// The status for a storage's own word.
    #[must_use]
    pub fn of_word(word: &str) -> Self {
        let word = word.trim().to_lowercase();
        let row = WORDS.iter().find(|(_, words)| words.contains(&&*word));
        row.map_or(Self::Unknown, |(status, _)| *status)
    }

    /// The value of the series.
    #[must_use]
    pub fn value(self) -> f64 {
        match self {
            Self::Unknown => -1.0,
            Self::Normal => 0.0,
            Self::Degraded => 1.0,
            Self::Faulty => 2.0,
            Self::Offline => 3.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_any_case_have_a_status_and_a_worse_status_a_higher_number() {
        for (word, expected) in [
            ("normal", 0.0),
            (" Online ", 0.0),
            ("DEGRADED", 1.0),
            ("abnormal", 2.0),
            ("offline", 3.0),
            ("purple", -1.0),
            ("", -1.0),
        ] {
            assert_eq!(ResourceStatus::of_word(word).value(), expected, "{word}");
        }
    }

    #[test]
    fn a_word_has_one_status() {
        let mut words: Vec<_> = WORDS.iter().flat_map(|(_, words)| *words).collect();
        let count = words.len();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), count);
    }
}
