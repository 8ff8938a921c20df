//! The table: what a sequence of batches leaves active.
//!
//! Promises: the same batches in the same order leave the same table, however
//! they are grouped and whatever is applied twice. It never holds more active
//! alerts than it may, nor more that have ended: those that were not heard of
//! for the longest time go first.
//!
//! Knows nothing of journals and files.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use delfin_plugin_api::{Alert, AlertBatch};

use super::{
    identity::Identity,
    sighting::{Ended, TrackedAlert, is_recovery, texts_of},
};
use crate::{batch::Seq, clock::millis};

/// How long an end is said again, so that a receiver that was away hears of it:
/// as long as Prometheus says it to Alertmanager.
const ENDS_ARE_SAID_FOR: Duration = Duration::from_mins(15);

/// A batch of alerts, as far as the table is concerned.
pub(super) struct Sighted<'a> {
    pub(super) seq: Seq,
    pub(super) accepted_ms: i64,
    /// The storage of which it holds all active alerts.
    pub(super) complete_for: Option<&'a str>,
    pub(super) alerts: &'a AlertBatch,
}

/// What has to be written so that the table outlives the host.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) kept: Vec<Arc<TrackedAlert>>,
    pub(super) gone: Vec<Arc<Identity>>,
}

/// The active alerts, and those that ended last.
#[derive(Debug)]
pub(super) struct Table {
    alerts: BTreeMap<Arc<Identity>, Arc<TrackedAlert>>,
    active: Ages,
    ended: Ages,
    max_active: usize,
    touched: BTreeSet<Arc<Identity>>,
    dropped: u64,
    /// The first record that is not taken in.
    next: Seq,
}

/// Alerts by how long ago they were heard of.
type Ages = BTreeSet<(i64, Arc<Identity>)>;

impl Table {
    pub(super) fn new(max_active: usize, alerts: Vec<TrackedAlert>) -> Self {
        let mut table = Self {
            alerts: BTreeMap::new(),
            active: Ages::new(),
            ended: Ages::new(),
            max_active,
            touched: BTreeSet::new(),
            dropped: 0,
            next: Seq::default(),
        };
        for alert in alerts {
            table.put(alert);
        }
        table.touched.clear();
        // The limit may have been lowered since.
        table.shrink();
        table
    }

    pub(super) fn active(&self) -> impl Iterator<Item = &Arc<TrackedAlert>> {
        self.alerts.values().filter(|alert| alert.ended.is_none())
    }

    /// The active alerts of the batch's storage that it is without, if it has
    /// to hold them all.
    pub(super) fn absent_from(&self, batch: &Sighted<'_>) -> Vec<Arc<TrackedAlert>> {
        let Some(storage_id) = batch.complete_for else {
            return Vec::new();
        };
        let present: BTreeSet<Identity> = batch.alerts.alerts().map(|a| Identity::of(&a)).collect();
        let from = self.alerts.range(Identity::first_of(storage_id)..);
        from.map(|(_, alert)| alert)
            .take_while(|alert| alert.identity.storage_id == storage_id)
            .filter(|alert| alert.ended.is_none() && !present.contains(&*alert.identity))
            .cloned()
            .collect()
    }

    /// Takes a batch in.
    pub(super) fn apply(&mut self, batch: &Sighted<'_>) {
        for absent in self.absent_from(batch) {
            self.end(&absent, batch, batch.accepted_ms);
        }
        for alert in batch.alerts.alerts() {
            self.sight(&alert, batch);
        }
        self.shrink();
    }

    /// The active alerts, and those whose end is not long ago.
    pub(super) fn to_send_again(&self, now_ms: i64) -> Vec<Arc<TrackedAlert>> {
        let since_ms = now_ms.saturating_sub(millis(ENDS_ARE_SAID_FOR));
        let due =
            |alert: &&Arc<TrackedAlert>| alert.ended.is_none_or(|ended| ended.seen_ms >= since_ms);
        self.alerts.values().filter(due).cloned().collect()
    }

    /// Whether a batch after that one says something of the alert.
    pub(super) fn knows_newer(&self, identity: &Identity, seq: Seq) -> bool {
        let alert = self.alerts.get(identity);
        alert.is_some_and(|alert| alert.last_seq > seq)
    }

    /// Every record before that one is taken in.
    pub(super) fn reach(&mut self, next: Seq) {
        self.next = self.next.max(next);
    }

    pub(super) fn next(&self) -> Seq {
        self.next
    }

    /// How many active alerts were taken off because the table was full.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// What has changed since `saved` was last called.
    pub(super) fn changes(&self) -> Changes {
        let mut changes = Changes::default();
        for identity in &self.touched {
            match self.alerts.get(identity) {
                Some(alert) => changes.kept.push(Arc::clone(alert)),
                None => changes.gone.push(Arc::clone(identity)),
            }
        }
        changes
    }

    /// The changes are durable.
    pub(super) fn saved(&mut self) {
        self.touched.clear();
    }

    /// The changes may not be durable, nor what was written before them.
    pub(super) fn unsaved(&mut self) {
        self.touched.extend(self.alerts.keys().cloned());
    }

    fn sight(&mut self, alert: &Alert<'_>, batch: &Sighted<'_>) {
        let identity = Identity::of(alert);
        let known = self.alerts.get(&identity).cloned();
        if is_recovery(alert) {
            // Nobody was told of an alert that is not known: there is nothing to end.
            if let Some(known) = known {
                self.end(&known, batch, alert.occur_time());
            }
            return;
        }
        let lasting = known.as_ref().filter(|known| known.ended.is_none());
        let first_seen_ms = lasting.map_or(batch.accepted_ms, |known| known.first_seen_ms);
        self.put(TrackedAlert {
            identity: known.map_or_else(|| Arc::new(identity), |known| Arc::clone(&known.identity)),
            occur_time: alert.occur_time(),
            texts: texts_of(alert),
            first_seen_ms,
            last_seen_ms: batch.accepted_ms,
            last_seq: batch.seq,
            ended: None,
        });
    }

    fn end(&mut self, alert: &TrackedAlert, batch: &Sighted<'_>, occur_time: i64) {
        let now = Ended {
            occur_time,
            seen_ms: batch.accepted_ms,
        };
        self.put(TrackedAlert {
            last_seq: batch.seq,
            // It ends once, however often that is said.
            ended: alert.ended.or(Some(now)),
            ..alert.clone()
        });
    }

    fn put(&mut self, alert: TrackedAlert) {
        let identity = Arc::clone(&alert.identity);
        self.take_off(&identity);
        self.ages(&alert)
            .insert((heard_of_ms(&alert), Arc::clone(&identity)));
        self.alerts.insert(identity, Arc::new(alert));
    }

    fn take_off(&mut self, identity: &Arc<Identity>) {
        self.touched.insert(Arc::clone(identity));
        if let Some(alert) = self.alerts.remove(identity) {
            let age = (heard_of_ms(&alert), Arc::clone(identity));
            self.ages(&alert).remove(&age);
        }
    }

    fn shrink(&mut self) {
        while self.active.len() > self.max_active {
            let Some((_, oldest)) = self.active.first().cloned() else {
                return;
            };
            self.take_off(&oldest);
            self.dropped += 1;
        }
        while self.ended.len() > self.max_active {
            let Some((_, oldest)) = self.ended.first().cloned() else {
                return;
            };
            self.take_off(&oldest);
        }
    }

    fn ages(&mut self, alert: &TrackedAlert) -> &mut Ages {
        if alert.ended.is_none() {
            &mut self.active
        } else {
            &mut self.ended
        }
    }
}

fn heard_of_ms(alert: &TrackedAlert) -> i64 {
    alert
        .ended
        .map_or(alert.last_seen_ms, |ended| ended.seen_ms)
}
