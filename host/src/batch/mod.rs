//! Batches on their way through the host.
//!
//! A driver or a client makes a [`NewBatch`]. Once the journal has accepted it,
//! it has a [`Header`] and a sequence number, and exporters share it as a
//! [`StoredBatch`].
//!
//! Knows nothing of journals, exporters or the network.

pub mod codec;
mod concat;
mod memory;
mod payload;
mod schema;

use std::{fmt, ops::Deref, sync::Arc};

use arrow_array::RecordBatch;
use delfin_plugin_api::{AlertBatch, AlertBatchBuilder, Batch, Kind, Origin, PerformanceBatch};
use serde::Serialize;
use uuid::Uuid;

pub(crate) use concat::{concat, with_own_texts};
pub(crate) use memory::{held_bytes, is_mostly_unused, used_bytes};
pub use payload::{BatchPayload, PayloadPool, PayloadSlot, PayloadStats};
pub(crate) use schema::with_shared_schema;

use crate::memory::BatchBytes;
use codec::{SharedPart, SmallBatch};

/// What a batch costs in addition to its rows: its header, and its place where it is kept.
const RECORD_BYTES: u64 = 512;

/// The sequence number of a record in its journal: it grows, and is never reused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Seq(pub u64);

/// What is known of a batch besides its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The same on every host and in every answer.
    pub batch_id: Uuid,
    pub origin: Origin,
    /// The one storage that all rows are of, if they are of one.
    pub storage_id: Option<String>,
    /// Whether the batch holds every alert of its storage.
    pub complete: bool,
    /// Milliseconds since the Unix epoch.
    pub accepted_ms: i64,
    /// Points or alerts.
    pub items: u64,
}

/// A batch that is not accepted yet.
#[derive(Clone, Debug)]
pub struct NewBatch {
    pub rows: AnyBatch,
    pub origin: Origin,
    /// As [`Header::storage_id`].
    pub storage_id: Option<String>,
    /// As [`Header::complete`].
    pub complete: bool,
}

/// A decoded record of the journal. Exporters share it.
#[derive(Debug)]
pub struct StoredBatch {
    pub seq: Seq,
    pub header: Header,
    pub arrow: RecordBatch,
    /// `None` unless it was read together with others.
    pub(crate) shared: Option<SharedRows>,
    /// All rows, encoded for the processes of exporters.
    pub payload: Arc<PayloadSlot>,
    /// Of its rows.
    held_bytes: u64,
    memory: BatchBytes,
}

/// Where the rows of a batch are in those of all batches that were read together.
#[derive(Clone, Debug)]
pub(crate) struct SharedRows {
    all: Arc<AllRows>,
    pub(crate) first_row: usize,
}

/// The rows of batches that were read together, in the memory of exporters as long as one of them has some.
#[derive(Debug)]
struct AllRows {
    rows: Arc<RecordBatch>,
    memory: BatchBytes,
}

/// A batch that a reader of a journal has. Its memory counts as that of exporters.
#[derive(Debug)]
pub struct ReadBatch(Arc<StoredBatch>);

/// Rows of either kind.
#[expect(
    clippy::large_enum_variant,
    reason = "one exists per batch: its size costs nothing, and a box would be in every caller's way"
)]
#[derive(Clone, Debug)]
pub enum AnyBatch {
    Performance(PerformanceBatch),
    Alerts(AlertBatch),
}

impl Seq {
    /// The sequence number after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl NewBatch {
    /// The complete, empty list of a storage's alerts: every active one has ended.
    #[must_use]
    pub fn all_alerts_ended(storage_id: &str) -> Self {
        Self {
            rows: AlertBatchBuilder::new().build().into(),
            origin: Origin::Sync,
            storage_id: Some(storage_id.to_owned()),
            complete: true,
        }
    }

    /// The header that this batch gets when it is accepted.
    #[must_use]
    pub fn header(&self, batch_id: Uuid, accepted_ms: i64) -> Header {
        Header {
            batch_id,
            origin: self.origin,
            storage_id: self.storage_id.clone(),
            complete: self.complete,
            accepted_ms,
            items: self.rows.items(),
        }
    }
}

impl Header {
    /// The header for some rows of the batch, which hold `items` items. It is not
    /// `complete`: the other rows may hold further alerts of the storage.
    #[must_use]
    pub fn for_part(&self, items: u64) -> Self {
        Self {
            complete: false,
            items,
            ..self.clone()
        }
    }
}

impl StoredBatch {
    #[must_use]
    pub fn new(seq: Seq, header: Header, arrow: RecordBatch, payload: Arc<PayloadSlot>) -> Self {
        let held_bytes = held_bytes(&arrow);
        Self {
            memory: BatchBytes::new(payload.budget(), held_bytes + RECORD_BYTES),
            seq,
            header,
            arrow,
            shared: None,
            payload,
            held_bytes,
        }
    }

    /// A small batch as it was read. `before` is what a batch that was read before it shares with others.
    pub(crate) fn of_small(
        seq: Seq,
        header: Header,
        batch: SmallBatch,
        payload: Arc<PayloadSlot>,
        before: Option<&SharedRows>,
    ) -> Self {
        let Some(part) = batch.part else {
            return Self::new(seq, header, batch.rows, payload);
        };
        let own_bytes = part.held.structs + RECORD_BYTES;
        Self {
            memory: BatchBytes::new(payload.budget(), own_bytes),
            seq,
            header,
            arrow: batch.rows,
            shared: Some(SharedRows::new(part, before, &payload)),
            payload,
            held_bytes: batch.bytes,
        }
    }

    /// The memory that it keeps, in bytes: the buffers behind its rows, and not only
    /// the parts of them that are used; its part of those that it shares.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        self.held_bytes
    }

    fn memory(&self) -> impl Iterator<Item = &BatchBytes> {
        let shared = self.shared.as_ref().map(|shared| &shared.all.memory);
        [&self.memory].into_iter().chain(shared)
    }
}

impl SharedRows {
    fn new(part: SharedPart, before: Option<&Self>, payload: &PayloadSlot) -> Self {
        let known = before.filter(|before| Arc::ptr_eq(&before.all.rows, &part.all));
        let all = match known {
            Some(before) => Arc::clone(&before.all),
            None => Arc::new(AllRows {
                memory: BatchBytes::new(payload.budget(), part.held.all()),
                rows: part.all,
            }),
        };
        Self {
            all,
            first_row: part.first_row,
        }
    }

    /// The rows of all batches.
    pub(crate) fn all(&self) -> &Arc<RecordBatch> {
        &self.all.rows
    }
}

impl ReadBatch {
    #[must_use]
    pub fn new(batch: Arc<StoredBatch>) -> Self {
        batch.memory().for_each(BatchBytes::add_reader);
        Self(batch)
    }
}

impl Clone for ReadBatch {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.0))
    }
}

impl Deref for ReadBatch {
    type Target = StoredBatch;

    fn deref(&self) -> &StoredBatch {
        &self.0
    }
}

impl Drop for ReadBatch {
    fn drop(&mut self) {
        self.0.memory().for_each(BatchBytes::remove_reader);
    }
}

impl AnyBatch {
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Performance(_) => Kind::Performance,
            Self::Alerts(_) => Kind::Alert,
        }
    }

    /// Points or alerts.
    #[must_use]
    pub fn items(&self) -> u64 {
        match self {
            Self::Performance(batch) => batch.items(),
            Self::Alerts(batch) => batch.items(),
        }
    }

    /// Series or alerts.
    #[must_use]
    pub fn row_count(&self) -> usize {
        self.as_arrow().num_rows()
    }

    /// The memory that it keeps, in bytes.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        held_bytes(self.as_arrow())
    }

    /// The Arrow batch, with exactly the frozen columns.
    #[must_use]
    pub fn as_arrow(&self) -> &RecordBatch {
        match self {
            Self::Performance(batch) => batch.as_arrow(),
            Self::Alerts(batch) => batch.as_arrow(),
        }
    }
}

impl From<PerformanceBatch> for AnyBatch {
    fn from(batch: PerformanceBatch) -> Self {
        Self::Performance(batch)
    }
}

impl From<AlertBatch> for AnyBatch {
    fn from(batch: AlertBatch) -> Self {
        Self::Alerts(batch)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
