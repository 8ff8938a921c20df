//! One batch that is read and not committed: its rows, and which of them are
//! still pending.
//!
//! Pending rows are kept as ranges of consecutive rows. Rows that the exporter's
//! filter keeps back stay in the range around them, and are committed as
//! filtered together with it. So a range of a batch is described by its first
//! and last row alone, with any filter.

use std::{collections::VecDeque, ops::Range, sync::Arc};

use arrow_array::{Array, ListArray, RecordBatch};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{ArrowError, SchemaRef};
use delfin_plugin_api::Origin;

use super::rows::{PendingRows, RequestSize, SendGroup};
use crate::{
    batch::ReadBatch,
    journal::{Position, RowSpan},
};

/// A batch, and which of its rows are sent.
#[derive(Debug)]
pub(super) struct SelectedBatch {
    pub(super) stored: ReadBatch,
    /// `Replay` if the batch is replayed.
    pub(super) origin: Origin,
    /// The rows that are sent, in ascending order; `None`: all rows.
    sent: Option<Vec<u32>>,
    /// Where the points of each row start; `None`: each row is one item.
    points: Option<OffsetBuffer<i32>>,
    bytes: u64,
}

/// Consecutive rows of a batch.
#[derive(Clone, Debug)]
pub(super) struct BatchRows {
    pub(super) batch: Arc<SelectedBatch>,
    pub(super) rows: Range<usize>,
}

/// A batch and its pending rows.
#[derive(Clone, Debug)]
pub(super) struct InFlightBatch {
    batch: Arc<SelectedBatch>,
    pending: VecDeque<PendingRows>,
}

impl SelectedBatch {
    fn new(stored: ReadBatch, sent: Option<Vec<u32>>, replayed: bool) -> Self {
        let points = stored.arrow.column_by_name("timestamps");
        let points = points.and_then(|column| column.as_any().downcast_ref::<ListArray>());
        Self {
            origin: if replayed {
                Origin::Replay
            } else {
                stored.header.origin
            },
            points: points.map(|points| points.offsets().clone()),
            bytes: stored.held_bytes(),
            sent,
            stored,
        }
    }

    /// Items of rows, sent or filtered.
    fn all_items(&self, rows: &Range<usize>) -> u64 {
        match &self.points {
            Some(points) => u64::from((points[rows.end] - points[rows.start]).unsigned_abs()),
            None => rows.len() as u64,
        }
    }

    /// Items of the rows that are sent.
    fn sent_items(&self, rows: &Range<usize>) -> u64 {
        if self.sent.is_none() {
            return self.all_items(rows);
        }
        let items = self.sent_rows(rows).iter();
        items
            .map(|&row| self.all_items(&(row as usize..row as usize + 1)))
            .sum()
    }

    /// The rows in a range that are sent; empty if all of them are.
    fn sent_rows(&self, rows: &Range<usize>) -> &[u32] {
        let Some(sent) = &self.sent else {
            return &[];
        };
        let index = |row: usize| sent.partition_point(|&sent| (sent as usize) < row);
        &sent[index(rows.start)..index(rows.end)]
    }

    fn sent_count(&self, rows: &Range<usize>) -> usize {
        if self.sent.is_none() {
            rows.len()
        } else {
            self.sent_rows(rows).len()
        }
    }

    /// The row that is the n-th of those that are sent.
    fn nth_sent(&self, rows: &Range<usize>, n: usize) -> usize {
        match self.sent_rows(rows).get(n) {
            Some(&row) => row as usize,
            None => (rows.start + n).min(rows.end),
        }
    }
}

impl BatchRows {
    /// Other rows of the same batch.
    pub(super) fn with_rows(&self, rows: Range<usize>) -> Self {
        Self {
            batch: Arc::clone(&self.batch),
            rows,
        }
    }

    /// The first row that is sent.
    pub(super) fn first_sent(&self) -> usize {
        self.batch.nth_sent(&self.rows, 0)
    }

    pub(super) fn sent_count(&self) -> usize {
        self.batch.sent_count(&self.rows)
    }

    pub(super) fn sent_items(&self) -> u64 {
        self.batch.sent_items(&self.rows)
    }

    /// Items of all rows, sent or filtered.
    pub(super) fn all_items(&self) -> u64 {
        self.batch.all_items(&self.rows)
    }

    /// From the n-th to the m-th row that is sent, with the filtered rows around.
    /// The first and the last of such ranges take what is filtered before and
    /// after them, so that together they hold every row.
    pub(super) fn nth_sent(&self, sent: &Range<usize>) -> Self {
        let start = if sent.start == 0 {
            self.rows.start
        } else {
            self.batch.nth_sent(&self.rows, sent.start)
        };
        let end = if sent.end >= self.sent_count() {
            self.rows.end
        } else {
            self.batch.nth_sent(&self.rows, sent.end)
        };
        self.with_rows(start..end)
    }

    /// Whether these are all rows of the batch, none filtered.
    pub(super) fn is_whole(&self) -> bool {
        self.rows == (0..self.batch.stored.arrow.num_rows()) && self.batch.sent.is_none()
    }

    /// The first row that is sent, if the rows that are sent are consecutive.
    pub(super) fn consecutive_from(&self) -> Option<usize> {
        let first = self.first_sent();
        let count = self.sent_count();
        let last = self.batch.nth_sent(&self.rows, count.saturating_sub(1));
        (count == 0 || last - first == count - 1).then_some(first)
    }

    /// The rows that are sent. Copies only where a filter leaves gaps.
    pub(super) fn arrow(&self) -> Result<RecordBatch, ArrowError> {
        let arrow = &self.batch.stored.arrow;
        if self.batch.sent.is_none() {
            return Ok(arrow.slice(self.rows.start, self.rows.len()));
        }
        let rows = self.batch.sent_rows(&self.rows).to_vec();
        arrow_select::take::take_record_batch(arrow, &arrow_array::UInt32Array::from(rows))
    }

    /// The rows of consecutive parts: [`Self::is_before`] is true for each and the next one.
    pub(super) fn arrow_of(parts: &[Self]) -> Result<RecordBatch, ArrowError> {
        let (first, rows) = (&parts[0], parts.iter().map(Self::sent_count).sum());
        match first.shared_rows() {
            Some((all, first)) => Ok(all.slice(first.start, rows)),
            None => first.arrow(),
        }
    }

    /// Whether other rows follow these among the rows that were read together.
    pub(super) fn is_before(&self, other: &Self) -> bool {
        let both = self.shared_rows().zip(other.shared_rows());
        both.is_some_and(|((all, rows), (other_all, other_rows))| {
            Arc::ptr_eq(all, other_all) && rows.end == other_rows.start
        })
    }

    /// Whether they are in memory with rows of other batches.
    pub(super) fn is_shared(&self) -> bool {
        self.batch.stored.shared.is_some()
    }

    /// The rows that were read together, and which of them these are; `None` if not all of these are sent.
    fn shared_rows(&self) -> Option<(&Arc<RecordBatch>, Range<usize>)> {
        let shared = self.batch.stored.shared.as_ref()?;
        let first = shared.first_row + self.rows.start;
        let rows = first..first + self.rows.len();
        self.batch.sent.is_none().then_some((shared.all(), rows))
    }

    pub(super) fn span(&self) -> RowSpan {
        RowSpan {
            seq: self.batch.stored.seq,
            first_row: self.rows.start as u64,
            rows: self.rows.len() as u64,
            items: self.all_items(),
        }
    }
}

impl InFlightBatch {
    pub(super) fn new(stored: ReadBatch, sent: Option<Vec<u32>>, replayed: bool) -> Self {
        let whole = PendingRows {
            rows: 0..stored.arrow.num_rows(),
            group: None,
        };
        Self {
            batch: Arc::new(SelectedBatch::new(stored, sent, replayed)),
            pending: VecDeque::from([whole]),
        }
    }

    pub(super) fn stored(&self) -> &ReadBatch {
        &self.batch.stored
    }

    /// The storage whose order is kept.
    pub(super) fn ordering_key(&self) -> Option<&str> {
        self.batch.stored.header.storage_id.as_deref()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.batch.bytes
    }

    pub(super) fn pending(&self) -> impl Iterator<Item = &PendingRows> {
        self.pending.iter()
    }

    pub(super) fn pending_count(&self) -> usize {
        self.pending.len()
    }

    pub(super) fn pending_rows(&self, index: usize) -> &PendingRows {
        &self.pending[index]
    }

    pub(super) fn size(&self, rows: &Range<usize>) -> RequestSize {
        RequestSize {
            items: self.batch.sent_items(rows),
            bytes: self.bytes_per_row() * self.batch.sent_count(rows) as u64,
        }
    }

    pub(super) fn is_replayed(&self) -> bool {
        self.batch.origin == Origin::Replay
    }

    /// All rows of the batch.
    pub(super) fn whole(&self) -> BatchRows {
        BatchRows {
            batch: Arc::clone(&self.batch),
            rows: 0..self.stored().arrow.num_rows(),
        }
    }

    /// The pending rows of a group.
    pub(super) fn rows_of(&self, group: SendGroup) -> impl Iterator<Item = BatchRows> {
        let of_group = self
            .pending()
            .filter(move |pending| pending.group == Some(group));
        of_group.map(|pending| BatchRows {
            batch: Arc::clone(&self.batch),
            rows: pending.rows.clone(),
        })
    }

    /// The position of the first pending row.
    pub(super) fn position(&self) -> Position {
        let row = self.pending.front().map_or(0, |pending| pending.rows.start);
        Position {
            seq: self.stored().seq,
            row: row as u64,
            items: self.batch.all_items(&(0..row)),
        }
    }

    /// What batches must have in common to share a request.
    pub(super) fn merge_key(&self) -> (SchemaRef, Origin) {
        (self.stored().arrow.schema(), self.batch.origin)
    }

    pub(super) fn merges_with(&self, (schema, origin): &(SchemaRef, Origin)) -> bool {
        let arrow = &self.stored().arrow;
        arrow.num_rows() > 0 && self.batch.origin == *origin && arrow.schema_ref() == schema
    }

    /// Removes rows from the pending ones. Returns the ranges that were pending.
    pub(super) fn remove(&mut self, rows: Range<usize>) -> Vec<Range<usize>> {
        let (mut left, mut removed) = (VecDeque::with_capacity(self.pending.len()), Vec::new());
        for pending in self.pending.drain(..) {
            let start = pending.rows.start.max(rows.start);
            let end = pending.rows.end.min(rows.end);
            // A batch without rows has one empty range, which is removed like any other.
            let is_empty_batch = pending.rows.is_empty() && pending.rows == rows;
            if start >= end && !is_empty_batch {
                left.push_back(pending);
                continue;
            }
            let around = [pending.rows.start..start, end..pending.rows.end];
            let rest = around.into_iter().filter(|rows| !rows.is_empty());
            left.extend(rest.map(|rows| PendingRows {
                rows,
                group: pending.group,
            }));
            removed.push(start..end);
        }
        self.pending = left;
        removed
    }

    /// Cuts a pending range so that its first part is at most of this size. One
    /// row is never cut.
    pub(super) fn cut(&mut self, index: usize, size: RequestSize) {
        let rows = self.pending[index].rows.clone();
        let fits = |sent: usize| {
            let end = self.batch.nth_sent(&rows, sent);
            let part = self.size(&(rows.start..end));
            part.items <= size.items && part.bytes <= size.bytes
        };
        let sent = self.batch.sent_count(&rows);
        if sent < 2 || fits(sent) {
            return;
        }
        // Binary search for the most rows that fit: the size grows with each row,
        // and rows may differ much in their number of points.
        let (mut fitting, mut too_many) = (1, sent);
        while too_many - fitting > 1 {
            let middle = usize::midpoint(fitting, too_many);
            if fits(middle) {
                fitting = middle;
            } else {
                too_many = middle;
            }
        }
        self.cut_after(index, fitting);
    }

    /// Adds a pending range to a group if `room` is left for it. The first range
    /// of a group is always added.
    pub(super) fn assign(
        &mut self,
        index: usize,
        group: SendGroup,
        room: &mut RequestSize,
        is_first: bool,
    ) -> bool {
        let size = self.size(&self.pending[index].rows);
        if !is_first && (size.items > room.items || size.bytes > room.bytes) {
            return false;
        }
        room.items = room.items.saturating_sub(size.items);
        room.bytes = room.bytes.saturating_sub(size.bytes);
        self.pending[index].group = Some(group);
        true
    }

    /// Moves the pending rows of a group to another one.
    pub(super) fn move_group(&mut self, group: SendGroup, to: SendGroup) {
        for pending in self
            .pending
            .iter_mut()
            .filter(|pending| pending.group == Some(group))
        {
            pending.group = Some(to);
        }
    }

    /// Removes the pending rows of a group.
    pub(super) fn remove_group(&mut self, group: SendGroup) {
        self.pending.retain(|pending| pending.group != Some(group));
    }

    /// Moves the rows of a group into two halves: the first `left` rows, counted
    /// over all batches of the group, into the first half.
    pub(super) fn split(&mut self, group: SendGroup, left: &mut usize, halves: [SendGroup; 2]) {
        let mut index = 0;
        while index < self.pending.len() {
            if self.pending[index].group == Some(group) {
                let sent = self.batch.sent_count(&self.pending[index].rows);
                if *left == 0 {
                    self.pending[index].group = Some(halves[1]);
                } else {
                    // The cut-off rest follows as a range of its own, still in `group`.
                    if sent > *left {
                        self.cut_after(index, *left);
                    }
                    self.pending[index].group = Some(halves[0]);
                    *left = left.saturating_sub(sent);
                }
            }
            index += 1;
        }
    }

    /// Sends only these rows from now on. Returns the ranges in which no row is
    /// left to send.
    pub(super) fn restrict(&mut self, wanted: &[u32]) -> Vec<Range<usize>> {
        let is_wanted = |row: &u32| wanted.binary_search(row).is_ok();
        let sent = match &self.batch.sent {
            Some(sent) => sent.iter().copied().filter(is_wanted).collect(),
            None => wanted.to_vec(),
        };
        self.batch = Arc::new(SelectedBatch {
            stored: self.batch.stored.clone(),
            sent: Some(sent),
            points: self.batch.points.clone(),
            ..*self.batch
        });
        let batch = &self.batch;
        let mut without_rows = Vec::new();
        self.pending.retain(|pending| {
            let has_rows = batch.sent_count(&pending.rows) > 0;
            if !has_rows {
                without_rows.push(pending.rows.clone());
            }
            has_rows
        });
        without_rows
    }

    /// Cuts a pending range after that many of its rows that are sent.
    fn cut_after(&mut self, index: usize, sent: usize) {
        let pending = self.pending[index].clone();
        let middle = self.batch.nth_sent(&pending.rows, sent);
        self.pending[index].rows.end = middle;
        let rest = PendingRows {
            rows: middle..pending.rows.end,
            group: pending.group,
        };
        self.pending.insert(index + 1, rest);
    }

    fn bytes_per_row(&self) -> u64 {
        let rows = self.stored().arrow.num_rows().max(1) as u64;
        (self.batch.bytes / rows).max(1)
    }
}
