//! The log of times that are far off: they are accepted, and a clock or a unit is probably wrong.

use std::{sync::Arc, time::Instant};

use delfin_plugin_api::Kind;

use crate::{
    ingest::{IngestNotes, NoteKind},
    logging::{Admission, LogLimiter},
};

/// Logs each storage and remark once a minute.
#[derive(Clone, Debug, Default)]
pub(super) struct TimeLog(Arc<LogLimiter>);

impl TimeLog {
    /// Logs what is far off in a batch; `storage_id` is that of all its items, if they have one.
    pub(super) fn warn(&self, kind: Kind, storage_id: Option<&str>, notes: &IngestNotes) {
        let storage_id = storage_id.unwrap_or("-");
        for (note, items) in notes.counts() {
            if self.is_logged(kind, storage_id, note) {
                log::warn!(kind:% = kind, storage_id, items, note = note.as_str(); "times are far off, check the clock and the unit of the sender");
            }
        }
    }

    fn is_logged(&self, kind: Kind, storage_id: &str, note: NoteKind) -> bool {
        match note {
            NoteKind::FarFuture | NoteKind::FarPast => {
                let limited = format!("{kind} {}", note.as_str());
                let admission = self.0.admit(&limited, storage_id, Instant::now());
                matches!(admission, Admission::Logged { .. })
            }
            NoteKind::Seconds | NoteKind::EmptyTime => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storage_whose_clock_is_wrong_is_logged_once_a_minute() {
        let log = TimeLog::default();
        let logged = |storage_id, note| log.is_logged(Kind::Alert, storage_id, note);
        assert!(logged("a", NoteKind::FarPast));
        assert!(!logged("a", NoteKind::FarPast));
        assert!(logged("a", NoteKind::FarFuture));
        assert!(logged("b", NoteKind::FarPast));
        assert!(log.is_logged(Kind::Performance, "a", NoteKind::FarPast));
        assert!(!logged("a", NoteKind::Seconds) && !logged("a", NoteKind::EmptyTime));
    }
}
