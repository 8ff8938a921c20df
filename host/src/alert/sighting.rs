//! An alert as the table keeps it: what was last said of it, and when.

use std::sync::Arc;

use delfin_plugin_api::{Alert, AlertBatch, AlertBatchBuilder, NewAlert, TEXT_COLUMNS};

use super::identity::Identity;
use crate::batch::Seq;

/// The category that ends an alert.
const RECOVERY: &str = "Recovery";

/// An alert that is active, or has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackedAlert {
    /// Which alert it is.
    pub identity: Arc<Identity>,
    /// When it happened, as last said, in milliseconds since the epoch.
    pub occur_time: i64,
    /// What was last said of it, but not of its end: columns, then what is extra.
    pub texts: Vec<(String, String)>,
    /// When the batch that opened it was accepted.
    pub first_seen_ms: i64,
    /// When the last batch that holds it as active was accepted.
    pub last_seen_ms: i64,
    /// The last batch that says something of it.
    pub last_seq: Seq,
    /// How it ended, if it has.
    pub ended: Option<Ended>,
}

/// How an alert ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// When it ended, as far as was said, in milliseconds since the epoch.
    pub occur_time: i64,
    /// When the batch that ended it was accepted.
    pub seen_ms: i64,
}

impl TrackedAlert {
    /// What was last said of it under that name.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        let mut texts = self.texts.iter();
        texts.find_map(|(key, text)| (key == name).then_some(text.as_str()))
    }
}

/// Whether an alert says that it is over.
pub(super) fn is_recovery(alert: &Alert<'_>) -> bool {
    alert
        .category()
        .is_some_and(|category| category.eq_ignore_ascii_case(RECOVERY))
}

/// Everything that an alert says but its time.
pub(super) fn texts_of(alert: &Alert<'_>) -> Vec<(String, String)> {
    let owned = |(key, text): (&str, &str)| (key.to_owned(), text.to_owned());
    let mut texts: Vec<_> = alert.texts().map(owned).collect();
    // What is extra must not become a column because that one is empty.
    let extra = alert.extra();
    let extra = extra.iter().filter(|(key, _)| !TEXT_COLUMNS.contains(key));
    texts.extend(extra.map(owned));
    texts
}

/// A batch of what is known of alerts: one that has ended is a recovery.
pub(super) fn batch_of<'a>(alerts: impl IntoIterator<Item = &'a Arc<TrackedAlert>>) -> AlertBatch {
    let mut batch = AlertBatchBuilder::new();
    for alert in alerts {
        add(&mut batch, alert, alert.ended.map(|ended| ended.occur_time));
    }
    batch.build()
}

/// A batch that says of alerts that they ended at that time.
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

fn add(batch: &mut AlertBatchBuilder, alert: &TrackedAlert, recovered: Option<i64>) {
    let texts = alert.texts.iter();
    let mut texts: Vec<(&str, &str)> = texts.map(|(key, text)| (&**key, &**text)).collect();
    if recovered.is_some() {
        texts.push(("category", RECOVERY));
    }
    batch.alert(NewAlert {
        occur_time: recovered.unwrap_or(alert.occur_time),
        texts: &texts,
    });
}
