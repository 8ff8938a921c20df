//! The payload of a request: encoded for all exporters, or for this request alone.

use std::{io, sync::Arc};

use crate::{
    batch::BatchPayload,
    plugin::call::{ExportRequest, StoredRows},
};

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
pub(super) fn encode(request: &ExportRequest, is_inline: bool) -> io::Result<EncodedRequest> {
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
    let rows = request.arrow.num_rows();
    let is_whole = rows == batch.arrow.num_rows();
    Ok(EncodedRequest {
        payload,
        rows: (!is_whole).then_some([first_row as u64, rows as u64]),
    })
}

fn of_request(payload: BatchPayload) -> EncodedRequest {
    EncodedRequest {
        payload: Arc::new(payload),
        rows: None,
    }
}
