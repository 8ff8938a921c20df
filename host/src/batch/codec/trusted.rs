//! Reads the Arrow stream that the host has written for the process of an exporter.
//!
//! The host and the process are the same program, and neither can change a payload after
//! it was sent. The host has written the stream just now, or into its journal, and then it has
//! validated it when it read it there. So the rows are not validated again, just as an exporter in a thread of the
//! host gets them. The first message of a stream describes its columns: it is read in full
//! once, and then only compared. Everything that is not as usual is read by
//! [`super::read_plain`].

#![expect(unsafe_code, reason = "the columns are built without validation")]

use arrow_array::{Array, StructArray};
use arrow_buffer::Buffer;
use arrow_data::ArrayData;
use arrow_ipc::{
    Field, FieldNode, Message, RecordBatch as BatchMessage, root_as_message,
    root_as_message_unchecked,
};
use arrow_schema::DataType;

use super::{CodecError, read_plain};

/// The bytes before a message: a mark, and its length.
const PREFIX: usize = 8;

/// The alignment of the columns' values.
const ALIGNMENT: usize = 8;

/// Reads one stream after the other, usually all with the same columns.
#[derive(Debug, Default)]
pub(crate) struct TrustedReader {
    known: Option<KnownColumns>,
}

/// The columns of the last stream.
#[derive(Debug)]
struct KnownColumns {
    /// The first message of the stream, with its prefix.
    message: Vec<u8>,
    /// A struct of the columns.
    data_type: DataType,
    /// The ids of the dictionaries, in the order in which the columns use them.
    dictionaries: Vec<i64>,
}

impl TrustedReader {
    /// The rows of a stream, as a struct of its columns, which are slices of `stream`.
    ///
    /// # Errors
    ///
    /// The bytes are not a stream of one batch.
    ///
    /// # Safety
    ///
    /// The host has written the stream, and has validated it if it comes from the journal.
    pub(crate) unsafe fn read(&mut self, stream: &Buffer) -> Result<ArrayData, CodecError> {
        if let Some(known) = &self.known
            && stream.starts_with(&known.message)
            && stream.as_ptr().addr().is_multiple_of(ALIGNMENT)
        {
            // SAFETY: as of this function.
            let rows = unsafe { known.read(stream) };
            if let Some(rows) = rows {
                return Ok(rows);
            }
        }
        let rows = StructArray::from(read_plain(stream.clone())?).into_data();
        self.known = KnownColumns::of(stream, rows.data_type());
        Ok(rows)
    }
}

impl KnownColumns {
    fn of(stream: &Buffer, data_type: &DataType) -> Option<Self> {
        let text = message_at(stream, 0)?;
        let schema = root_as_message(text).ok()?.header_as_schema()?;
        let mut dictionaries = Vec::new();
        for field in schema.fields()? {
            add_dictionaries(&field, &mut dictionaries);
        }
        Some(Self {
            message: stream[..PREFIX + text.len()].to_vec(),
            data_type: data_type.clone(),
            dictionaries,
        })
    }

    /// `None` if the stream has what only [`read_plain`] can read.
    ///
    /// # Safety
    ///
    /// As of [`TrustedReader::read`].
    unsafe fn read(&self, stream: &Buffer) -> Option<ArrayData> {
        let mut dictionaries = Vec::with_capacity(self.dictionaries.len());
        let mut at = self.message.len();
        loop {
            let text = message_at(stream, at)?;
            // SAFETY: the caller promises that the text is a message.
            let message = unsafe { root_as_message_unchecked(text) };
            let body = at + PREFIX + text.len();
            let columns = |batch| Columns {
                body: stream.slice(body),
                batch,
                next_node: 0,
                next_buffer: 0,
                next_dictionary: 0,
                known: self,
                dictionaries: &dictionaries,
            };
            if let Some(dictionary) = message.header_as_dictionary_batch() {
                // SAFETY: as above.
                let values = unsafe { columns(dictionary.data()?).next(&DataType::Utf8)? };
                dictionaries.push((dictionary.id(), values));
            } else {
                let batch = message.header_as_record_batch()?;
                // SAFETY: as above.
                return unsafe { columns(batch).rows() };
            }
            at = body + body_len(&message)?;
        }
    }
}

/// The columns of one message.
struct Columns<'a> {
    body: Buffer,
    batch: BatchMessage<'a>,
    next_node: usize,
    next_buffer: usize,
    next_dictionary: usize,
    known: &'a KnownColumns,
    dictionaries: &'a [(i64, ArrayData)],
}

impl Columns<'_> {
    /// # Safety
    ///
    /// The message is a batch with the known columns.
    unsafe fn rows(mut self) -> Option<ArrayData> {
        let DataType::Struct(fields) = &self.known.data_type else {
            return None;
        };
        let mut columns = Vec::with_capacity(fields.len());
        for field in fields {
            // SAFETY: the columns follow each other.
            columns.push(unsafe { self.next(field.data_type())? });
        }
        let len = usize::try_from(self.batch.length()).ok()?;
        let data_type = self.known.data_type.clone();
        // SAFETY: each column has as many rows as the batch.
        Some(unsafe { ArrayData::new_unchecked(data_type, len, Some(0), None, 0, vec![], columns) })
    }

    /// # Safety
    ///
    /// The next column of the message has this type.
    unsafe fn next(&mut self, data_type: &DataType) -> Option<ArrayData> {
        let node = self.node()?;
        let len = usize::try_from(node.length()).ok()?;
        let null_count = usize::try_from(node.null_count()).ok()?;
        let nulls = self.buffer()?;
        let (mut buffers, mut children) = (Vec::new(), Vec::new());
        match data_type {
            DataType::Int64 | DataType::Float64 => buffers.push(self.buffer()?),
            DataType::Dictionary(..) => {
                buffers.push(self.buffer()?);
                children.push(self.dictionary()?);
            }
            // The offsets of a column without rows can be absent.
            _ if len == 0 => return None,
            DataType::Utf8 => buffers.extend([self.buffer()?, self.buffer()?]),
            DataType::List(item) | DataType::Map(item, _) => {
                buffers.push(self.buffer()?);
                // SAFETY: the items follow their list.
                children.push(unsafe { self.next(item.data_type())? });
            }
            DataType::Struct(fields) => {
                for field in fields {
                    // SAFETY: the fields follow their struct.
                    children.push(unsafe { self.next(field.data_type())? });
                }
            }
            _ => return None,
        }
        let nulls = (null_count > 0).then_some(nulls);
        let (data_type, null_count) = (data_type.clone(), Some(null_count));
        // SAFETY: the host has written a valid column of this type.
        Some(unsafe {
            ArrayData::new_unchecked(data_type, len, null_count, nulls, 0, buffers, children)
        })
    }

    fn node(&mut self) -> Option<&FieldNode> {
        let nodes = self.batch.nodes()?;
        let at = self.next_node;
        self.next_node += 1;
        (at < nodes.len()).then(|| nodes.get(at))
    }

    fn buffer(&mut self) -> Option<Buffer> {
        let buffers = self.batch.buffers()?;
        let at = self.next_buffer;
        self.next_buffer += 1;
        let buffer = (at < buffers.len()).then(|| buffers.get(at))?;
        let start = usize::try_from(buffer.offset()).ok()?;
        let len = usize::try_from(buffer.length()).ok()?;
        let is_inside = start.checked_add(len)? <= self.body.len();
        is_inside.then(|| self.body.slice_with_length(start, len))
    }

    fn dictionary(&mut self) -> Option<ArrayData> {
        let id = self.known.dictionaries.get(self.next_dictionary)?;
        self.next_dictionary += 1;
        let mut dictionaries = self.dictionaries.iter();
        let (_, values) = dictionaries.find(|(found, _)| found == id)?;
        Some(values.clone())
    }
}

/// The message at a position, without its prefix.
fn message_at(stream: &[u8], at: usize) -> Option<&[u8]> {
    let (prefix, rest) = stream.get(at..)?.split_first_chunk::<PREFIX>()?;
    let len = u32::from_le_bytes(*prefix.last_chunk()?);
    rest.get(..usize::try_from(len).ok()?)
}

fn body_len(message: &Message<'_>) -> Option<usize> {
    usize::try_from(message.bodyLength()).ok()
}

fn add_dictionaries(field: &Field<'_>, ids: &mut Vec<i64>) {
    ids.extend(field.dictionary().map(|dictionary| dictionary.id()));
    for child in field.children().into_iter().flatten() {
        add_dictionaries(&child, ids);
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::RecordBatch;
    use delfin_plugin_api::{AlertBatchBuilder, Batch, NewAlert, PerformanceBatchBuilder};

    use super::*;
    use crate::batch::codec::write_plain;

    fn performance(series: usize) -> RecordBatch {
        let mut batch = PerformanceBatchBuilder::new();
        for row in 0..series {
            let id = format!("volume-{row}");
            let points = (0..row as i64 % 4).map(|time| (time, row as f64));
            let labels = [("resource_id", &*id), ("unit", "é")];
            batch.series("load", labels, points).unwrap();
        }
        batch.build().as_arrow().clone()
    }

    fn alerts(count: usize) -> RecordBatch {
        let mut batch = AlertBatchBuilder::new();
        for row in 0..count {
            let texts = [("alert_id", "1"), ("rack", "7")];
            batch.alert(NewAlert {
                occur_time: 5,
                texts: &texts[row % 2..],
            });
        }
        batch.build().as_arrow().clone()
    }

    fn stream(batch: &RecordBatch) -> Buffer {
        let mut bytes = Vec::new();
        write_plain(batch, &mut bytes).unwrap();
        bytes.into()
    }

    fn read(reader: &mut TrustedReader, stream: &Buffer) -> RecordBatch {
        // SAFETY: `write_plain` has written the stream.
        let rows = unsafe { reader.read(stream) }.unwrap();
        rows.validate_full().unwrap();
        StructArray::from(rows).into()
    }

    #[test]
    fn batches_are_read_as_they_were_written() {
        let mut reader = TrustedReader::default();
        let batches = [
            performance(1),
            performance(100),
            performance(100).slice(7, 50),
            performance(0),
            alerts(1),
            alerts(3),
            alerts(0),
            performance(2),
        ];
        for batch in batches {
            // The second time, the columns are known.
            for _ in 0..2 {
                assert_eq!(read(&mut reader, &stream(&batch)), batch);
            }
        }
    }

    #[test]
    fn usual_batches_are_read_without_the_arrow_reader() {
        for (first, next) in [
            (performance(2), performance(100)),
            (alerts(2), alerts(1)),
            (performance(9), performance(9).slice(3, 2)),
        ] {
            let mut reader = TrustedReader::default();
            read(&mut reader, &stream(&first));
            let known = reader.known.unwrap();
            // SAFETY: `write_plain` has written the stream.
            let rows = unsafe { known.read(&stream(&next)) };
            assert!(rows.is_some());
        }
    }

    #[test]
    fn values_at_odd_addresses_are_copied() {
        let mut reader = TrustedReader::default();
        let batch = performance(5);
        read(&mut reader, &stream(&batch));
        let moved = [&[0; 4], &*stream(&batch)].concat();
        assert_eq!(read(&mut reader, &Buffer::from(moved).slice(4)), batch);
    }
}
