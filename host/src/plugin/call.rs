//! One call into a plugin: its batch, and the context that the plugin sees.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use abi_stable::std_types::{ROption, RSlice, RStr};
use arrow_array::RecordBatch;
use delfin_plugin_abi::{self as abi, BatchPart};
use delfin_plugin_api::Origin;
use uuid::Uuid;

use crate::journal::Seq;

/// A batch out of the journal, decoded: what exporters share.
#[derive(Debug, Clone)]
pub struct StoredBatch {
    /// Its number in the lane.
    pub seq: Seq,
    /// The receipt that whoever handed it in was given.
    pub batch_id: Uuid,
    /// Where it came from.
    pub origin: Origin,
    /// The one storage that it speaks of.
    pub storage_id: Option<String>,
    /// Whether it is all there is of that storage.
    pub complete: bool,
    /// When it was accepted, in milliseconds since the epoch.
    pub accepted_ms: i64,
    /// How many points or alerts it holds.
    pub items: u64,
    /// The rows.
    pub arrow: RecordBatch,
}

/// What a plugin can ask during one call.
pub(super) struct CallContext<'a> {
    pub(super) deadline: Instant,
    pub(super) cancelled: Arc<AtomicBool>,
    pub(super) attempt: u32,
    pub(super) origin: abi::Origin,
    pub(super) parts: Vec<BatchPart<'a>>,
}

/// What one call sends: rows that were accepted together, or several such runs.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The rows.
    pub arrow: RecordBatch,
    /// How many points or alerts they hold.
    pub items: u64,
    /// Where they came from.
    pub origin: Origin,
    /// What they were accepted as, in order.
    pub parts: Vec<OutgoingPart>,
}

/// Rows of one call that were accepted together.
#[derive(Debug, Clone)]
pub struct OutgoingPart {
    /// The batch that they are of.
    pub batch_id: Uuid,
    /// The first of them, counted in that batch.
    pub first_row: u64,
    /// How many rows.
    pub rows: u64,
    /// When they were accepted, in milliseconds since the epoch.
    pub accepted_ms: i64,
    /// The one storage that they speak of.
    pub storage_id: Option<String>,
    /// Whether they are all there is of that storage.
    pub complete: bool,
}

impl Outgoing {
    pub(super) fn parts(&self) -> Vec<BatchPart<'_>> {
        let parts = self.parts.iter().map(|part| BatchPart {
            batch_id: part.batch_id.into_bytes(),
            first_row: part.first_row,
            rows: part.rows,
            accepted_ms: part.accepted_ms,
            storage_id: RStr::from(part.storage_id.as_deref().unwrap_or_default()),
            complete: part.complete,
        });
        parts.collect()
    }
}

impl abi::Context for CallContext<'_> {
    fn remaining_ns(&self) -> u64 {
        let left = self.deadline.saturating_duration_since(Instant::now());
        u64::try_from(left.as_nanos()).unwrap_or(u64::MAX)
    }

    fn cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    fn attempt(&self) -> u32 {
        self.attempt
    }

    fn origin(&self) -> abi::Origin {
        self.origin
    }

    fn parts(&self) -> RSlice<'_, BatchPart<'_>> {
        RSlice::from_slice(&self.parts)
    }

    fn get_extension(&self, _id: RStr<'_>) -> ROption<abi::ExtensionBox> {
        ROption::RNone
    }
}
