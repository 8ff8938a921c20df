//! The table: which alerts are active after a sequence of batches.
//!
//! Promises: the same batches in the same order give the same table, also if a batch is
//! applied twice. The number of active alerts and the number of ended alerts have a limit;
//! above it, the table removes the alerts without an update for the longest time, and first
//! those that may be no faults.
//!
//! Knows nothing of journals and files.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use delfin_plugin_api::{Alert, AlertBatch};

use super::{
    identity::AlertIdentity,
    tracked::{AlertEnd, TrackedAlert, is_event, is_recovery, texts_of},
};
use crate::{batch::Seq, clock::HostClock, config::AlertsConfig};

/// How long the end of an alert is sent again, for receivers that were unavailable.
/// Prometheus does the same for Alertmanager, as long.
const RESEND_ENDS_FOR: Duration = Duration::from_mins(15);

/// A record of the alert journal.
pub(super) struct AlertRecord<'a> {
    pub(super) seq: Seq,
    pub(super) accepted_ms: i64,
    /// The storage whose active alerts are all in this record.
    pub(super) complete_for: Option<&'a str>,
    /// Whether a complete record also ends alerts of notifications.
    pub(super) ends_notified: bool,
    /// Whether a client sent it.
    pub(super) is_ingested: bool,
    pub(super) alerts: &'a AlertBatch,
}

/// Changes that are not stored yet.
#[derive(Debug, Default)]
pub(super) struct TableChanges {
    pub(super) updated: Vec<Arc<TrackedAlert>>,
    pub(super) removed: Vec<Arc<AlertIdentity>>,
}

/// Active alerts, and alerts that ended recently.
#[derive(Debug)]
pub(super) struct AlertTable {
    alerts: BTreeMap<Arc<AlertIdentity>, Arc<TrackedAlert>>,
    /// The active alerts, the longest without an update first.
    active: UpdateOrder,
    /// The ended alerts, the oldest end first.
    ended: UpdateOrder,
    /// Limit of `active`, and of `ended`.
    max_active: usize,
    /// Alerts that differ from the file.
    changed: BTreeSet<Arc<AlertIdentity>>,
    dropped: u64,
    /// The first record that was not applied.
    next: Seq,
}

/// Alerts by whether they are faults, and by the time of their last update.
type UpdateOrder = BTreeSet<(bool, i64, Arc<AlertIdentity>)>;

impl AlertTable {
    pub(super) fn new(max_active: usize, alerts: Vec<TrackedAlert>) -> Self {
        let mut table = Self {
            alerts: BTreeMap::new(),
            active: UpdateOrder::new(),
            ended: UpdateOrder::new(),
            max_active,
            changed: BTreeSet::new(),
            dropped: 0,
            next: Seq::default(),
        };
        for alert in alerts {
            table.insert(alert);
        }
        table.changed.clear();
        // The limit may be lower than in the last run.
        table.evict();
        table
    }

    pub(super) fn active(&self) -> impl Iterator<Item = &Arc<TrackedAlert>> {
        self.alerts.values().filter(|alert| alert.end.is_none())
    }

    /// The active alerts of a storage.
    pub(super) fn active_of(&self, storage_id: &str) -> impl Iterator<Item = &Arc<TrackedAlert>> {
        // In order, all alerts of a storage follow the lower bound of its identities, so
        // this looks at the alerts of one storage only.
        let from = self.alerts.range(AlertIdentity::first_of(storage_id)..);
        from.map(|(_, alert)| alert)
            .take_while(move |alert| alert.identity.storage_id() == storage_id)
            .filter(|alert| alert.end.is_none())
    }

    /// The active alerts that a complete record of their storage does not contain. They
    /// have ended. Empty for a record that is not complete.
    pub(super) fn absent_from(&self, record: &AlertRecord<'_>) -> Vec<Arc<TrackedAlert>> {
        let Some(storage_id) = record.complete_for else {
            return Vec::new();
        };
        let rows = record.alerts.alerts().filter(|alert| !is_event(alert));
        let present: BTreeSet<AlertIdentity> = rows.map(|a| AlertIdentity::of(&a)).collect();
        self.active_of(storage_id)
            .filter(|alert| !present.contains(&*alert.identity))
            .filter(|alert| record.ends_notified || !alert.is_of_notification())
            .cloned()
            .collect()
    }

    /// Applies a record.
    pub(super) fn apply(&mut self, record: &AlertRecord<'_>) {
        for absent in self.absent_from(record) {
            self.end(&absent, record.seq, AlertEnd::now(record.accepted_ms));
        }
        for alert in record.alerts.alerts() {
            self.apply_row(&alert, record);
        }
        self.evict();
    }

    /// The active alerts, and those that ended in the last 15 minutes.
    pub(super) fn to_resend(&self, clock: &HostClock) -> Vec<Arc<TrackedAlert>> {
        let is_recent = |end: AlertEnd| clock.age(end.seen_ms) <= RESEND_ENDS_FOR;
        let due = |alert: &&Arc<TrackedAlert>| alert.end.is_none_or(is_recent);
        self.alerts.values().filter(due).cloned().collect()
    }

    /// The active alerts that are older than they may become.
    pub(super) fn expired(
        &self,
        limits: &AlertsConfig,
        clock: &HostClock,
    ) -> Vec<Arc<TrackedAlert>> {
        let is_old = |alert: &&Arc<TrackedAlert>| {
            max_age(alert, limits).is_some_and(|max| clock.age(alert.last_seen_ms) >= max)
        };
        self.active().filter(is_old).cloned().collect()
    }

    /// Ends alerts without a record of theirs. `seq` is the record of their recoveries.
    pub(super) fn end_all(&mut self, alerts: &[Arc<TrackedAlert>], seq: Seq, now_ms: i64) {
        for alert in alerts {
            self.end(alert, seq, AlertEnd::now(now_ms));
        }
        self.evict();
    }

    /// Whether a record after `seq` contains the alert, or ended it.
    pub(super) fn has_newer(&self, identity: &AlertIdentity, seq: Seq) -> bool {
        let alert = self.alerts.get(identity);
        alert.is_some_and(|alert| alert.last_seq > seq)
    }

    /// Records that every record before `next` was applied.
    pub(super) fn advance_to(&mut self, next: Seq) {
        self.next = self.next.max(next);
    }

    pub(super) fn next(&self) -> Seq {
        self.next
    }

    /// Active alerts that were removed because the table was full.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The changes since the last [`mark_saved`](Self::mark_saved).
    pub(super) fn changes(&self) -> TableChanges {
        let mut changes = TableChanges::default();
        for identity in &self.changed {
            match self.alerts.get(identity) {
                Some(alert) => changes.updated.push(Arc::clone(alert)),
                None => changes.removed.push(Arc::clone(identity)),
            }
        }
        changes
    }

    /// Records that all changes are durable.
    pub(super) fn mark_saved(&mut self) {
        self.changed.clear();
    }

    /// Records that the file may be empty: every alert has to be written again.
    pub(super) fn mark_all_changed(&mut self) {
        self.changed.extend(self.alerts.keys().cloned());
    }

    fn apply_row(&mut self, alert: &Alert<'_>, record: &AlertRecord<'_>) {
        if is_event(alert) {
            return;
        }
        let identity = AlertIdentity::of(alert);
        let known = self.alerts.get(&identity).cloned();
        if is_recovery(alert) {
            // The recovery of an unknown alert ends nothing.
            if let Some(known) = known {
                let end = AlertEnd {
                    occur_time: alert.occur_time(),
                    seen_ms: record.accepted_ms,
                };
                self.end(&known, record.seq, end);
            }
            return;
        }
        // An alert that ended and comes back is a new one.
        let active = known.as_ref().filter(|known| known.end.is_none());
        let first_seen_ms = active.map_or(record.accepted_ms, |known| known.first_seen_ms);
        self.insert(TrackedAlert {
            identity: known.map_or_else(|| Arc::new(identity), |known| Arc::clone(&known.identity)),
            occur_time: alert.occur_time(),
            texts: texts_of(alert),
            first_seen_ms,
            last_seen_ms: record.accepted_ms,
            last_seq: record.seq,
            is_ingested: record.is_ingested,
            end: None,
        });
    }

    fn end(&mut self, alert: &TrackedAlert, seq: Seq, end: AlertEnd) {
        self.insert(TrackedAlert {
            last_seq: seq,
            // Further recoveries do not move the end.
            end: alert.end.or(Some(end)),
            ..alert.clone()
        });
    }

    /// Inserts or replaces an alert. `alerts` and the order by update stay in step: the old
    /// entry leaves its order before the new one, which may be in the other order, enters.
    fn insert(&mut self, alert: TrackedAlert) {
        let identity = Arc::clone(&alert.identity);
        self.remove(&identity);
        let entry = order_entry(&alert, &identity);
        self.order_of(&alert).insert(entry);
        self.alerts.insert(identity, Arc::new(alert));
    }

    fn remove(&mut self, identity: &Arc<AlertIdentity>) {
        self.changed.insert(Arc::clone(identity));
        if let Some(alert) = self.alerts.remove(identity) {
            let entry = order_entry(&alert, identity);
            self.order_of(&alert).remove(&entry);
        }
    }

    /// Removes the alerts above the limit. Only active alerts count as dropped: an ended
    /// alert is in the table just to send its end again.
    fn evict(&mut self) {
        while self.active.len() > self.max_active {
            let Some((.., oldest)) = self.active.first().cloned() else {
                return;
            };
            self.remove(&oldest);
            self.dropped += 1;
        }
        while self.ended.len() > self.max_active {
            let Some((.., oldest)) = self.ended.first().cloned() else {
                return;
            };
            self.remove(&oldest);
        }
    }

    fn order_of(&mut self, alert: &TrackedAlert) -> &mut UpdateOrder {
        if alert.end.is_none() {
            &mut self.active
        } else {
            &mut self.ended
        }
    }
}

fn order_entry(
    alert: &TrackedAlert,
    identity: &Arc<AlertIdentity>,
) -> (bool, i64, Arc<AlertIdentity>) {
    let is_fault = alert.end.is_none() && !alert.is_not_specified() && !alert.is_event();
    let updated_ms = alert.end.map_or(alert.last_seen_ms, |end| end.seen_ms);
    (is_fault, updated_ms, Arc::clone(identity))
}

/// How long an alert stays active without being seen again. `None`: indefinitely.
fn max_age(alert: &TrackedAlert, limits: &AlertsConfig) -> Option<Duration> {
    let by_category = if alert.is_event() {
        Some(Duration::ZERO)
    } else {
        alert
            .is_not_specified()
            .then_some(limits.not_specified_max_age)
    };
    let by_source = limits.ingested_max_age.filter(|_| alert.is_ingested);
    by_category.into_iter().chain(by_source).min()
}
