//! The rows of a record batch, and which items of the body they are.

use std::collections::BTreeSet;

use arrow_array::{BooleanArray, RecordBatch};
use arrow_select::filter::filter_record_batch;

use super::columns::not_arrow;
use crate::ingest::{IngestError, ItemError, Rejected, RejectedItem};

/// The rows of a record batch that may be valid items.
pub(super) struct Rows {
    batch: RecordBatch,
    first_index: usize,
    /// Which rows of the whole record batch are left, unless all are.
    left: Option<Vec<usize>>,
}

/// Rows that are found not to be valid items.
pub(super) struct Faults<'r> {
    rows: &'r Rows,
    rejected: &'r mut Rejected,
    wrong: BTreeSet<usize>,
}

impl Rows {
    /// All rows of a record batch that begins at `first_index` of the body.
    pub(super) fn new(batch: RecordBatch, first_index: usize) -> Self {
        Self {
            batch,
            first_index,
            left: None,
        }
    }

    pub(super) fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    pub(super) fn faults<'r>(&'r self, rejected: &'r mut Rejected) -> Faults<'r> {
        Faults {
            rows: self,
            rejected,
            wrong: BTreeSet::new(),
        }
    }

    /// Leaves these rows out.
    pub(super) fn without(self, wrong: &BTreeSet<usize>) -> Result<Self, IngestError> {
        if wrong.is_empty() {
            return Ok(self);
        }
        let right = |row: &usize| !wrong.contains(row);
        let rows = 0..self.batch.num_rows();
        let keep: BooleanArray = rows.clone().map(|row| Some(right(&row))).collect();
        let batch = filter_record_batch(&self.batch, &keep).map_err(|error| not_arrow(&error))?;
        let left = rows.filter(right).map(|row| self.row(row)).collect();
        Ok(Self {
            batch,
            left: Some(left),
            ..self
        })
    }

    /// Which row of the whole record batch a row is.
    fn row(&self, row: usize) -> usize {
        self.left.as_ref().map_or(row, |left| left[row])
    }
}

impl Faults<'_> {
    /// Says what is wrong with a row, unless that was said before.
    pub(super) fn add(&mut self, row: usize, error: ItemError) {
        if self.wrong.insert(row) {
            self.rejected.push(RejectedItem {
                index: self.rows.first_index + self.rows.row(row),
                line: None,
                error,
            });
        }
    }

    /// The rows with which something is wrong.
    pub(super) fn wrong(self) -> BTreeSet<usize> {
        self.wrong
    }
}
