//! What a journal holds: records, each an encoded batch under a number.
//!
//! A payload is opaque here: whoever appends it has encoded it, and whoever
//! reads it decodes it.

use uuid::Uuid;

use crate::batch::{Header, Seq};

/// A record on its way into the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    pub header: Header,
    /// Rows of the batch.
    pub rows: u64,
    /// The encoded batch.
    pub payload: Vec<u8>,
}

/// A record as the journal holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub seq: Seq,
    pub header: Header,
    /// Rows of the batch.
    pub rows: u64,
    /// The encoded batch.
    pub payload: Vec<u8>,
}

/// The journal's word that a batch is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The number that the batch got.
    pub seq: Seq,
    /// The batch that is durable: of a repeated append, the first one's.
    pub batch_id: Uuid,
    /// How many items it holds.
    pub items: u64,
    /// Whether this batch, or another under the same key, was there before.
    pub repeated: bool,
}

/// What became of a batch that the journal still holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchInfo {
    /// Its number.
    pub seq: Seq,
    /// How many rows it has.
    pub rows: u64,
    /// How many items it holds.
    pub items: u64,
    /// When it was accepted, in milliseconds since 1970.
    pub accepted_ms: i64,
    /// What each exporter did with it, in the order of their names; an exporter
    /// that started after the batch is not among them.
    pub exporters: Vec<BatchState>,
}

/// What became of a batch at one exporter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchState {
    /// The exporter's name.
    pub exporter: String,
    /// Whether the exporter is done with every row of the batch.
    pub committed: bool,
    /// How many of its items are among the exporter's dead letters.
    pub dead_lettered: u64,
}
