//! The exporters that run.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use delfin_plugin_api::Kind;
use tokio::{sync::watch, time::timeout};

use crate::{
    delivery::{Delivery, DeliveryParts, ExporterHandle},
    lifecycle::{ABORT_TIMEOUT, Phase},
    plugin::Candidate,
};

/// The exporters of a host, in the order of the configuration. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct ExporterSet(Arc<Mutex<Vec<Delivery>>>);

impl ExporterSet {
    /// Starts to deliver to an exporter, with what was tried before, if anything was.
    pub fn start(&self, parts: &DeliveryParts, candidate: Option<Candidate>) {
        self.lock().push(Delivery::start(parts, candidate));
    }

    #[must_use]
    pub fn list(&self) -> Vec<ExporterHandle> {
        let deliveries = self.lock();
        deliveries
            .iter()
            .map(|delivery| delivery.handle().clone())
            .collect()
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<ExporterHandle> {
        let deliveries = self.lock();
        let mut handles = deliveries.iter().map(Delivery::handle);
        handles.find(|handle| handle.name == name).cloned()
    }

    /// Puts the exporters into the order of these names.
    pub fn sort(&self, names: &[&str]) {
        self.lock().sort_by_key(|delivery| {
            let name = &delivery.handle().name;
            let index = names.iter().position(|listed| listed == name);
            index.unwrap_or(usize::MAX)
        });
    }

    /// Stops an exporter after the call in progress, for which it waits at most
    /// `patience`, and removes it. Pending items stay in the journal.
    pub async fn stop(&self, name: &str, patience: Duration) {
        let removed = {
            let mut deliveries = self.lock();
            let index = deliveries
                .iter()
                .position(|delivery| delivery.handle().name == name);
            index.map(|index| deliveries.remove(index))
        };
        if let Some(delivery) = removed {
            delivery.stop(patience).await;
        }
    }

    /// Delivers what the exporters of a kind can deliver at once, and waits for it.
    pub async fn drain(&self, kind: Kind) {
        all_ended(self.advance(Some(kind), Phase::Draining)).await;
    }

    /// Stops all exporters now.
    pub async fn abort_all(&self) {
        let tasks = self.advance(None, Phase::Aborting);
        if timeout(ABORT_TIMEOUT, all_ended(tasks)).await.is_err() {
            log::debug!("an exporter did not stop in time");
        }
    }

    fn advance(&self, kind: Option<Kind>, phase: Phase) -> Vec<watch::Receiver<()>> {
        let deliveries = self.lock();
        let of_kind = deliveries
            .iter()
            .filter(|delivery| kind.is_none_or(|kind| delivery.handle().kind == kind));
        of_kind.map(|delivery| delivery.advance(phase)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Delivery>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn all_ended(tasks: Vec<watch::Receiver<()>>) {
    for mut ended in tasks {
        // Nothing is ever sent: `changed` fails when the task ends.
        let _ = ended.changed().await;
    }
}
