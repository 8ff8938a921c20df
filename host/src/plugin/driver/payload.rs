//! The payload that a driver process has sent. A batch is checked as the body of a request is.

use std::borrow::Cow;

use delfin_plugin_api::{AlertBatch, Kind, PerformanceBatch};

use super::answer::UncheckedPayload;
use crate::{
    batch::AnyBatch,
    clock::now_ms,
    collect::{DriverError, ResourceFields},
    ingest::{
        BodyEncoding, BodyFormat, BodyLimits, IngestError, ParseGuard, ParsedItems, RequestBody,
        parse,
    },
};

pub(super) fn performance(
    payload: UncheckedPayload,
    limits: &BodyLimits,
    storage_id: &str,
) -> Result<PerformanceBatch, DriverError> {
    match batch(Kind::Performance, payload, limits, storage_id)? {
        AnyBatch::Performance(batch) => Ok(batch),
        AnyBatch::Alerts(_) => Err(bad("the payload is not a performance batch")),
    }
}

pub(super) fn alerts(
    payload: UncheckedPayload,
    limits: &BodyLimits,
    storage_id: &str,
) -> Result<AlertBatch, DriverError> {
    match batch(Kind::Alert, payload, limits, storage_id)? {
        AnyBatch::Alerts(batch) => Ok(batch),
        AnyBatch::Performance(_) => Err(bad("the payload is not an alert batch")),
    }
}

/// A list of resources as JSON text.
pub(super) fn resources(
    payload: UncheckedPayload,
    limits: &BodyLimits,
) -> Result<Vec<ResourceFields>, DriverError> {
    let listed = with_bytes(payload, limits, |bytes| serde_json::from_slice(&bytes))?;
    listed.map_err(|error| bad(format!("the payload is not a list of resources: {error}")))
}

fn batch(
    kind: Kind,
    payload: UncheckedPayload,
    limits: &BodyLimits,
    storage_id: &str,
) -> Result<AnyBatch, DriverError> {
    let parsed = with_bytes(payload, limits, |bytes| parse_bytes(kind, bytes, limits))?;
    let parsed = parsed.map_err(|error| bad(error.to_string()))?;
    if let Some(first) = parsed.rejected.named().next() {
        log::warn!(
            storage = storage_id, kind = kind.as_str(), rows = parsed.rejected.total(),
            first = first.index, error:% = first.error;
            "the driver has sent rows that are not valid, they are left out"
        );
    }
    Ok(parsed.batch)
}

/// Calls `read` with the bytes of a payload, unless they are too many.
fn with_bytes<T>(
    payload: UncheckedPayload,
    limits: &BodyLimits,
    read: impl FnOnce(Cow<'_, [u8]>) -> T,
) -> Result<T, DriverError> {
    match payload {
        UncheckedPayload::Inline(bytes) => Ok(read(bytes.into())),
        UncheckedPayload::Shared(shared) => {
            let limit = limits.max_decompressed_bytes;
            if shared.size() > limit {
                let size = shared.size();
                return Err(bad(format!(
                    "a payload has {size} bytes, at most {limit} are allowed (see `api.max_decompressed_bytes`)"
                )));
            }
            let mapped = shared.map().map_err(|error| bad(error.to_string()))?;
            Ok(read(mapped.as_ref().into()))
        }
    }
}

fn parse_bytes(
    kind: Kind,
    bytes: Cow<'_, [u8]>,
    limits: &BodyLimits,
) -> Result<ParsedItems, IngestError> {
    let body = RequestBody {
        format: BodyFormat::ArrowStream,
        encoding: BodyEncoding::Identity,
        bytes,
    };
    parse(kind, body, limits, now_ms(), ParseGuard::unlimited(limits))
}

fn bad(reason: impl Into<String>) -> DriverError {
    DriverError::BadAnswer {
        reason: reason.into(),
    }
}
