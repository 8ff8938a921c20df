//! Appends of callers: which of them are new, and what they get.

use std::collections::HashSet;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::entry::BatchEntry;
use crate::journal::{AppendError, NewRecord, Receipt};

/// An append that a caller waits for.
pub(super) struct PendingAppend {
    /// The term and the sequence number are set when it is written.
    pub(super) entry: BatchEntry,
    pub(super) payload: Bytes,
    caller: oneshot::Sender<Result<Receipt, AppendError>>,
}

/// The appends that are written together.
#[derive(Default)]
pub(super) struct AppendGroup {
    pub(super) appends: Vec<PendingAppend>,
    /// Appends of a batch, a key or a window that the group has already.
    pub(super) repeated: Vec<PendingAppend>,
    batches: HashSet<uuid::Uuid>,
    keys: HashSet<String>,
    windows: HashSet<(String, i64)>,
    pub(super) bytes: u64,
}

impl PendingAppend {
    /// Encodes the record, and tells the caller if that is impossible.
    pub(super) fn new(
        mut record: NewRecord,
        key: Option<String>,
        caller: oneshot::Sender<Result<Receipt, AppendError>>,
    ) -> Option<Self> {
        match std::mem::take(&mut record.payload).into_bytes() {
            Ok(payload) => Some(Self {
                entry: BatchEntry::new(record, payload.len() as u64, key),
                payload: payload.into(),
                caller,
            }),
            Err(error) => {
                let reason = error.to_string();
                // A caller that dropped its future does not need the result.
                let _ = caller.send(Err(AppendError::Unfit { reason }));
                None
            }
        }
    }

    pub(super) fn reply(self, result: Result<Receipt, AppendError>) {
        // A caller that dropped its future does not need the result.
        let _ = self.caller.send(result);
    }

    pub(super) fn fail(self, reason: &str) {
        let reason = reason.to_owned();
        self.reply(Err(AppendError::Remote { reason }));
    }
}

impl AppendGroup {
    /// Adds an append that the journal does not have yet.
    pub(super) fn push(&mut self, append: PendingAppend) {
        let entry = &append.entry;
        let is_new = self.batches.insert(entry.header.batch_id)
            && entry
                .key
                .as_ref()
                .is_none_or(|key| self.keys.insert(key.clone()))
            && entry
                .window()
                .is_none_or(|(id, end)| self.windows.insert((id.to_owned(), end)));
        if is_new {
            self.bytes += append.entry.bytes;
            self.appends.push(append);
        } else {
            self.repeated.push(append);
        }
    }
}
