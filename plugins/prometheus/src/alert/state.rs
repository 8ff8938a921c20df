//! The labels that each alert was last sent with.
//!
//! Alertmanager identifies alerts by their labels. When a label changes, such as the
//! severity, it sees a second alert. The exporter then ends the one with the old
//! labels, so that one alert fires once. Alerts are identified as the host does it.
//!
//! The state is lost with the instance. An alert that is not sent again then ends
//! after `resolve_after`.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use delfin_plugin_api::{Alert, Uuid};

use super::encode::{AlertLabels, PostedAlert};

/// Firing alerts that this instance has sent.
#[derive(Debug, Default)]
pub(super) struct SentAlerts(HashMap<Uuid, SentAlert>);

/// Changes to [`SentAlerts`] by a batch, to apply once all receivers have the batch.
/// `None` means that the alert has ended.
#[derive(Debug, Default)]
pub(super) struct SentUpdate(HashMap<Uuid, Option<AlertLabels>>);

#[derive(Debug)]
struct SentAlert {
    labels: AlertLabels,
    sent: Instant,
}

impl SentAlerts {
    /// The labels of the firing alert that `new` replaces, if they differ from those
    /// of `new`. Call it for the alerts of a batch in order: `update` holds what the
    /// earlier ones have changed.
    pub(super) fn replaced_labels(
        &self,
        alert: &Alert<'_>,
        new: &PostedAlert<'_>,
        update: &mut SentUpdate,
    ) -> Option<AlertLabels> {
        let identity = alert.key().uuid();
        let last = match update.0.get(&identity) {
            Some(labels) => labels.as_ref(),
            None => self.0.get(&identity).map(|last| &last.labels),
        };
        let replaced = last.filter(|last| *last != new.labels()).cloned();
        let fires = (!new.has_ended()).then(|| new.labels().clone());
        update.0.insert(identity, fires);
        replaced
    }

    /// Applies an update. Removes alerts that were not sent again within `expiry`: they
    /// have ended at the receivers.
    pub(super) fn apply(&mut self, update: SentUpdate, expiry: Duration) {
        let sent = Instant::now();
        self.0
            .retain(|_, last| sent.duration_since(last.sent) < expiry);
        for (identity, fires) in update.0 {
            match fires {
                Some(labels) => drop(self.0.insert(identity, SentAlert { labels, sent })),
                None => drop(self.0.remove(&identity)),
            }
        }
    }
}
