//! Batches as bodies of `_bulk`: two lines for each document.
//!
//! Promises: rows that are encoded again have documents with the same ids; nothing is left out
//! without being counted; nothing is allocated for a point.
//!
//! Knows nothing of connections.

mod alert;
mod field;
mod performance;

use delfin_plugin_api::{Batch, Skipped, Uuid};

/// The namespace of the ids of documents.
const NAMESPACE: Uuid = Uuid::from_u128(0x5d0e_9a3c_1f6b_4c57_8f0a_6e3b_a1c4_72d9);

/// Where documents of a kind go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DocumentTarget {
    /// The data stream, unless the settings name another one.
    pub data_stream: &'static str,
    /// The mappings of the fields, as JSON.
    pub mappings: &'static str,
}

/// Points.
pub const PERFORMANCE: DocumentTarget = DocumentTarget {
    data_stream: "metrics-delfin-default",
    mappings: include_str!("performance.json"),
};

/// Alerts.
pub const ALERTS: DocumentTarget = DocumentTarget {
    data_stream: "logs-delfin-default",
    mappings: include_str!("alert.json"),
};

/// A batch that can be written as documents.
pub trait BulkBatch: Batch {
    /// Where its documents go.
    const TARGET: DocumentTarget;

    /// Appends the documents of each row.
    fn encode(&self, body: &mut BulkBody) -> Skipped;
}

/// Bytes of the buffer to keep from one batch to the next.
const BUFFER_BYTES: usize = 16 << 20;

/// Documents, and the rows that they belong to.
#[derive(Debug, Default)]
pub struct BulkBody {
    text: Vec<u8>,
    documents: usize,
    /// For each row the number of documents up to its end.
    row_ends: Vec<usize>,
}

impl BulkBody {
    /// Removes all documents.
    pub fn clear(&mut self) {
        self.text.clear();
        self.text.shrink_to(BUFFER_BYTES);
        self.documents = 0;
        self.row_ends.clear();
    }

    /// The number of documents.
    #[must_use]
    pub fn documents(&self) -> usize {
        self.documents
    }

    /// The body of a request.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The range of documents of each row.
    pub(crate) fn documents_of_rows(&self) -> impl Iterator<Item = std::ops::Range<usize>> {
        let starts = std::iter::once(0).chain(self.row_ends.iter().copied());
        starts.zip(&self.row_ends).map(|(start, &end)| start..end)
    }

    /// Begins a document with the id `id`, or `id-number`.
    fn begin_document(&mut self, id: &str, number: Option<i64>) {
        self.text.extend_from_slice(b"{\"create\":{\"_id\":\"");
        self.text.extend_from_slice(id.as_bytes());
        if let Some(number) = number {
            self.text.push(b'-');
            self.text
                .extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        }
        self.text.extend_from_slice(b"\"}}\n");
        self.documents += 1;
    }

    fn end_row(&mut self) {
        self.row_ends.push(self.documents);
    }
}

#[cfg(test)]
mod tests;
