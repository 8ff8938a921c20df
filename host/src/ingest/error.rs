//! Why a body is not a batch, or an item no part of it.
//!
//! Knows nothing of status codes.

use delfin_plugin_api::BatchError;

use super::media::{ACCEPTED_ENCODINGS, ACCEPTED_TYPES};

/// Why a body is not a batch.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// A `Content-Type` that is not read here.
    #[error("content type `{found}` is not accepted (send {ACCEPTED_TYPES})")]
    UnsupportedMediaType {
        /// What was sent; empty if nothing was.
        found: String,
    },
    /// A `Content-Encoding` that is not read here.
    #[error("content encoding `{found}` is not accepted (send {ACCEPTED_ENCODINGS})")]
    UnsupportedEncoding {
        /// What was sent.
        found: String,
    },
    /// More bytes than [`max_decompressed_bytes`](super::Limits::max_decompressed_bytes).
    #[error(
        "the body holds more than {limit} bytes (send smaller batches, or raise `api.max_decompressed_bytes`)"
    )]
    TooManyBytes {
        /// How many are allowed.
        limit: u64,
    },
    /// More rows than [`max_rows`](super::Limits::max_rows).
    #[error(
        "the body holds more than {limit} items (send smaller batches, or raise `api.max_rows`)"
    )]
    TooManyRows {
        /// How many are allowed.
        limit: u64,
    },
    /// Nothing in it.
    #[error("the body is empty (send an array of items, or one item a line)")]
    Empty,
    /// It cannot be decompressed.
    #[error("the body is not valid {encoding}: {reason}")]
    Compression {
        /// What it should have been.
        encoding: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// JSON that is not UTF-8.
    #[error("the body is not UTF-8 (byte {offset})")]
    NotUtf8 {
        /// The first wrong byte.
        offset: usize,
    },
    /// Not JSON.
    #[error("the body is not JSON: {reason} (line {line}, column {column}, in item {index})")]
    Syntax {
        /// The item that is being read, from 0.
        index: usize,
        /// What is wrong.
        reason: String,
        /// Where, from 1.
        line: usize,
        /// Where in that line, from 1.
        column: usize,
    },
    /// An item that is not as it must be, where all have to be.
    #[error("item {index}: {error}")]
    Item {
        /// Which item, from 0.
        index: usize,
        /// What is wrong with it.
        error: ItemError,
    },
    /// Not an Arrow IPC stream.
    #[error("the body is no valid Arrow stream: {reason}")]
    Arrow {
        /// What is wrong.
        reason: String,
    },
    /// An Arrow stream with other columns.
    #[error(transparent)]
    Columns(#[from] BatchError),
}

/// Why an item is no part of a batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ItemError {
    /// A text longer than [`max_string_bytes`](super::Limits::max_string_bytes).
    #[error(
        "{field}: a text of {bytes} bytes, at most {limit} are allowed (shorten it, or raise `api.max_string_bytes`)"
    )]
    TextTooLong {
        /// Which field of the item.
        field: String,
        /// How long the text is.
        bytes: usize,
        /// How long it may be.
        limit: u64,
    },
    /// Something that an item may not have, or not be.
    #[error("{}{reason}", field.map(|field| format!("{field}: ")).unwrap_or_default())]
    Invalid {
        /// Which field of the item, if it is one.
        field: Option<&'static str>,
        /// What is wrong.
        reason: String,
    },
    /// A line that is not JSON.
    #[error("not JSON: {reason} (line {line}, column {column})")]
    Syntax {
        /// What is wrong.
        reason: String,
        /// Where in the body, from 1.
        line: usize,
        /// Where in that line, from 1.
        column: usize,
    },
}

impl ItemError {
    /// All that [`reason`](Self::reason) can be.
    pub const REASONS: [&'static str; 3] = ["text_too_long", "invalid", "syntax"];

    /// The kind of mistake, in a word.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TextTooLong { .. } => "text_too_long",
            Self::Invalid { .. } => "invalid",
            Self::Syntax { .. } => "syntax",
        }
    }

    /// What is wrong with the body, were this its only mistake.
    #[must_use]
    pub fn of_item(self, index: usize) -> IngestError {
        match self {
            Self::Syntax {
                reason,
                line,
                column,
            } => IngestError::Syntax {
                index,
                reason,
                line,
                column,
            },
            error @ (Self::TextTooLong { .. } | Self::Invalid { .. }) => {
                IngestError::Item { index, error }
            }
        }
    }
}
