//! Rows as an Arrow IPC stream, which has the columns as they are in memory.

use arrow_ipc::writer::StreamWriter;

use crate::{Failure, arrow_array::RecordBatch};

/// Writes the rows into `stream`, after removing what it holds.
///
/// # Errors
///
/// [`Failure::TooLarge`] if a column does not fit into a message.
pub fn write_stream(rows: &RecordBatch, stream: &mut Vec<u8>) -> Result<(), Failure> {
    stream.clear();
    let written = StreamWriter::try_new(stream, &rows.schema()).and_then(|mut writer| {
        writer.write(rows)?;
        writer.finish()
    });
    written.map_err(|error| Failure::TooLarge {
        message: format!("cannot write the rows as an Arrow stream: {error}"),
    })
}
