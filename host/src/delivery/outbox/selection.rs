//! The rows of one request, and where they are in the journal.

use std::{ops::Range, sync::Arc};

use arrow_schema::ArrowError;
use delfin_plugin_api::Origin;

use super::{in_flight::BatchRows, rows::SendGroup};
use crate::{
    batch::{Header, concat, with_own_texts},
    plugin::{ExportRequest, RequestPart, StoredRows},
};

/// Rows of one batch or of several, in order.
#[derive(Clone, Debug)]
pub(in crate::delivery) struct RowSelection {
    pub(in crate::delivery) group: SendGroup,
    /// From 1.
    pub(in crate::delivery) attempt: u32,
    /// When the first attempt started, in milliseconds since the Unix epoch.
    pub(in crate::delivery) first_attempt_ms: i64,
    parts: Vec<BatchRows>,
}

impl RowSelection {
    pub(super) fn new(
        group: SendGroup,
        parts: Vec<BatchRows>,
        attempt: u32,
        first_attempt_ms: i64,
    ) -> Self {
        Self {
            group,
            attempt,
            first_attempt_ms,
            parts,
        }
    }

    /// Whether it has the same rows as another one.
    pub(super) fn has_rows_of(&self, other: &Self) -> bool {
        let is_same = |one: &BatchRows, other: &BatchRows| {
            Arc::ptr_eq(&one.batch, &other.batch) && one.rows == other.rows
        };
        let parts = self.parts.iter().zip(&other.parts);
        self.parts.len() == other.parts.len()
            && parts.into_iter().all(|(one, other)| is_same(one, other))
    }

    /// The records that it has rows of.
    #[cfg(test)]
    pub(super) fn seqs(&self) -> impl Iterator<Item = u64> {
        self.parts.iter().map(|part| part.batch.stored.seq.0)
    }

    pub(in crate::delivery) fn rows(&self) -> usize {
        self.parts.iter().map(BatchRows::sent_count).sum()
    }

    pub(in crate::delivery) fn items(&self) -> u64 {
        self.parts.iter().map(BatchRows::sent_items).sum()
    }

    /// When the oldest of its batches was accepted, in milliseconds since the
    /// Unix epoch.
    pub(in crate::delivery) fn accepted_ms(&self) -> i64 {
        let times = self.headers().map(|header| header.accepted_ms);
        times.min().unwrap_or_default()
    }

    pub(in crate::delivery) fn batch_ids(&self) -> impl Iterator<Item = uuid::Uuid> {
        self.headers().map(|header| header.batch_id)
    }

    /// The rows in each batch.
    pub(in crate::delivery) fn ranges(&self) -> impl Iterator<Item = (uuid::Uuid, Range<u64>)> {
        self.parts.iter().map(|part| {
            let first = part.first_sent() as u64;
            let end = first + part.sent_count() as u64;
            (part.batch.stored.header.batch_id, first..end)
        })
    }

    /// Where a range of the request's rows is in the batches. A plugin counts the
    /// rows of its request; this maps them back.
    pub(super) fn locate(&self, rows: &Range<usize>) -> impl Iterator<Item = BatchRows> {
        let mut before = 0;
        self.parts.iter().filter_map(move |part| {
            let (first, count) = (before, part.sent_count());
            before += count;
            let start = rows.start.max(first);
            let end = rows.end.min(first + count);
            // A batch without rows is alone in its request.
            (start < end || count == 0)
                .then(|| part.nth_sent(&(start - first..end.max(start) - first)))
        })
    }

    /// The request that the plugin gets.
    ///
    /// # Errors
    ///
    /// The rows do not fit into one Arrow batch.
    pub(in crate::delivery) fn request(&self) -> Result<ExportRequest, ArrowError> {
        let consecutive = self.parts.chunk_by(BatchRows::is_before);
        let slices = consecutive.map(BatchRows::arrow_of);
        let arrow = match slices.collect::<Result<Vec<_>, _>>()?.as_slice() {
            [one] if self.parts.iter().any(BatchRows::is_shared) => with_own_texts(one)?,
            slices => concat(slices)?,
        };
        let parts = self.parts.iter().map(|part| {
            let header = &part.batch.stored.header;
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
                .map_or(Origin::Other, |part| part.batch.origin),
            parts: parts.collect(),
            stored: self.stored(),
        })
    }

    fn stored(&self) -> Option<StoredRows> {
        let first = self.parts.first()?;
        // The payload of a batch that shares its memory would have texts of others.
        let has_own_payload = self.parts.len() == 1 && !first.is_shared();
        let first_row = first.consecutive_from().filter(|_| has_own_payload);
        Some(StoredRows::new(first.batch.stored.clone(), first_row))
    }

    fn headers(&self) -> impl Iterator<Item = &Header> {
        self.parts.iter().map(|part| &part.batch.stored.header)
    }
}
