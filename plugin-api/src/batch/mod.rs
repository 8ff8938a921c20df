//! Batches: immutable Arrow record batches behind plain Rust iterators.
//!
//! The column types of both kinds are frozen. A changed meaning is a new column,
//! which an older plugin ignores: columns are found by name, never by position.
//!
//! The wrappers look each column up once and then hand out slices of it, so a
//! loop over them costs what a loop over the Arrow arrays costs.

mod alert;
mod labels;
mod performance;

pub use alert::{Alert, AlertBatch, AlertBatchBuilder, NewAlert, TEXT_COLUMNS, alert_schema};
pub use labels::{LabelIter, Labels};
pub use performance::{PerformanceBatch, PerformanceBatchBuilder, Series, performance_schema};

use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;

use crate::kind::Kind;

/// A record batch whose columns are those of one [`Kind`].
pub trait Batch: Sized + Clone + Send + Sync + 'static {
    /// What the rows are.
    const KIND: Kind;

    /// Checks the columns and takes the batch, without copying it.
    ///
    /// # Errors
    ///
    /// A column is missing, has another type than the frozen one, or has nulls
    /// where none may be.
    fn try_from_arrow(batch: RecordBatch) -> Result<Self, BatchError>;

    /// The batch as Arrow has it.
    fn as_arrow(&self) -> &RecordBatch;

    /// How many items it counts as: points, or alerts.
    fn items(&self) -> u64;

    /// How many rows it has: series, or alerts.
    fn rows(&self) -> usize {
        self.as_arrow().num_rows()
    }
}

/// Why an Arrow batch is not a batch of the wanted kind, or none can be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// A column that every batch of this kind has.
    #[error("column `{column}` is missing")]
    Missing {
        /// Its name.
        column: &'static str,
    },
    /// A column of another type.
    #[error("column `{column}` is {found}, not {wanted}")]
    Type {
        /// Its name.
        column: &'static str,
        /// The type it has.
        found: String,
        /// The type it should have.
        wanted: &'static str,
    },
    /// A null where the frozen types allow none.
    #[error("column `{column}` has nulls")]
    Null {
        /// Its name.
        column: &'static str,
    },
    /// A series with more times than values, or fewer.
    #[error("row {row} has {timestamps} timestamps and {values} values")]
    Uneven {
        /// Which row.
        row: usize,
        /// How many times it has.
        timestamps: usize,
        /// How many values it has.
        values: usize,
    },
    /// More than 32-bit offsets can address.
    #[error("column `{column}` grows past 2 GiB (send smaller batches)")]
    TooLarge {
        /// Its name.
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
            found: type_name(array.data_type()),
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

fn type_name(data_type: &DataType) -> String {
    data_type.to_string()
}
