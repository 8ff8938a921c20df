//! The payload of a request: encoded for all exporters, or for this request alone.

use std::{io, sync::Arc};

use crate::{
    batch::{BatchPayload, StoredBatch, used_bytes},
    panics,
    plugin::call::{ExportRequest, StoredRows},
};

/// Rows of at most so many bytes are encoded in less time than another thread needs to start.
const SMALL: usize = 128 << 10;

/// A payload, and which of its rows the request is about; `None`: all of them.
pub(super) struct EncodedRequest {
    pub(super) payload: Arc<BatchPayload>,
    pub(super) rows: Option<[u64; 2]>,
}

/// Encodes the rows of a request. Those of a batch that other exporters send as well are
/// encoded for all of them, unless the process cannot receive descriptors.
///
/// # Errors
///
/// No memory or no descriptor is left.
pub(super) async fn encode(
    request: Arc<ExportRequest>,
    is_inline: bool,
) -> io::Result<EncodedRequest> {
    if !is_inline && let Some(encoded) = encoded_before(&request) {
        return Ok(encoded);
    }
    if used_bytes(&request.arrow) <= SMALL {
        return encode_here(&request, is_inline);
    }
    // An async worker must not be busy for so long, nor wait until another exporter has
    // encoded the batch.
    let encoded = panics::spawn_blocking(move || encode_here(&request, is_inline)).await;
    encoded.map_err(io::Error::other)?
}

fn encoded_before(request: &ExportRequest) -> Option<EncodedRequest> {
    let StoredRows { batch, first_row } = request.stored.as_ref()?;
    let payload = batch.payload.encoded_before()?;
    Some(EncodedRequest {
        payload,
        rows: rows_of(request, batch, (*first_row)?),
    })
}

fn encode_here(request: &ExportRequest, is_inline: bool) -> io::Result<EncodedRequest> {
    if is_inline {
        return BatchPayload::encode_inline(&request.arrow).map(of_request);
    }
    let Some(StoredRows { batch, first_row }) = &request.stored else {
        return BatchPayload::encode(&request.arrow).map(of_request);
    };
    let shared = match first_row {
        Some(first_row) => batch.payload.of_batch(&batch.arrow)?.zip(Some(*first_row)),
        None => None,
    };
    let Some((payload, first_row)) = shared else {
        return batch.payload.of_request(&request.arrow).map(of_request);
    };
    Ok(EncodedRequest {
        payload,
        rows: rows_of(request, batch, first_row),
    })
}

/// Which rows of the batch the request has; `None`: all of them.
fn rows_of(request: &ExportRequest, batch: &StoredBatch, first_row: usize) -> Option<[u64; 2]> {
    let rows = request.arrow.num_rows();
    (rows < batch.arrow.num_rows()).then_some([first_row as u64, rows as u64])
}

fn of_request(payload: BatchPayload) -> EncodedRequest {
    EncodedRequest {
        payload: Arc::new(payload),
        rows: None,
    }
}
