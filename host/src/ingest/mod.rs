//! Request bodies to batches.
//!
//! A body is either Delfin's JSON or an Arrow IPC stream, plain or compressed.
//! It becomes one batch, or one error that names the first mistake and its item:
//! a body is taken whole or not at all. What it may cost is bounded by [`Limits`]
//! while it is read, not afterwards.
//!
//! Series keep the order of their points, and batches the order of their items.
//!
//! Knows nothing of HTTP but two header values, and stores nothing.

mod arrow;
mod body;
mod error;
mod json;
mod media;
mod rules;

pub use error::IngestError;
pub use media::{Encoding, Format};

use arrow_array::RecordBatch;
use delfin_plugin_api::{AlertBatch, Batch, Kind, PerformanceBatch};

/// A body as it was sent, and what its sender says it is.
#[derive(Clone, Copy, Debug)]
pub struct Payload<'a> {
    /// What the bytes are once they are decompressed.
    pub format: Format,
    /// How they are compressed.
    pub encoding: Encoding,
    /// The bytes.
    pub bytes: &'a [u8],
}

/// What one body may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes after decompression, `api.max_decompressed_bytes`. The columns of a
    /// batch end at 2 GiB, and so does a body, whatever is set here.
    pub max_decompressed_bytes: u64,
    /// Series or alerts, `api.max_rows`.
    pub max_rows: u64,
    /// Bytes of one name, label or other text, `api.max_string_bytes`.
    pub max_string_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_decompressed_bytes: 256 << 20,
            max_rows: 1_000_000,
            max_string_bytes: 64 << 10,
        }
    }
}

/// A batch of either kind.
#[derive(Clone, Debug)]
pub enum AnyBatch {
    /// Series of points.
    Performance(Box<PerformanceBatch>),
    /// Alerts.
    Alert(Box<AlertBatch>),
}

impl AnyBatch {
    /// Which of the two it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Performance(_) => Kind::Performance,
            Self::Alert(_) => Kind::Alert,
        }
    }

    /// How many items it counts as: points, or alerts.
    #[must_use]
    pub fn items(&self) -> u64 {
        match self {
            Self::Performance(batch) => batch.items(),
            Self::Alert(batch) => batch.items(),
        }
    }

    /// How many series or alerts it has.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.as_arrow().num_rows()
    }

    /// The batch as Arrow has it, with exactly the frozen columns.
    #[must_use]
    pub fn as_arrow(&self) -> &RecordBatch {
        match self {
            Self::Performance(batch) => batch.as_arrow(),
            Self::Alert(batch) => batch.as_arrow(),
        }
    }
}

/// Turns a body into a batch of the wanted kind.
///
/// `now_ms`, in milliseconds since the epoch, is when an alert occurred that does
/// not say so itself.
///
/// # Errors
///
/// The body does not hold such a batch, or more than the limits allow.
pub fn parse(
    kind: Kind,
    payload: Payload<'_>,
    limits: &Limits,
    now_ms: i64,
) -> Result<AnyBatch, IngestError> {
    let bytes = body::decompress(payload.bytes, payload.encoding, limits)?;
    if bytes.is_empty() {
        return Err(IngestError::Empty);
    }
    match kind {
        Kind::Performance => {
            let batch = match payload.format {
                Format::Json => json::performance(&bytes, limits),
                Format::ArrowStream => arrow::performance(&bytes, limits),
            };
            batch.map(|batch| AnyBatch::Performance(Box::new(batch)))
        }
        Kind::Alert => {
            let batch = match payload.format {
                Format::Json => json::alerts(&bytes, limits, now_ms),
                Format::ArrowStream => arrow::alerts(&bytes, limits, now_ms),
            };
            batch.map(|batch| AnyBatch::Alert(Box::new(batch)))
        }
    }
}
