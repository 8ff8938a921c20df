//! Batches as line protocol.
//!
//! Promises: a line is valid; rows that are encoded again have the same lines, so that they
//! overwrite the same points; nothing is left out without being counted.
//!
//! Knows nothing of connections.

mod alert;
mod performance;
mod text;

use delfin_plugin_api::{Batch, BatchPart, Skipped};

/// A batch that can be written as lines.
pub trait LineBatch: Batch {
    /// The unit of the times in the lines.
    const PRECISION: &str;

    /// Appends the lines of each row. `parts` are the accepted batches of the rows.
    fn encode(&self, parts: &[BatchPart<'_>], lines: &mut LineBuffer) -> Skipped;
}

/// Bytes of the buffer to keep from one batch to the next.
const BUFFER_BYTES: usize = 8 << 20;

/// Lines, and the rows that they belong to.
#[derive(Debug, Default)]
pub struct LineBuffer {
    text: Vec<u8>,
    lines: usize,
    /// For each row the number of lines up to its end.
    row_ends: Vec<usize>,
    /// Whether a line end in a text field becomes `\n`.
    escapes_line_ends: bool,
    /// Whether a text field has a line end that is not escaped.
    has_line_end: bool,
}

impl LineBuffer {
    /// Removes all lines. The next ones have line ends in text fields as they are, or escaped.
    pub fn clear(&mut self, escapes_line_ends: bool) {
        self.text.clear();
        self.text.shrink_to(BUFFER_BYTES);
        self.lines = 0;
        self.row_ends.clear();
        self.escapes_line_ends = escapes_line_ends;
        self.has_line_end = false;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Whether a text field has a line end that is not escaped.
    pub(crate) fn has_line_end(&self) -> bool {
        self.has_line_end
    }

    /// The row of a line, both from 0. A line end in a text field is part of its line.
    pub(crate) fn row_of_line(&self, line: usize) -> Option<usize> {
        let row = self.row_ends.partition_point(|&end| end <= line);
        (row < self.row_ends.len()).then_some(row)
    }

    /// Ends the row that is being written.
    fn end_row(&mut self) {
        self.row_ends.push(self.lines);
    }

    /// Ends the line that is being written.
    fn end_line(&mut self) {
        self.text.push(b'\n');
        self.lines += 1;
    }
}

#[cfg(test)]
mod tests;
