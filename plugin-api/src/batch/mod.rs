//! Batches: immutable Arrow record batches behind plain Rust iterators.
//!
//! The column types of both kinds are frozen. A changed meaning is a new column, which
//! an older plugin ignores: columns are found by name, never by position.
//!
//! The wrappers look up each column once and then return slices of it, so that a loop
//! over them costs as much as a loop over the Arrow arrays.

mod alert;
mod alert_key;
mod alert_state;
mod dictionary;
mod labels;
mod performance;

pub use alert::{Alert, AlertBatch, AlertBatchBuilder, NewAlert, TEXT_COLUMNS, alert_schema};
pub use alert_key::AlertKey;
pub use alert_state::{AlertSeverity, AlertState};
pub use labels::{LabelIter, Labels};
pub use performance::{PerformanceBatch, PerformanceBatchBuilder, Series, performance_schema};

use arrow_array::{Array, RecordBatch};

use crate::kind::Kind;

/// A record batch whose columns are those of one [`Kind`].
pub trait Batch: Sized + Clone + Send + Sync + 'static {
    /// The kind of the rows.
    const KIND: Kind;

    /// Checks the columns of an Arrow batch and wraps it, without a copy.
    ///
    /// # Errors
    ///
    /// A column is missing, has another type than the frozen one, or has nulls where
    /// the frozen type does not allow them.
    fn try_from_arrow(batch: RecordBatch) -> Result<Self, BatchError>;

    /// The Arrow batch.
    fn as_arrow(&self) -> &RecordBatch;

    /// The number of items: points, or alerts.
    fn items(&self) -> u64;

    /// The number of items of a row.
    fn row_items(&self, row: usize) -> u64;

    /// The id of the storage of a row, if it has one.
    fn storage_id(&self, row: usize) -> Option<&str>;

    /// The number of rows: series, or alerts.
    fn rows(&self) -> usize {
        self.as_arrow().num_rows()
    }
}

/// Why an Arrow batch is not a batch of the kind, or a batch cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// A column that every batch of the kind has is missing.
    #[error("column `{column}` is missing")]
    Missing {
        /// The name of the column.
        column: &'static str,
    },
    /// A column has another type.
    #[error("column `{column}` is {found}, not {wanted}")]
    Type {
        /// The name of the column.
        column: &'static str,
        /// The type of the column.
        found: String,
        /// The frozen type.
        wanted: &'static str,
    },
    /// A column has a null where the frozen type does not allow one.
    #[error("column `{column}` has nulls")]
    Null {
        /// The name of the column.
        column: &'static str,
    },
    /// A series does not have as many timestamps as values.
    #[error("row {row} has {timestamps} timestamps and {values} values")]
    Uneven {
        /// The number of the row, from 0.
        row: usize,
        /// The number of timestamps.
        timestamps: usize,
        /// The number of values.
        values: usize,
    },
    /// A column needs more than 32-bit offsets can address.
    #[error("column `{column}` grows past 2 GiB (send smaller batches)")]
    TooLarge {
        /// The name of the column.
        column: &'static str,
    },
}

fn column<'a, A: Array + 'static>(
    batch: &'a RecordBatch,
    column: &'static str,
    wanted: &'static str,
) -> Result<&'a A, BatchError> {
    let array = batch
        .column_by_name(column)
        .ok_or(BatchError::Missing { column })?;
    downcast(array.as_ref(), column, wanted)
}

fn downcast<'a, A: Array + 'static>(
    array: &'a dyn Array,
    column: &'static str,
    wanted: &'static str,
) -> Result<&'a A, BatchError> {
    array
        .as_any()
        .downcast_ref::<A>()
        .ok_or_else(|| BatchError::Type {
            column,
            found: array.data_type().to_string(),
            wanted,
        })
}

fn without_nulls(array: &dyn Array, column: &'static str) -> Result<(), BatchError> {
    if array.null_count() > 0 {
        return Err(BatchError::Null { column });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
