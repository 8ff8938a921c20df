//! The batch of a record: encoded by itself, or rows that the journal encodes together with others.

use std::{ops::Range, sync::Arc};

use arrow_array::RecordBatch;

use super::{CodecError, MAX_IN_GROUP, as_payload, decode};
use crate::batch::memory::{HeldBytes, used_bytes};

/// The batch of a record.
#[derive(Clone, Debug, PartialEq)]
pub enum RecordPayload {
    /// The encoded batch.
    Encoded(Vec<u8>),
    /// A small batch. The journal encodes those of one transaction together.
    Rows(SmallBatch),
}

/// The rows of a small batch.
#[derive(Clone, Debug)]
pub struct SmallBatch {
    pub(crate) rows: RecordBatch,
    /// The memory that its rows use, or its part of that of the rows that it was read with.
    pub(crate) bytes: u64,
    /// `None` until it was read.
    pub(crate) part: Option<SharedPart>,
}

/// The rows that a batch is stored with, and where its own rows are.
#[derive(Clone, Debug)]
pub(crate) struct SharedPart {
    pub(crate) all: Arc<RecordBatch>,
    pub(crate) held: HeldBytes,
    pub(crate) first_row: usize,
}

impl RecordPayload {
    /// Its memory, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Encoded(bytes) => bytes.len() as u64,
            Self::Rows(batch) => batch.bytes,
        }
    }

    /// The payload as bytes.
    ///
    /// # Errors
    ///
    /// No memory is left.
    pub(crate) fn into_bytes(self) -> Result<Vec<u8>, CodecError> {
        match self {
            Self::Encoded(bytes) => Ok(bytes),
            Self::Rows(batch) => as_payload(&batch.rows),
        }
    }

    /// The rows of the batch.
    ///
    /// # Errors
    ///
    /// As [`decode`].
    pub fn decode(&self) -> Result<RecordBatch, CodecError> {
        match self {
            Self::Encoded(bytes) => decode(bytes),
            Self::Rows(batch) => Ok(batch.rows.clone()),
        }
    }
}

impl Default for RecordPayload {
    fn default() -> Self {
        Self::Encoded(Vec::new())
    }
}

impl From<Vec<u8>> for RecordPayload {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Encoded(bytes)
    }
}

impl SmallBatch {
    /// A batch that is not stored yet; `None` if it is not small.
    #[must_use]
    pub fn new(rows: &RecordBatch) -> Option<Self> {
        let bytes = used_bytes(rows);
        (bytes <= MAX_IN_GROUP).then(|| Self {
            rows: rows.clone(),
            bytes: bytes as u64,
            part: None,
        })
    }

    /// Some of the rows that are stored together.
    pub(super) fn part(all: &Arc<RecordBatch>, held: HeldBytes, rows: Range<usize>) -> Self {
        Self {
            rows: all.slice(rows.start, rows.len()),
            bytes: held.of_rows(rows.len(), all.num_rows()),
            part: Some(SharedPart {
                all: Arc::clone(all),
                held,
                first_row: rows.start,
            }),
        }
    }
}

impl PartialEq for SmallBatch {
    fn eq(&self, other: &Self) -> bool {
        self.rows == other.rows
    }
}
