//! Errors of a body, and of its items.
//!
//! Knows nothing of status codes.

use std::time::Duration;

use delfin_plugin_api::BatchError;

const ACCEPTED_TYPES: &str =
    "`application/json`, `application/x-ndjson` or `application/vnd.apache.arrow.stream`";
const ACCEPTED_ENCODINGS: &str = "`gzip`, `zstd` or `identity`";

/// Why a body is refused.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The `Content-Type` is not supported.
    #[error("content type `{found}` is not accepted (send {ACCEPTED_TYPES})")]
    UnsupportedMediaType {
        /// An excerpt of the header; empty if it is missing.
        found: String,
    },
    /// The `Content-Encoding` is not supported.
    #[error("content encoding `{found}` is not accepted (send {ACCEPTED_ENCODINGS})")]
    UnsupportedEncoding {
        /// An excerpt of the header.
        found: String,
    },
    /// More bytes than [`max_decompressed_bytes`](super::BodyLimits::max_decompressed_bytes).
    #[error(
        "the body holds more than {limit} bytes (send smaller batches, or raise `api.max_decompressed_bytes`)"
    )]
    TooManyBytes { limit: u64 },
    /// More bytes than `max_decompressed_bytes` when each row has its own copy of the
    /// texts that rows share.
    #[error(
        "the rows of the body have more than {limit} bytes: texts that rows share, such as labels, count for each row (send fewer rows or shorter texts, or raise `api.max_decompressed_bytes`)"
    )]
    TooManyRowBytes { limit: u64 },
    /// More rows than [`max_rows`](super::BodyLimits::max_rows).
    #[error(
        "the body holds more than {limit} items (send smaller batches, or raise `api.max_rows`)"
    )]
    TooManyRows { limit: u64 },
    /// More memory than one request may need.
    #[error(
        "the body needs more than {limit} bytes of memory (send smaller batches, or raise `api.max_decompressed_bytes`)"
    )]
    TooMuchMemory { limit: u64 },
    /// Other requests use the memory of [`RequestMemory`](super::RequestMemory).
    #[error(
        "other requests use the memory that `memory.max` allows (send fewer or smaller batches at a time, or raise it)"
    )]
    MemoryInUse,
    /// Other bodies that take long are being parsed.
    #[error("too many large batches are being read (send fewer or smaller batches at a time)")]
    TooManyLong,
    /// Parsing used a processor for longer than [`max_parse_time`](super::BodyLimits::max_parse_time).
    #[error("the body takes longer than {limit:?} to read (send smaller batches)")]
    TooSlow { limit: Duration },
    #[error("the body is empty (send an array of items, or one item a line)")]
    Empty,
    #[error("the body is not valid {encoding}: {reason}")]
    Compression {
        encoding: &'static str,
        reason: String,
    },
    #[error("the body is not UTF-8 (byte {offset})")]
    NotUtf8 {
        /// Position of the first byte that is not UTF-8.
        offset: usize,
    },
    #[error("the body is not JSON: {reason} (line {line}, column {column}, in item {index})")]
    Syntax {
        /// The item in which the error is, from 0.
        index: usize,
        reason: String,
        /// From 1.
        line: usize,
        /// In bytes, from 1.
        column: usize,
    },
    /// The body of a webhook.
    #[error("the body is not JSON: {reason}")]
    Value { reason: String },
    /// An item is invalid, and all have to be valid.
    #[error("item {index}: {error}")]
    Item {
        /// From 0.
        index: usize,
        error: ItemError,
    },
    /// An object with `alerts` has other fields.
    #[error(
        "the body is not an object of `alerts` and `complete_for`: {reason} (send an array of \
         alerts, or one alert a line)"
    )]
    Envelope { reason: String },
    #[error("the body is not a valid Arrow stream: {reason}")]
    Arrow { reason: String },
    /// The body of a protocol that has messages.
    #[error("the body is not a `{message}`: {reason}")]
    Message {
        message: &'static str,
        reason: String,
    },
    /// A column of the Arrow stream is missing or has the wrong type.
    #[error(transparent)]
    Columns(#[from] BatchError),
}

/// Why an item is not in the batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ItemError {
    /// A text longer than [`max_string_bytes`](super::BodyLimits::max_string_bytes).
    #[error(
        "{field}: a text of {bytes} bytes, at most {limit} are allowed (shorten it, or raise `api.max_string_bytes`)"
    )]
    TextTooLong {
        /// Field of the item.
        field: String,
        bytes: usize,
        limit: u64,
    },
    /// The item breaks a rule.
    #[error("{}{reason}", field.map(|field| format!("{field}: ")).unwrap_or_default())]
    Invalid {
        /// Field of the item, if the error is in one.
        field: Option<&'static str>,
        reason: String,
    },
    /// No mapping gives the series or the alert a storage.
    #[error("no rule of the mapping files gives it a `storage_id` (add a `[[{kind}]]` rule)")]
    NoStorage {
        /// Name of such a rule.
        kind: &'static str,
    },
    /// The item has bytes that are not UTF-8.
    #[error("not UTF-8 (byte {offset})")]
    NotUtf8 {
        /// Position of the first of them in the body.
        offset: usize,
    },
    /// A line of the body is not JSON.
    #[error("not JSON: {reason} (line {line}, column {column})")]
    Syntax {
        reason: String,
        /// Line of the body, from 1.
        line: usize,
        /// In bytes, from 1.
        column: usize,
    },
}

impl ItemError {
    /// Every value of [`reason`](Self::reason).
    pub const REASONS: [&'static str; 5] = [
        "text_too_long",
        "invalid",
        "no_storage",
        "not_utf8",
        "syntax",
    ];

    /// The kind of error, as a label of metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TextTooLong { .. } => "text_too_long",
            Self::Invalid { .. } => "invalid",
            Self::NoStorage { .. } => "no_storage",
            Self::NotUtf8 { .. } => "not_utf8",
            Self::Syntax { .. } => "syntax",
        }
    }

    /// The error of a body in which every item has to be valid.
    #[must_use]
    pub fn into_body_error(self, index: usize) -> IngestError {
        match self {
            Self::NotUtf8 { offset } => IngestError::NotUtf8 { offset },
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
            error @ (Self::TextTooLong { .. } | Self::Invalid { .. } | Self::NoStorage { .. }) => {
                IngestError::Item { index, error }
            }
        }
    }
}
