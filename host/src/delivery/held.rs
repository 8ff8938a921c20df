//! One record in an exporter's window: its rows, and the pieces of it that are
//! still to be settled.
//!
//! A piece is consecutive rows. Rows that the exporter is not sent ride along in
//! the piece around them, and are settled as filtered with it.

use std::{collections::VecDeque, ops::Range, sync::Arc};

use arrow_array::{Array, ListArray, RecordBatch};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{ArrowError, SchemaRef};
use delfin_plugin_api::Origin;

use super::window::{Group, Size};
use crate::{
    batch::StoredBatch,
    journal::{Position, RowSpan},
};

/// A record, and which of its rows are sent.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) batch: Arc<StoredBatch>,
    /// Where it is said to come from.
    pub(super) origin: Origin,
    /// The rows that are sent, in order; all of them without it.
    kept: Option<Vec<u32>>,
    /// Where each row's points begin; without it each row is an item.
    points: Option<OffsetBuffer<i32>>,
    bytes: u64,
}

/// Consecutive rows of a record.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) record: Arc<Record>,
    pub(super) rows: Range<usize>,
}

/// Rows that are not settled, and the group that they are in once they were sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) rows: Range<usize>,
    pub(super) group: Option<Group>,
}

/// A record and what is left of it.
#[derive(Debug)]
pub(super) struct Held {
    record: Arc<Record>,
    pieces: VecDeque<Piece>,
}

impl Record {
    fn new(batch: Arc<StoredBatch>, kept: Option<Vec<u32>>, replayed: bool) -> Self {
        let points = batch.arrow.column_by_name("timestamps");
        let points = points.and_then(|column| column.as_any().downcast_ref::<ListArray>());
        Self {
            origin: if replayed {
                Origin::Replay
            } else {
                batch.header.origin
            },
            points: points.map(|points| points.offsets().clone()),
            bytes: batch.row_bytes(),
            kept,
            batch,
        }
    }

    /// The items of rows, whether they are sent or not.
    fn all_items(&self, rows: &Range<usize>) -> u64 {
        match &self.points {
            Some(points) => u64::from((points[rows.end] - points[rows.start]).unsigned_abs()),
            None => rows.len() as u64,
        }
    }

    fn sent_items(&self, rows: &Range<usize>) -> u64 {
        if self.kept.is_none() {
            return self.all_items(rows);
        }
        let items = self.sent(rows).iter();
        items
            .map(|&row| self.all_items(&(row as usize..row as usize + 1)))
            .sum()
    }

    /// Which of these rows are sent, if not all of them are.
    fn sent(&self, rows: &Range<usize>) -> &[u32] {
        let Some(kept) = &self.kept else {
            return &[];
        };
        let at = |row: usize| kept.partition_point(|&kept| (kept as usize) < row);
        &kept[at(rows.start)..at(rows.end)]
    }

    fn sent_count(&self, rows: &Range<usize>) -> usize {
        if self.kept.is_none() {
            rows.len()
        } else {
            self.sent(rows).len()
        }
    }

    /// The row that is the n-th of those that are sent.
    fn nth_sent(&self, rows: &Range<usize>, n: usize) -> usize {
        match self.sent(rows).get(n) {
            Some(&row) => row as usize,
            None => (rows.start + n).min(rows.end),
        }
    }
}

impl Part {
    /// Of this part, those rows.
    pub(super) fn within(&self, rows: Range<usize>) -> Self {
        Self {
            record: Arc::clone(&self.record),
            rows,
        }
    }

    /// The first row that is sent.
    pub(super) fn first_sent(&self) -> usize {
        self.record.nth_sent(&self.rows, 0)
    }

    /// How many rows are sent.
    pub(super) fn sent_count(&self) -> usize {
        self.record.sent_count(&self.rows)
    }

    /// How many items are sent.
    pub(super) fn sent_items(&self) -> u64 {
        self.record.sent_items(&self.rows)
    }

    /// How many items there are, sent or not.
    pub(super) fn all_items(&self) -> u64 {
        self.record.all_items(&self.rows)
    }

    /// Of the rows that are sent, those, with what rides along.
    pub(super) fn nth(&self, sent: &Range<usize>) -> Self {
        let start = if sent.start == 0 {
            self.rows.start
        } else {
            self.record.nth_sent(&self.rows, sent.start)
        };
        let end = if sent.end >= self.sent_count() {
            self.rows.end
        } else {
            self.record.nth_sent(&self.rows, sent.end)
        };
        self.within(start..end)
    }

    /// Whether it is all of a record.
    pub(super) fn is_whole(&self) -> bool {
        self.rows == (0..self.record.batch.arrow.num_rows()) && self.record.kept.is_none()
    }

    /// The rows that are sent.
    pub(super) fn arrow(&self) -> Result<RecordBatch, ArrowError> {
        let arrow = &self.record.batch.arrow;
        if self.record.kept.is_none() {
            return Ok(arrow.slice(self.rows.start, self.rows.len()));
        }
        let rows = self.record.sent(&self.rows).to_vec();
        arrow_select::take::take_record_batch(arrow, &arrow_array::UInt32Array::from(rows))
    }

    pub(super) fn span(&self) -> RowSpan {
        RowSpan {
            seq: self.record.batch.seq,
            first_row: self.rows.start as u64,
            rows: self.rows.len() as u64,
            items: self.all_items(),
        }
    }
}

impl Held {
    pub(super) fn new(batch: Arc<StoredBatch>, kept: Option<Vec<u32>>, replayed: bool) -> Self {
        let whole = Piece {
            rows: 0..batch.arrow.num_rows(),
            group: None,
        };
        Self {
            record: Arc::new(Record::new(batch, kept, replayed)),
            pieces: VecDeque::from([whole]),
        }
    }

    pub(super) fn batch(&self) -> &Arc<StoredBatch> {
        &self.record.batch
    }

    /// The storage whose order is kept.
    pub(super) fn key(&self) -> Option<&str> {
        self.record.batch.header.storage_id.as_deref()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.record.bytes
    }

    pub(super) fn pieces(&self) -> impl Iterator<Item = &Piece> {
        self.pieces.iter()
    }

    pub(super) fn piece_count(&self) -> usize {
        self.pieces.len()
    }

    pub(super) fn piece(&self, index: usize) -> &Piece {
        &self.pieces[index]
    }

    pub(super) fn size(&self, rows: &Range<usize>) -> Size {
        Size {
            items: self.record.sent_items(rows),
            bytes: self.bytes_per_row() * self.record.sent_count(rows) as u64,
        }
    }

    /// Whether somebody asked for it once more.
    pub(super) fn is_replayed(&self) -> bool {
        self.record.origin == Origin::Replay
    }

    /// All of the record.
    pub(super) fn whole(&self) -> Part {
        Part {
            record: Arc::clone(&self.record),
            rows: 0..self.batch().arrow.num_rows(),
        }
    }

    /// The pieces of a group.
    pub(super) fn parts(&self, group: Group) -> impl Iterator<Item = Part> {
        let pieces = self
            .pieces()
            .filter(move |piece| piece.group == Some(group));
        pieces.map(|piece| Part {
            record: Arc::clone(&self.record),
            rows: piece.rows.clone(),
        })
    }

    /// Where its first row is that is not settled.
    pub(super) fn position(&self) -> Position {
        let row = self.pieces.front().map_or(0, |piece| piece.rows.start);
        Position {
            seq: self.batch().seq,
            row: row as u64,
            items: self.record.all_items(&(0..row)),
        }
    }

    /// What two records have in common that can go into one call.
    pub(super) fn like(&self) -> (SchemaRef, Origin) {
        (self.batch().arrow.schema(), self.record.origin)
    }

    pub(super) fn is_like(&self, (schema, origin): &(SchemaRef, Origin)) -> bool {
        let arrow = &self.batch().arrow;
        arrow.num_rows() > 0 && self.record.origin == *origin && arrow.schema_ref() == schema
    }

    /// Takes rows out of the pieces; says which of them were in one.
    pub(super) fn settle(&mut self, rows: Range<usize>) -> Vec<Range<usize>> {
        let (mut left, mut taken) = (VecDeque::with_capacity(self.pieces.len()), Vec::new());
        for piece in self.pieces.drain(..) {
            let start = piece.rows.start.max(rows.start);
            let end = piece.rows.end.min(rows.end);
            let is_empty_record = piece.rows.is_empty() && piece.rows == rows;
            if start >= end && !is_empty_record {
                left.push_back(piece);
                continue;
            }
            let around = [piece.rows.start..start, end..piece.rows.end];
            let pieces = around.into_iter().filter(|rows| !rows.is_empty());
            left.extend(pieces.map(|rows| Piece {
                rows,
                group: piece.group,
            }));
            taken.push(start..end);
        }
        self.pieces = left;
        taken
    }

    /// Cuts a piece so that it is not larger than that, unless it is one row.
    pub(super) fn cut(&mut self, index: usize, size: Size) {
        let rows = self.pieces[index].rows.clone();
        let fits = |sent: usize| {
            let end = self.record.nth_sent(&rows, sent);
            let part = self.size(&(rows.start..end));
            part.items <= size.items && part.bytes <= size.bytes
        };
        let sent = self.record.sent_count(&rows);
        if sent < 2 || fits(sent) {
            return;
        }
        // The most rows that fit; each further row makes it larger.
        let (mut most, mut too_many) = (1, sent);
        while too_many - most > 1 {
            let middle = usize::midpoint(most, too_many);
            if fits(middle) {
                most = middle;
            } else {
                too_many = middle;
            }
        }
        self.cut_at(index, most);
    }

    /// Puts a piece into a group if there is room left for it; it is the first
    /// one if nothing was taken yet.
    pub(super) fn take(
        &mut self,
        index: usize,
        group: Group,
        left: &mut Size,
        first: bool,
    ) -> bool {
        let size = self.size(&self.pieces[index].rows);
        if !first && (size.items > left.items || size.bytes > left.bytes) {
            return false;
        }
        left.items = left.items.saturating_sub(size.items);
        left.bytes = left.bytes.saturating_sub(size.bytes);
        self.pieces[index].group = Some(group);
        true
    }

    /// Puts the pieces of a group into another one.
    pub(super) fn rename(&mut self, group: Group, to: Group) {
        for piece in self
            .pieces
            .iter_mut()
            .filter(|piece| piece.group == Some(group))
        {
            piece.group = Some(to);
        }
    }

    /// Puts that many rows of a group into the first of two, the rest into the second.
    pub(super) fn split(&mut self, group: Group, left: &mut usize, halves: [Group; 2]) {
        let mut index = 0;
        while index < self.pieces.len() {
            if self.pieces[index].group == Some(group) {
                let sent = self.record.sent_count(&self.pieces[index].rows);
                if *left == 0 {
                    self.pieces[index].group = Some(halves[1]);
                } else {
                    if sent > *left {
                        self.cut_at(index, *left);
                    }
                    self.pieces[index].group = Some(halves[0]);
                    *left = left.saturating_sub(sent);
                }
            }
            index += 1;
        }
    }

    /// Sends only these rows from now on; says which pieces have none left.
    pub(super) fn narrow(&mut self, wanted: &[u32]) -> Vec<Range<usize>> {
        let keep = |row: &u32| wanted.binary_search(row).is_ok();
        let kept = match &self.record.kept {
            Some(kept) => kept.iter().copied().filter(keep).collect(),
            None => wanted.to_vec(),
        };
        self.record = Arc::new(Record {
            batch: Arc::clone(&self.record.batch),
            kept: Some(kept),
            points: self.record.points.clone(),
            ..*self.record
        });
        let record = &self.record;
        let mut gone = Vec::new();
        self.pieces.retain(|piece| {
            let any = record.sent_count(&piece.rows) > 0;
            if !any {
                gone.push(piece.rows.clone());
            }
            any
        });
        gone
    }

    /// Cuts a piece behind that many of its rows that are sent.
    fn cut_at(&mut self, index: usize, sent: usize) {
        let piece = self.pieces[index].clone();
        let middle = self.record.nth_sent(&piece.rows, sent);
        self.pieces[index].rows.end = middle;
        let rest = Piece {
            rows: middle..piece.rows.end,
            group: piece.group,
        };
        self.pieces.insert(index + 1, rest);
    }

    fn bytes_per_row(&self) -> u64 {
        let rows = self.batch().arrow.num_rows().max(1) as u64;
        (self.record.bytes / rows).max(1)
    }
}
