//! Tells of appends before readers look for them.

use std::sync::{Arc, OnceLock, Weak};

use uuid::Uuid;

use super::record::Receipt;
use crate::batch::Seq;

/// Learns of the appends of a journal.
pub trait AppendObserver: Send + Sync {
    /// A batch is durable, and no reader knows of it yet. The thread that writes calls this, so that it must not
    /// wait.
    fn appended(&self, batch_id: Uuid, seq: Seq);
}

/// The observer of one journal, once there is one.
#[derive(Clone, Default)]
pub(super) struct ObserverSlot(Arc<OnceLock<Weak<dyn AppendObserver>>>);

impl ObserverSlot {
    /// Sets the observer. A second one is ignored.
    pub(super) fn set(&self, observer: Weak<dyn AppendObserver>) {
        let _ = self.0.set(observer);
    }

    /// Tells the observer of new records; the journal had repeated ones before.
    pub(super) fn notify<'a>(&self, receipts: impl Iterator<Item = &'a Receipt>) {
        let Some(observer) = self.0.get().and_then(Weak::upgrade) else {
            return;
        };
        for receipt in receipts.filter(|receipt| !receipt.repeated) {
            observer.appended(receipt.batch_id, receipt.seq);
        }
    }
}
