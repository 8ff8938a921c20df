//! The appends that wait for the writer of the log.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::append::PendingAppend;
use super::client::BrokerFailure;
use super::shared::OwnerState;

/// Of one batch of records, unless a single one is larger.
const MAX_GROUP_BYTES: u64 = 8 << 20;
const MAX_GROUP: usize = 1024;

pub(super) struct AppendQueue(mpsc::UnboundedReceiver<PendingAppend>);

/// Tells when a broker keeps the writer waiting, and takes note of it.
pub(super) struct BrokerWatch {
    pub(super) shared: Arc<OwnerState>,
    pub(super) topic: String,
    pub(super) silent: watch::Receiver<Option<BrokerFailure>>,
}

impl AppendQueue {
    pub(super) const fn new(appends: mpsc::UnboundedReceiver<PendingAppend>) -> Self {
        Self(appends)
    }

    /// The next append, with those that have arrived. `None`: no caller is left.
    pub(super) async fn next_group(&mut self) -> Option<Vec<PendingAppend>> {
        let first = self.0.recv().await?;
        let mut bytes = first.entry.bytes;
        let mut group = vec![first];
        while group.len() < MAX_GROUP
            && bytes < MAX_GROUP_BYTES
            && let Ok(append) = self.0.try_recv()
        {
            bytes += append.entry.bytes;
            group.push(append);
        }
        Some(group)
    }

    /// Refuses every append until some work is done. `None`: no caller is left.
    pub(super) async fn refuse_during<T>(
        &mut self,
        reason: &str,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Some(done),
                append = self.0.recv() => append?.fail(reason),
            }
        }
    }

    /// Lets appends wait for some work, and refuses them once a broker keeps it waiting: their clients can ask another host.
    pub(super) async fn hold_during<T>(
        &mut self,
        mut broker: BrokerWatch,
        work: impl Future<Output = T>,
    ) -> T {
        let mut work = pin!(work);
        let reason = tokio::select! {
            biased;
            done = &mut work => return done,
            reason = broker.slow() => reason,
        };
        match self.refuse_during(&reason, &mut work).await {
            Some(done) => done,
            None => work.await,
        }
    }
}

impl BrokerWatch {
    /// Completes when a broker keeps the writer waiting. Returns the reason.
    async fn slow(&mut self) -> String {
        let silent = self.silent.wait_for(Option::is_some).await;
        let Some(failure) = silent.ok().and_then(|silent| silent.clone()) else {
            // The client is gone, and the work with it.
            return std::future::pending().await;
        };
        let reason = failure.to_string();
        if self.shared.note_fault(&reason) {
            log::warn!(topic = self.topic; "journal waits for a broker: {reason}");
        }
        reason
    }
}
