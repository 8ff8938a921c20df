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

pub(crate) use concat::concat;
pub(crate) use memory::{held_bytes, is_mostly_unused, used_bytes};
pub use payload::{BatchPayload, PayloadPool, PayloadSlot, PayloadStats};
pub(crate) use schema::with_shared_schema;

use crate::memory::BatchBytes;
use codec::{GroupPart, GroupRows};

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
    /// Where its rows were read, if they are stored with those of others.
    pub part: Option<GroupPart>,
    /// All rows, encoded for the processes of exporters.
    pub payload: Arc<PayloadSlot>,
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
        let rows = GroupRows {
            held_bytes: held_bytes(&arrow),
            rows: arrow,
            part: None,
        };
        Self::of_group(seq, header, rows, payload)
    }

    /// A batch whose rows are stored with those of others.
    #[must_use]
    pub fn of_group(seq: Seq, header: Header, rows: GroupRows, payload: Arc<PayloadSlot>) -> Self {
        Self {
            memory: BatchBytes::new(payload.budget(), rows.held_bytes + RECORD_BYTES),
            seq,
            header,
            arrow: rows.rows,
            part: rows.part,
            payload,
        }
    }

    /// The memory that it keeps, in bytes: the buffers behind its rows, and not only
    /// the parts of them that are used.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        self.memory.bytes() - RECORD_BYTES
    }
}

impl ReadBatch {
    #[must_use]
    pub fn new(batch: Arc<StoredBatch>) -> Self {
        batch.memory.add_reader();
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
        self.0.memory.remove_reader();
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
