//! What a journal holds: records, each an encoded batch under a number.
//!
//! A payload is opaque here: whoever appends it has encoded it, and whoever
//! reads it decodes it.

use std::fmt;

use delfin_plugin_api::Origin;
use serde::Serialize;
use uuid::Uuid;

/// The number of a record in its lane: it grows, and is never given twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Seq(pub u64);

/// A batch on its way into the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The batch's own name, the same in every lane and on every host.
    pub batch_id: Uuid,
    /// Where the batch came from.
    pub origin: Origin,
    /// The one storage that the batch is about, if it is about one.
    pub storage_id: Option<String>,
    /// Whether the batch holds all there is for its scope.
    pub complete: bool,
    /// When the batch was accepted, in milliseconds since 1970.
    pub accepted_ms: i64,
    /// How many rows the batch has.
    pub rows: u64,
    /// How many points or alerts those rows hold.
    pub items: u64,
    /// The encoded batch.
    pub payload: Vec<u8>,
}

/// A record as the journal holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub seq: Seq,
    /// What was appended.
    pub record: Record,
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
    pub settled: bool,
    /// How many of its items are among the exporter's dead letters.
    pub dead_lettered: u64,
}

impl Seq {
    /// The number after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
