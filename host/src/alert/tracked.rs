//! An alert in the table: its last row, and when rows of it were accepted.

use std::sync::Arc;

use delfin_plugin_api::{Alert, AlertBatch, AlertBatchBuilder, NewAlert, TEXT_COLUMNS};

use super::{identity::AlertIdentity, texts::AlertTexts};
use crate::batch::Seq;

/// The extra text of an alert that a trap made without the driver of its storage.
pub const TRAP_OID: &str = "trap_oid";
/// The extra text of an alert that another notification of a storage made.
pub const RECEIVED_BY: &str = "received_by";
/// The category that ends an alert.
const RECOVERY: &str = "Recovery";
/// The category of an alert that nothing ends.
const EVENT: &str = "Event";
/// The category of an alert that may be a fault or an event.
const NOT_SPECIFIED: &str = "NotSpecified";

/// An alert that is active, or has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackedAlert {
    pub identity: Arc<AlertIdentity>,
    /// Occurrence time of the last row, in milliseconds since the Unix epoch.
    pub occur_time: i64,
    /// Texts of the last row that was no recovery: columns, then extra texts.
    pub texts: AlertTexts,
    /// Acceptance time of the batch that made it active.
    pub first_seen_ms: i64,
    /// Acceptance time of the last batch in which it was active.
    pub last_seen_ms: i64,
    /// The last record that contains it, or that ended it.
    pub last_seq: Seq,
    /// Whether a client sent its last row. Otherwise the host collected it.
    pub is_ingested: bool,
    /// `None` while it is active.
    pub end: Option<AlertEnd>,
}

/// The end of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertEnd {
    /// Occurrence time of the recovery, in milliseconds since the Unix epoch.
    pub occur_time: i64,
    /// Acceptance time of the batch that ended it.
    pub seen_ms: i64,
}

impl AlertEnd {
    /// The end of an alert that ends without a recovery of its own.
    pub(super) fn now(now_ms: i64) -> Self {
        Self {
            occur_time: now_ms,
            seen_ms: now_ms,
        }
    }
}

impl TrackedAlert {
    /// The text of the last row under this name.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        let mut texts = self.texts.iter();
        texts.find_map(|(key, text)| (key == name).then_some(text))
    }

    /// Whether a notification is the source, which no list of the storage repeats.
    pub(super) fn is_of_notification(&self) -> bool {
        let marks = [TRAP_OID, RECEIVED_BY];
        marks.iter().any(|mark| self.text(mark).is_some())
    }

    /// Whether it is an event. The table of an older host has events.
    pub(super) fn is_event(&self) -> bool {
        has_category(self.text("category"), EVENT)
    }

    /// Whether it is unknown if it is a fault.
    pub(super) fn is_not_specified(&self) -> bool {
        has_category(self.text("category"), NOT_SPECIFIED)
    }
}

/// Whether the row ends its alert.
pub(super) fn is_recovery(alert: &Alert<'_>) -> bool {
    has_category(alert.category(), RECOVERY)
}

/// Whether the row is an event: it occurred, and is not active afterwards.
pub(super) fn is_event(alert: &Alert<'_>) -> bool {
    has_category(alert.category(), EVENT)
}

fn has_category(category: Option<&str>, wanted: &str) -> bool {
    category.is_some_and(|category| category.eq_ignore_ascii_case(wanted))
}

/// All texts of a row.
pub(super) fn texts_of(alert: &Alert<'_>) -> AlertTexts {
    // An extra text with the name of an empty column must not become that column.
    let extra = alert.extra();
    let extra = extra.iter().filter(|(key, _)| !TEXT_COLUMNS.contains(key));
    let columns = alert.texts().map(|(column, text)| (column as &str, text));
    AlertTexts::new(columns.chain(extra))
}

/// A batch of these alerts. An alert that has ended becomes a recovery.
pub(super) fn batch_of<'a>(alerts: impl IntoIterator<Item = &'a Arc<TrackedAlert>>) -> AlertBatch {
    let mut batch = AlertBatchBuilder::new();
    for alert in alerts {
        add(&mut batch, alert, alert.end.map(|end| end.occur_time));
    }
    batch.build()
}

/// A batch of recoveries of these alerts.
pub(super) fn recoveries_of<'a>(
    alerts: impl IntoIterator<Item = &'a Arc<TrackedAlert>>,
    occur_time: i64,
) -> AlertBatch {
    let mut batch = AlertBatchBuilder::new();
    for alert in alerts {
        add(&mut batch, alert, Some(occur_time));
    }
    batch.build()
}

fn add(batch: &mut AlertBatchBuilder, alert: &TrackedAlert, recovery_time: Option<i64>) {
    let mut texts: Vec<(&str, &str)> = alert.texts.iter().collect();
    if recovery_time.is_some() {
        texts.push(("category", RECOVERY));
    }
    batch.alert(NewAlert {
        occur_time: recovery_time.unwrap_or(alert.occur_time),
        texts: &texts,
    });
}
