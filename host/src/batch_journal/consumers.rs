//! The exporters of a journal, as far as its room concerns them: best-effort
//! exporters release their oldest records when the journal is full, required
//! exporters make it refuse new batches.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::batch::Seq;

/// How long an exporter may take to release records: it only writes to the journal.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(5);

/// Asks an exporter to release every record before `end`.
#[derive(Debug)]
pub struct ReleaseRequest {
    pub end: Seq,
    /// Dropped when the exporter has released them.
    pub done: oneshot::Sender<()>,
}

#[derive(Default)]
pub(super) struct Consumers(Mutex<BTreeMap<String, Consumer>>);

struct Consumer {
    /// Whether the exporter keeps its records when the journal is full.
    required: bool,
    /// Whether new batches are refused because this exporter's queue is full.
    refuses: bool,
    /// The first record that the exporter still needs.
    next: Seq,
    releases: mpsc::UnboundedSender<ReleaseRequest>,
}

impl Consumers {
    pub(super) fn add(
        &self,
        exporter: &str,
        required: bool,
        releases: mpsc::UnboundedSender<ReleaseRequest>,
    ) {
        let consumer = Consumer {
            required,
            refuses: false,
            next: Seq(0),
            releases,
        };
        self.lock().insert(exporter.to_owned(), consumer);
    }

    pub(super) fn remove(&self, exporter: &str) {
        self.lock().remove(exporter);
    }

    pub(super) fn contains(&self, exporter: &str) -> bool {
        self.lock().contains_key(exporter)
    }

    /// Whether no exporter reads the journal.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    pub(super) fn set_refusing(&self, exporter: &str, refuses: bool) {
        if let Some(consumer) = self.lock().get_mut(exporter) {
            consumer.refuses = refuses;
        }
    }

    /// An exporter needs no record before this one any more. Returns the first record that one of them
    /// needs.
    pub(super) fn advance(&self, exporter: &str, next: Seq) -> Option<Seq> {
        let mut consumers = self.lock();
        if let Some(consumer) = consumers.get_mut(exporter) {
            consumer.next = next;
        }
        consumers.values().map(|consumer| consumer.next).min()
    }

    /// The exporter whose full queue makes the journal refuse batches.
    pub(super) fn refusing(&self) -> Option<String> {
        let consumers = self.lock();
        let refusing = consumers.iter().find(|(_, consumer)| consumer.refuses);
        refusing.map(|(name, _)| name.clone())
    }

    pub(super) fn required(&self) -> Vec<String> {
        let consumers = self.lock();
        let required = consumers.iter().filter(|(_, consumer)| consumer.required);
        required.map(|(name, _)| name.clone()).collect()
    }

    /// Has best-effort exporters release the records before `end`, and waits
    /// until they have.
    pub(super) async fn release_before(&self, end: Seq) {
        let requests: Vec<oneshot::Receiver<()>> = {
            let consumers = self.lock();
            let best_effort = consumers.values().filter(|consumer| !consumer.required);
            let send = |consumer: &Consumer| {
                let (done, released) = oneshot::channel();
                // An exporter that has stopped holds no records in memory.
                let _ = consumer.releases.send(ReleaseRequest { end, done });
                released
            };
            best_effort.map(send).collect()
        };
        let all = async {
            for released in requests {
                // Nothing is sent: the sender is dropped when the request is done.
                let _ = released.await;
            }
        };
        if timeout(RELEASE_TIMEOUT, all).await.is_err() {
            log::debug!("not every exporter released its oldest records in time");
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Consumer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
