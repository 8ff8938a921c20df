//! Rows of a record batch with their positions in the body.

use std::collections::BTreeSet;

use arrow_array::{Array, BooleanArray, RecordBatch, StringArray};
use arrow_select::filter::filter_record_batch;

use super::columns::not_arrow;
use crate::ingest::{IngestError, ItemError, ItemRejection, RejectedItems, rules::excerpt};

/// The rows of a record batch that were not found to be invalid.
pub(super) struct NumberedRows {
    batch: RecordBatch,
    first_index: usize,
    /// The remaining rows of the original record batch; `None` if all remain.
    remaining: Option<Vec<usize>>,
}

/// Collects rows that are invalid.
pub(super) struct InvalidRows<'r> {
    rows: &'r NumberedRows,
    rejected: &'r mut RejectedItems,
    wrong: BTreeSet<usize>,
}

impl NumberedRows {
    /// All rows of a record batch whose first row is item `first_index` of the body.
    pub(super) fn new(batch: RecordBatch, first_index: usize) -> Self {
        Self {
            batch,
            first_index,
            remaining: None,
        }
    }

    pub(super) fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    pub(super) fn invalid_rows<'r>(&'r self, rejected: &'r mut RejectedItems) -> InvalidRows<'r> {
        InvalidRows {
            rows: self,
            rejected,
            wrong: BTreeSet::new(),
        }
    }

    /// Removes these rows.
    pub(super) fn without(self, wrong: &BTreeSet<usize>) -> Result<Self, IngestError> {
        if wrong.is_empty() {
            return Ok(self);
        }
        let right = |row: &usize| !wrong.contains(row);
        let rows = 0..self.batch.num_rows();
        let keep: BooleanArray = rows.clone().map(|row| Some(right(&row))).collect();
        let batch = filter_record_batch(&self.batch, &keep).map_err(|error| not_arrow(&error))?;
        let remaining = rows.filter(right).map(|row| self.row(row)).collect();
        Ok(Self {
            batch,
            remaining: Some(remaining),
            ..self
        })
    }

    /// The position of a row in the original record batch.
    fn row(&self, row: usize) -> usize {
        self.remaining.as_ref().map_or(row, |rows| rows[row])
    }
}

impl InvalidRows<'_> {
    /// Adds the error of a row. Only the first error of a row counts.
    pub(super) fn add(&mut self, row: usize, error: ItemError) {
        if self.wrong.insert(row) {
            self.rejected.push(ItemRejection {
                index: self.rows.first_index + self.rows.row(row),
                line: None,
                name: self.name(row),
                error,
            });
        }
    }

    /// An excerpt of the name of a row, as for an item of JSON.
    fn name(&self, row: usize) -> Option<String> {
        let text = |column: &str| {
            let column = self.rows.batch.column_by_name(column)?;
            let column: &StringArray = column.as_any().downcast_ref()?;
            let text = column.is_valid(row).then(|| column.value(row))?;
            (!text.is_empty()).then(|| excerpt(text))
        };
        ["name", "alert_name", "alert_id"]
            .into_iter()
            .find_map(text)
    }

    pub(super) fn rows(self) -> BTreeSet<usize> {
        self.wrong
    }
}
