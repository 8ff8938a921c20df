//! What a client should know about items that were accepted: which were converted, and which
//! are probably wrong.

/// A remark about accepted items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteKind {
    /// The time is in seconds, and was converted to milliseconds.
    Seconds,
    /// The time is an empty text, and the time of receipt was used.
    EmptyTime,
    /// The time is more than a day ahead.
    FarFuture,
    /// The time is before the year 2000.
    FarPast,
}

/// Numbers of points and alerts by remark.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IngestNotes([u64; NoteKind::ALL.len()]);

impl NoteKind {
    pub const ALL: [Self; 4] = [
        Self::Seconds,
        Self::EmptyTime,
        Self::FarFuture,
        Self::FarPast,
    ];

    /// The remark as a label of metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::EmptyTime => "empty_time",
            Self::FarFuture => "far_future",
            Self::FarPast => "far_past",
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Seconds => "the time was in seconds and was converted (send milliseconds)",
            Self::EmptyTime => "`occur_time` was empty, and the time of receipt was used",
            Self::FarFuture => "the time is more than a day ahead (check the clock of the sender)",
            Self::FarPast => {
                "the time is before the year 2000 (check the clock of the sender, and the unit: \
                 milliseconds)"
            }
        }
    }
}

impl IngestNotes {
    pub(super) fn add(&mut self, kind: NoteKind, items: u64) {
        self.0[kind as usize] += items;
    }

    /// Moves the counts of `other` to these.
    pub fn take(&mut self, other: &mut Self) {
        for (count, other) in self.0.iter_mut().zip(&mut other.0) {
            *count += std::mem::take(other);
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The remarks that apply, with the number of their items.
    pub fn counts(&self) -> impl Iterator<Item = (NoteKind, u64)> {
        let counts = NoteKind::ALL.into_iter().zip(self.0);
        counts.filter(|(_, items)| *items > 0)
    }

    /// A sentence for each remark that applies.
    pub fn texts(&self) -> impl Iterator<Item = String> {
        self.counts().map(|(kind, items)| {
            let noun = if items == 1 { "item" } else { "items" };
            format!("{items} {noun}: {}", kind.text())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_remark_that_applies_is_a_sentence_with_its_count() {
        let mut notes = IngestNotes::default();
        assert_eq!(notes.texts().count(), 0);
        let mut item = IngestNotes::default();
        item.add(NoteKind::EmptyTime, 1);
        item.add(NoteKind::Seconds, 2);
        notes.take(&mut item);
        notes.take(&mut item);
        assert_eq!(
            notes.texts().collect::<Vec<_>>(),
            [
                "2 items: the time was in seconds and was converted (send milliseconds)",
                "1 item: `occur_time` was empty, and the time of receipt was used",
            ]
        );
    }
}
