//! What a journal holds: numbered records, each with a batch.
//!
//! Large batches are encoded and decoded by the journal's caller. Small ones come to it as rows, and it stores those of a
//! transaction together.

use uuid::Uuid;

use crate::batch::{Header, Seq, codec::RecordPayload};

/// A record to append.
#[derive(Clone, Debug, PartialEq)]
pub struct NewRecord {
    pub header: Header,
    /// Rows of the batch.
    pub rows: u64,
    /// The end of the window that the batch was collected for, in milliseconds since the Unix epoch. `None`: the window
    /// is not remembered.
    pub collected_until_ms: Option<i64>,
    pub payload: RecordPayload,
}

/// A record as the journal holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub seq: Seq,
    pub header: Header,
    /// Rows of the batch.
    pub rows: u64,
    pub payload: RecordPayload,
}

/// Confirms that a batch is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub seq: Seq,
    /// The id of the durable batch: for a repeated append, the id of the first one.
    pub batch_id: Uuid,
    pub items: u64,
    /// The journal had this batch, or another one with the same idempotency key or of the same window.
    pub repeated: bool,
}

/// The last window that was collected from a storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CollectedWindow {
    pub(super) storage_id: String,
    /// Its end, in milliseconds since the Unix epoch.
    pub(super) until_ms: i64,
    /// What an append of the window again gets.
    pub(super) receipt: Receipt,
    /// When its batch was accepted, in milliseconds since the Unix epoch.
    pub(super) accepted_ms: i64,
}

/// A batch that the journal still holds, and its state at each exporter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchInfo {
    pub seq: Seq,
    pub rows: u64,
    pub items: u64,
    /// Milliseconds since the Unix epoch.
    pub accepted_ms: i64,
    /// By name. Exporters whose cursor started after the batch, and those that are not
    /// configured, are not included.
    pub exporters: Vec<BatchState>,
}

/// The state of a batch at one exporter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchState {
    pub exporter: String,
    /// Every row of the batch has its disposition.
    pub committed: bool,
    /// Items of the batch in dead letters of the exporter.
    pub dead_lettered: u64,
}

impl NewRecord {
    /// The storage and the end of the window that the batch was collected for.
    pub(super) fn window(&self) -> Option<(&str, i64)> {
        self.header
            .storage_id
            .as_deref()
            .zip(self.collected_until_ms)
    }
}

/// How much one read of a journal returns at most.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimit {
    pub records: u32,
    /// Of payloads.
    pub bytes: usize,
}
