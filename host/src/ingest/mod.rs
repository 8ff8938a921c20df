//! Request bodies to batches.
//!
//! A body is Delfin's JSON or an Arrow IPC stream, plain or compressed. Its valid
//! items become one batch, and each invalid item is reported with its error; an
//! error that belongs to no single item is the error of the whole body.
//! [`BodyLimits`] apply while a body is read, so a body never costs more than they
//! allow.
//!
//! Series keep the order of their points, and batches the order of their items.
//! In JSON a label, or a field of an alert, may also be a number or a boolean: its
//! JSON text becomes the value. A label or a field that is `null` is absent; nothing
//! else may be `null`. What is accepted although it is unusual is in the [`IngestNotes`].
//!
//! Knows nothing of HTTP except two header values, and stores nothing.

mod arrow;
mod decompress;
mod error;
mod guard;
mod headers;
mod json;
mod memory;
mod notes;
mod queues;
mod rejected;
mod rules;
mod times;
mod turns;

pub use decompress::decompress;
pub use error::{IngestError, ItemError};
pub use guard::ParseGuard;
pub use headers::{BodyEncoding, BodyFormat};
pub use memory::{MemoryClaim, MemoryUse, RequestMemory};
pub use notes::{IngestNotes, NoteKind};
pub use queues::{ParseQueues, QueuePlace};
pub use rejected::{ItemRejection, RejectedItems};
pub use rules::{MAX_LABELS, TimestampCheck, excerpt};
pub use times::TimeReader;

use std::{borrow::Cow, time::Duration};

use delfin_plugin_api::Kind;

use crate::{batch::AnyBatch, config::ApiConfig};

/// The bytes of a body, and what its headers say about them.
#[derive(Clone, Debug)]
pub struct RequestBody<'a> {
    /// Format after decompression.
    pub format: BodyFormat,
    pub encoding: BodyEncoding,
    pub bytes: Cow<'a, [u8]>,
}

/// Limits of one body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimits {
    /// Bytes after decompression, and bytes of the rows when each has its own copy of
    /// texts that an Arrow stream holds once: `api.max_decompressed_bytes`. A higher limit
    /// than 2 GiB has no effect: the columns of a batch cannot be larger.
    pub max_decompressed_bytes: u64,
    /// Series or alerts, `api.max_rows`.
    pub max_rows: u64,
    /// Bytes of one name, label or other text, `api.max_string_bytes`.
    pub max_string_bytes: u64,
    /// The time of a processor that parsing may take.
    pub max_parse_time: Duration,
}

impl BodyLimits {
    /// # Errors
    ///
    /// The text of a field is longer than a text may be.
    pub(crate) fn check_text(&self, field: &str, text: &str) -> Result<(), ItemError> {
        let (bytes, limit) = (text.len(), self.max_string_bytes);
        if bytes as u64 <= limit {
            return Ok(());
        }
        Err(ItemError::TextTooLong {
            field: field.to_owned(),
            bytes,
            limit,
        })
    }
}

/// The most memory of a JSON value for each byte of its text: `[0,0,…]` in a vector that has grown.
pub const JSON_MEMORY_FACTOR: usize = 32;

/// Far longer than the largest body takes, and short enough that few such bodies keep the
/// processors busy.
const MAX_PARSE_TIME: Duration = Duration::from_secs(30);

impl Default for BodyLimits {
    fn default() -> Self {
        Self::from(&ApiConfig::default())
    }
}

impl From<&ApiConfig> for BodyLimits {
    fn from(config: &ApiConfig) -> Self {
        Self {
            max_decompressed_bytes: config.max_decompressed_bytes,
            max_rows: config.max_rows,
            max_string_bytes: config.max_string_bytes,
            max_parse_time: MAX_PARSE_TIME,
        }
    }
}

/// The items of a body.
#[derive(Debug)]
pub struct ParsedItems<B = AnyBatch> {
    /// The valid items.
    pub batch: B,
    /// The invalid items.
    pub rejected: RejectedItems,
    /// Remarks about the valid items.
    pub notes: IngestNotes,
    /// The storage whose alerts are all in the body, if the body names it.
    pub complete_for: Option<String>,
    /// The memory that parsing took. The batch keeps a part of it.
    pub claim: MemoryClaim,
}

impl<B> ParsedItems<B> {
    #[must_use]
    pub fn new(batch: B, rejected: RejectedItems, notes: IngestNotes, guard: ParseGuard) -> Self {
        Self {
            batch,
            rejected,
            notes,
            complete_for: None,
            claim: guard.into_claim(),
        }
    }
}

impl<B: Into<AnyBatch>> ParsedItems<B> {
    fn of_any_kind(self) -> ParsedItems {
        ParsedItems {
            batch: self.batch.into(),
            rejected: self.rejected,
            notes: self.notes,
            complete_for: self.complete_for,
            claim: self.claim,
        }
    }
}

/// Parses a body whose items must all be valid. Otherwise as [`parse`].
///
/// # Errors
///
/// The first error of the body: it does not hold a batch of this kind, an item is
/// invalid, or a limit is exceeded.
pub fn parse_strict(
    kind: Kind,
    body: RequestBody<'_>,
    limits: &BodyLimits,
    now_ms: i64,
) -> Result<AnyBatch, IngestError> {
    let parsed = parse(kind, body, limits, now_ms, ParseGuard::unlimited(limits))?;
    parsed.rejected.require_empty(parsed.batch)
}

/// Parses a body that is one JSON value.
///
/// # Errors
///
/// The body is not JSON, or a limit is exceeded.
pub fn parse_json(
    body: RequestBody<'_>,
    limits: &BodyLimits,
    mut guard: ParseGuard,
) -> Result<ParsedItems<serde_json::Value>, IngestError> {
    let bytes = decompress(body.bytes, body.encoding, limits, &mut guard)?;
    guard.hold_body(bytes.len())?;
    guard.check(bytes.len().saturating_mul(JSON_MEMORY_FACTOR))?;
    let value = serde_json::from_slice(&bytes).map_err(|error| IngestError::Value {
        reason: error.to_string(),
    })?;
    let rejected = RejectedItems::default();
    Ok(ParsedItems::new(
        value,
        rejected,
        IngestNotes::default(),
        guard,
    ))
}

/// Parses a body into a batch of its valid items, which may be empty, and the
/// invalid ones.
///
/// `now_ms`, in milliseconds since the Unix epoch, becomes the time of alerts that
/// have none, and decides which times are in the future. `guard` limits time and memory.
///
/// # Errors
///
/// The body does not hold items of this kind, or a limit is exceeded.
pub fn parse(
    kind: Kind,
    body: RequestBody<'_>,
    limits: &BodyLimits,
    now_ms: i64,
    mut guard: ParseGuard,
) -> Result<ParsedItems, IngestError> {
    let bytes = decompress(body.bytes, body.encoding, limits, &mut guard)?;
    if bytes.is_empty() {
        return Err(IngestError::Empty);
    }
    guard.hold_body(bytes.len())?;
    Ok(match (kind, body.format) {
        (Kind::Performance, BodyFormat::Json) => {
            json::performance(&bytes, limits, now_ms, guard)?.of_any_kind()
        }
        (Kind::Performance, BodyFormat::ArrowStream) => {
            arrow::performance(bytes, limits, now_ms, guard)?.of_any_kind()
        }
        (Kind::Alert, BodyFormat::Json) => {
            json::alerts(&bytes, limits, now_ms, guard)?.of_any_kind()
        }
        (Kind::Alert, BodyFormat::ArrowStream) => {
            arrow::alerts(bytes, limits, now_ms, guard)?.of_any_kind()
        }
    })
}
