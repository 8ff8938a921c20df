//! Writes the streams of small batches.
//!
//! A large part of a small stream describes its columns, which are nearly always the same. So the message with the columns
//! is written once, and copied into each stream. The streams are those that [`StreamWriter`] writes.
//!
//! [`StreamWriter`]: arrow_ipc::writer::StreamWriter

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_ipc::writer::{
    DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions, write_message,
};
use arrow_schema::{ArrowError, SchemaRef};

use super::contexts::Contexts;

static WRITERS: Contexts<SmallStreamWriter> = Contexts::new();

/// The last message of a stream: a mark, and no length.
const END: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// Writes one batch after the other with the same columns.
struct SmallStreamWriter {
    schema: SchemaRef,
    /// The message with the columns.
    head: Vec<u8>,
    /// How many dictionaries the columns have.
    dictionaries: usize,
    options: IpcWriteOptions,
    context: IpcWriteContext,
}

/// Appends the stream of a batch.
///
/// # Errors
///
/// The batch cannot be written as a stream.
pub(super) fn write_small(batch: &RecordBatch, stream: &mut Vec<u8>) -> Result<(), ArrowError> {
    let known = WRITERS.take_if(|writer| Arc::ptr_eq(&writer.schema, batch.schema_ref()));
    let mut writer = match known {
        Some(writer) => writer,
        None => SmallStreamWriter::new(batch.schema())?,
    };
    writer.write(batch, stream)?;
    WRITERS.put(writer);
    Ok(())
}

impl SmallStreamWriter {
    fn new(schema: SchemaRef) -> Result<Self, ArrowError> {
        let options = IpcWriteOptions::default();
        let mut tracker = DictionaryTracker::new(false);
        let message = IpcDataGenerator::default().schema_to_bytes_with_dictionary_tracker(
            &schema,
            &mut tracker,
            &options,
        );
        let mut head = Vec::new();
        write_message(&mut head, message, &options)?;
        Ok(Self {
            schema,
            head,
            dictionaries: tracker.dict_id().len(),
            options,
            context: IpcWriteContext::default(),
        })
    }

    fn write(&mut self, batch: &RecordBatch, stream: &mut Vec<u8>) -> Result<(), ArrowError> {
        let mut tracker = DictionaryTracker::new(false);
        for _ in 0..self.dictionaries {
            tracker.next_dict_id();
        }
        let (dictionaries, rows) = IpcDataGenerator::default().encode(
            batch,
            &mut tracker,
            &self.options,
            &mut self.context,
        )?;
        stream.extend_from_slice(&self.head);
        for message in dictionaries.into_iter().chain([rows]) {
            write_message(&mut *stream, message, &self.options)?;
        }
        stream.extend_from_slice(&END);
        Ok(())
    }
}
