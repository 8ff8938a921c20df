//! Batches to the contents of Parquet files.
//!
//! Promises: each file has the rows of one partition, in the order of the batch; the rows of a
//! file are bounded in memory by groups, not by the size of the batch.

mod alert;
mod file;
mod partition;
mod performance;
mod texts;

use std::{collections::BTreeMap, ops::Range};

use delfin_plugin_api::Batch;
use parquet::errors::ParquetError;

pub use self::partition::Partition;

/// The points of a series that belong to one file, by their numbers in the series. An alert has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowPoints {
    row: usize,
    points: Range<usize>,
}

/// A batch that files can hold.
pub trait ParquetBatch: Batch {
    /// The folder of the kind.
    const FOLDER: &'static str;

    /// The rows of each file. A series whose points are of several days is in several.
    fn partitions(&self) -> BTreeMap<Partition<'_>, Vec<RowPoints>>;

    /// The content of a file.
    ///
    /// # Errors
    ///
    /// The rows cannot be written.
    fn encode(&self, rows: &[RowPoints]) -> Result<Vec<u8>, ParquetError>;
}

#[cfg(test)]
mod tests;
