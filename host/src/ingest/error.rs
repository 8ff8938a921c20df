//! Why a body is not a batch.
//!
//! Knows nothing of status codes.

use delfin_plugin_api::BatchError;

use super::media::{ACCEPTED_ENCODINGS, ACCEPTED_TYPES};

/// Why a body is not a batch: its first mistake.
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
    /// A text longer than [`max_string_bytes`](super::Limits::max_string_bytes).
    #[error(
        "item {index}: {field}: a text of {bytes} bytes, at most {limit} are allowed (shorten it, or raise `api.max_string_bytes`)"
    )]
    TextTooLong {
        /// Which item, from 0.
        index: usize,
        /// Which field of it.
        field: String,
        /// How long the text is.
        bytes: usize,
        /// How long it may be.
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
    /// JSON, or Arrow, with something in it that an item may not have.
    #[error("item {index}: {}{reason}", field.map(|field| format!("{field}: ")).unwrap_or_default())]
    Invalid {
        /// Which item, from 0.
        index: usize,
        /// Which field of it, if it is one.
        field: Option<&'static str>,
        /// What is wrong.
        reason: String,
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
