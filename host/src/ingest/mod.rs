//! Request bodies to batches.
//!
//! A body is either Delfin's JSON or an Arrow IPC stream, plain or compressed.
//! Its valid items become one batch, and each of the others is told with what is
//! wrong with it; a mistake that is no item's own is the whole body's. What a
//! body may cost is bounded by [`Limits`] while it is read, not afterwards.
//!
//! Series keep the order of their points, and batches the order of their items.
//! In JSON a label, or a field of an alert, may also be a number or a boolean: it
//! is kept as it is written there. A field of an alert that is `null` is absent;
//! nothing else may be `null`.
//!
//! Knows nothing of HTTP but two header values, and stores nothing.

mod arrow;
mod body;
mod error;
mod json;
mod media;
mod rejected;
mod rules;

pub use error::{IngestError, ItemError};
pub use media::{Encoding, Format};
pub use rejected::{Rejected, RejectedItem};

use delfin_plugin_api::Kind;

use crate::batch::AnyBatch;

use crate::config::ApiConfig;

/// A body as it was sent, and what its sender says it is.
#[derive(Clone, Copy, Debug)]
pub struct Payload<'a> {
    /// What the bytes are once they are decompressed.
    pub format: Format,
    /// How they are compressed.
    pub encoding: Encoding,
    /// The bytes.
    pub bytes: &'a [u8],
}

/// What one body may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes after decompression, `api.max_decompressed_bytes`. The columns of a
    /// batch end at 2 GiB, and so does a body, whatever is set here.
    pub max_decompressed_bytes: u64,
    /// Series or alerts, `api.max_rows`.
    pub max_rows: u64,
    /// Bytes of one name, label or other text, `api.max_string_bytes`.
    pub max_string_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self::from(&ApiConfig::default())
    }
}

impl From<&ApiConfig> for Limits {
    fn from(config: &ApiConfig) -> Self {
        Self {
            max_decompressed_bytes: config.max_decompressed_bytes,
            max_rows: config.max_rows,
            max_string_bytes: config.max_string_bytes,
        }
    }
}

/// What a body holds.
#[derive(Debug)]
pub struct Sifted {
    /// Its valid items.
    pub batch: AnyBatch,
    /// The others.
    pub rejected: Rejected,
}

/// Turns a body into a batch of the wanted kind.
///
/// `now_ms`, in milliseconds since the epoch, is when an alert occurred that does
/// not say so itself.
///
/// # Errors
///
/// The body does not hold such a batch, or more than the limits allow; of its
/// mistakes the first one.
pub fn parse(
    kind: Kind,
    payload: Payload<'_>,
    limits: &Limits,
    now_ms: i64,
) -> Result<AnyBatch, IngestError> {
    let Sifted { batch, rejected } = sift(kind, payload, limits, now_ms)?;
    rejected.whole(batch)
}

/// Turns the valid items of a body into a batch of the wanted kind, which may
/// then have none. Otherwise as [`parse`].
///
/// # Errors
///
/// The body does not hold items, or more than the limits allow.
pub fn sift(
    kind: Kind,
    payload: Payload<'_>,
    limits: &Limits,
    now_ms: i64,
) -> Result<Sifted, IngestError> {
    let bytes = body::decompress(payload.bytes, payload.encoding, limits)?;
    if bytes.is_empty() {
        return Err(IngestError::Empty);
    }
    let (batch, rejected) = match kind {
        Kind::Performance => {
            let (batch, rejected) = match payload.format {
                Format::Json => json::performance(&bytes, limits)?,
                Format::ArrowStream => arrow::performance(bytes, limits)?,
            };
            (batch.into(), rejected)
        }
        Kind::Alert => {
            let (batch, rejected) = match payload.format {
                Format::Json => json::alerts(&bytes, limits, now_ms)?,
                Format::ArrowStream => arrow::alerts(bytes, limits, now_ms)?,
            };
            (batch.into(), rejected)
        }
    };
    Ok(Sifted { batch, rejected })
}
