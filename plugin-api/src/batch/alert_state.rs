//! What the texts of an alert mean: whether it is active, and how severe it is.
//!
//! Upper and lower case are the same.

use super::Alert;

/// Whether an alert is active: its `category`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AlertState {
    /// Active: any category that is not one of the others, or none.
    Raised,
    /// Ended: the category `Recovery`.
    Cleared,
    /// Never active: the category `Event`.
    Event,
}

/// A severity that Delfin knows, the most severe one first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are the texts of the column")]
pub enum AlertSeverity {
    Fatal,
    Critical,
    Major,
    Minor,
    Warning,
    Informational,
}

impl AlertSeverity {
    /// Every severity, the most severe one first.
    pub const ALL: [Self; 6] = [
        Self::Fatal,
        Self::Critical,
        Self::Major,
        Self::Minor,
        Self::Warning,
        Self::Informational,
    ];

    /// The text of the column `severity`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fatal => "Fatal",
            Self::Critical => "Critical",
            Self::Major => "Major",
            Self::Minor => "Minor",
            Self::Warning => "Warning",
            Self::Informational => "Informational",
        }
    }
}

impl Alert<'_> {
    /// Whether the alert is active.
    #[must_use]
    pub fn state(&self) -> AlertState {
        let is = |name| is(self.category(), name);
        if is("Recovery") {
            AlertState::Cleared
        } else if is("Event") {
            AlertState::Event
        } else {
            AlertState::Raised
        }
    }

    /// The severity of the alert; `None` for another text, and without one.
    #[must_use]
    pub fn known_severity(&self) -> Option<AlertSeverity> {
        let mut all = AlertSeverity::ALL.into_iter();
        all.find(|severity| is(self.severity(), severity.name()))
    }
}

fn is(text: Option<&str>, name: &str) -> bool {
    text.is_some_and(|text| text.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AlertBatchBuilder, NewAlert};

    fn check(texts: &[(&str, &str)], state: AlertState, severity: Option<AlertSeverity>) {
        let mut batch = AlertBatchBuilder::new();
        batch.alert(NewAlert {
            occur_time: 0,
            texts,
        });
        let batch = batch.build();
        let found = batch.alerts().next();
        let found = found.map(|alert| (alert.state(), alert.known_severity()));
        assert_eq!(found, Some((state, severity)), "{texts:?}");
    }

    #[test]
    fn texts_that_are_not_known_are_active_and_have_no_severity() {
        check(&[], AlertState::Raised, None);
        let texts = [("category", "Other"), ("severity", "NotSpecified")];
        check(&texts, AlertState::Raised, None);
        let texts = [("category", "recovery"), ("severity", "FATAL")];
        check(&texts, AlertState::Cleared, Some(AlertSeverity::Fatal));
        let texts = [("category", "Event"), ("severity", "Informational")];
        check(
            &texts,
            AlertState::Event,
            Some(AlertSeverity::Informational),
        );
    }
}
