//! What one call carries: rows of one record or of several, in order.

use std::ops::Range;

use arrow_schema::ArrowError;
use delfin_plugin_api::Origin;

use super::{held::Part, window::Group};
use crate::{
    batch::Header,
    plugin::{ExportRequest, RequestPart},
};

/// The rows of one call, and which of an exporter's records they are.
#[derive(Clone, Debug)]
pub(super) struct Shipment {
    pub(super) group: Group,
    /// Which try it is, from 1.
    pub(super) attempt: u32,
    /// When the first one was, in milliseconds since the epoch.
    pub(super) first_ms: i64,
    parts: Vec<Part>,
}

impl Shipment {
    pub(super) fn new(group: Group, parts: Vec<Part>, attempt: u32, first_ms: i64) -> Self {
        Self {
            group,
            attempt,
            first_ms,
            parts,
        }
    }

    /// How many rows are sent.
    pub(super) fn rows(&self) -> usize {
        self.parts.iter().map(Part::sent_count).sum()
    }

    /// How many items are sent.
    pub(super) fn items(&self) -> u64 {
        self.parts.iter().map(Part::sent_items).sum()
    }

    /// When the oldest of it was accepted, in milliseconds since the epoch.
    pub(super) fn accepted_ms(&self) -> i64 {
        let times = self
            .parts
            .iter()
            .map(|part| part.record.batch.header.accepted_ms);
        times.min().unwrap_or_default()
    }

    /// The batches that it is of.
    pub(super) fn batch_ids(&self) -> impl Iterator<Item = uuid::Uuid> {
        self.parts
            .iter()
            .map(|part| part.record.batch.header.batch_id)
    }

    /// Of the rows as they are sent, those: where they are in their records.
    pub(super) fn parts_of(&self, rows: &Range<usize>) -> impl Iterator<Item = Part> {
        let mut before = 0;
        self.parts.iter().filter_map(move |part| {
            let (first, count) = (before, part.sent_count());
            before += count;
            let start = rows.start.max(first);
            let end = rows.end.min(first + count);
            // A record without rows is alone in its call.
            (start < end || count == 0).then(|| part.nth(&(start - first..end.max(start) - first)))
        })
    }

    /// What the plugin is handed.
    ///
    /// # Errors
    ///
    /// The rows do not fit into one batch.
    pub(super) fn outgoing(&self) -> Result<ExportRequest, ArrowError> {
        let pieces = self.parts.iter().map(Part::arrow);
        let pieces = pieces.collect::<Result<Vec<_>, _>>()?;
        let arrow = match &*pieces {
            [one] => one.clone(),
            [first, ..] => arrow_select::concat::concat_batches(&first.schema(), &pieces)?,
            [] => return Err(ArrowError::InvalidArgumentError("no rows".to_owned())),
        };
        let parts = self.parts.iter().map(|part| {
            let header = &part.record.batch.header;
            RequestPart {
                header: Header {
                    complete: header.complete && part.is_whole(),
                    ..header.clone()
                },
                first_row: part.first_sent() as u64,
                rows: part.sent_count() as u64,
            }
        });
        Ok(ExportRequest {
            arrow,
            items: self.items(),
            origin: self
                .parts
                .first()
                .map_or(Origin::Other, |part| part.record.origin),
            parts: parts.collect(),
        })
    }
}
