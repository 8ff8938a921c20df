//! The rows and batches that can be written as JSON.

use super::{JsonWriter, Style};
use crate::{Alert, AlertBatch, Batch, PerformanceBatch, Series};

/// A row that a [`JsonWriter`] writes: a [`Series`] or an [`Alert`].
pub trait JsonRow<'a>: Copy {
    /// Writes the row; see [`JsonWriter::write_draining`].
    ///
    /// # Errors
    ///
    /// The error of `drain`.
    fn write_draining<S: Style, E>(
        self,
        writer: &mut JsonWriter<'a, S>,
        out: &mut Vec<u8>,
        drain: &mut impl FnMut(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E>;
}

/// A batch whose rows a [`JsonWriter`] writes.
pub trait JsonBatch: Batch {
    /// A row of the batch.
    type Row<'a>: JsonRow<'a>;

    /// Each row, in order.
    fn json_rows(&self) -> impl ExactSizeIterator<Item = Self::Row<'_>>;
}

impl<'a> JsonRow<'a> for Series<'a> {
    fn write_draining<S: Style, E>(
        self,
        writer: &mut JsonWriter<'a, S>,
        out: &mut Vec<u8>,
        drain: &mut impl FnMut(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        writer.write_series(self, out, drain)
    }
}

impl<'a> JsonRow<'a> for Alert<'a> {
    fn write_draining<S: Style, E>(
        self,
        writer: &mut JsonWriter<'a, S>,
        out: &mut Vec<u8>,
        drain: &mut impl FnMut(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        writer.write_alert(self, out, drain)
    }
}

impl JsonBatch for PerformanceBatch {
    type Row<'a> = Series<'a>;

    fn json_rows(&self) -> impl ExactSizeIterator<Item = Series<'_>> {
        self.series()
    }
}

impl JsonBatch for AlertBatch {
    type Row<'a> = Alert<'a>;

    fn json_rows(&self) -> impl ExactSizeIterator<Item = Alert<'_>> {
        self.alerts()
    }
}
