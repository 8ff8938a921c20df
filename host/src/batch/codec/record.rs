//! What a record of the journal has: an encoded batch, or the rows of a small one.

use std::{ops::Range, sync::Arc};

use arrow_array::RecordBatch;

use super::{CodecError, as_payload, decode, is_small};
use crate::batch::memory::{HeldBytes, used_bytes};

/// The batch of a record.
#[derive(Clone, Debug, PartialEq)]
pub enum RecordPayload {
    /// The encoded batch.
    Encoded(Vec<u8>),
    /// The rows of a small batch. The journal encodes those of one transaction together.
    Rows(GroupRows),
}

/// The rows of one batch.
#[derive(Clone, Debug)]
pub struct GroupRows {
    pub rows: RecordBatch,
    /// The memory that is for these rows.
    pub held_bytes: u64,
    /// `None` before they were stored.
    pub part: Option<GroupPart>,
}

/// Where the rows of a batch are in those that are stored together.
#[derive(Clone, Debug)]
pub struct GroupPart {
    pub all: Arc<RecordBatch>,
    pub first_row: usize,
}

impl RecordPayload {
    /// The payload of a new record.
    ///
    /// # Errors
    ///
    /// As [`super::encode`].
    pub fn new(batch: &RecordBatch) -> Result<Self, CodecError> {
        if is_small(batch) {
            return Ok(Self::of_small(batch.clone()));
        }
        super::encode(batch).map(Self::Encoded)
    }

    pub(crate) fn of_small(rows: RecordBatch) -> Self {
        Self::Rows(GroupRows {
            held_bytes: used_bytes(&rows) as u64,
            rows,
            part: None,
        })
    }

    /// Its memory, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Encoded(bytes) => bytes.len() as u64,
            Self::Rows(rows) => rows.held_bytes,
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
            Self::Rows(GroupRows { rows, .. }) => as_payload(&rows),
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
            Self::Rows(rows) => Ok(rows.rows.clone()),
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

impl GroupRows {
    pub(super) fn new(all: &Arc<RecordBatch>, rows: Range<usize>, held: HeldBytes) -> Self {
        Self {
            rows: all.slice(rows.start, rows.len()),
            held_bytes: held.of_rows(rows.len(), all.num_rows()),
            part: Some(GroupPart {
                all: Arc::clone(all),
                first_row: rows.start,
            }),
        }
    }
}

impl PartialEq for GroupRows {
    fn eq(&self, other: &Self) -> bool {
        self.rows == other.rows
    }
}
