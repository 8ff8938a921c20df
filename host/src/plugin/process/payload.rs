//! The payload of a request: encoded for all exporters, or for this request alone.

use std::{io, sync::Arc};

use delfin_plugin_protocol::{FramePayload, SharedForm};

use crate::{
    batch::{BatchPayload, StoredBatch, used_bytes},
    panics,
    plugin::call::{ExportRequest, StoredRows},
};

/// Rows of at most so many bytes are encoded in less time than another thread needs to start.
const SMALL: usize = 128 << 10;

/// How a process gets large payloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PayloadForm {
    /// It cannot receive descriptors.
    Inline,
    /// As a file that does not change.
    Sealed,
    /// As a file that has another payload later. The process keeps what it has mapped.
    File,
}

/// A payload, and which of its rows the request is about; `None`: all of them.
pub(super) struct EncodedRequest {
    pub(super) payload: Arc<BatchPayload>,
    pub(super) rows: Option<[u64; 2]>,
}

impl PayloadForm {
    pub(super) fn frame(self, payload: &BatchPayload) -> (Option<SharedForm>, FramePayload<'_>) {
        payload.as_frame(self == Self::File)
    }
}

/// Encodes the rows of a request. Those of a batch that other exporters send as well are
/// encoded for all of them, unless the process cannot receive descriptors.
///
/// # Errors
///
/// No memory or no descriptor is left.
pub(super) async fn encode(
    request: Arc<ExportRequest>,
    form: PayloadForm,
) -> io::Result<EncodedRequest> {
    if let Some(encoded) = encoded_before(&request, form) {
        return Ok(encoded);
    }
    if used_bytes(&request.arrow) <= SMALL {
        return encode_here(&request, form);
    }
    // An async worker must not be busy for so long, nor wait until another exporter has
    // encoded the batch.
    let encoded = panics::spawn_blocking(move || encode_here(&request, form)).await;
    encoded.map_err(io::Error::other)?
}

/// Encodes the rows of a request before it is sent to a process that can receive descriptors.
pub fn encode_ahead(request: &ExportRequest) {
    // Without memory or a descriptor, the call is told.
    drop(encode_shared(request));
}

fn encoded_before(request: &ExportRequest, form: PayloadForm) -> Option<EncodedRequest> {
    if form == PayloadForm::Inline {
        return None;
    }
    let stored = request.stored.as_ref()?;
    let StoredRows { batch, .. } = stored;
    let encoded = match stored.payload.get() {
        Some(payload) => of_request(Arc::clone(payload)),
        None => EncodedRequest {
            payload: batch.payload.encoded_before()?,
            rows: rows_of(request, batch, stored.first_row?),
        },
    };
    (form == PayloadForm::File || encoded.payload.is_sealed()).then_some(encoded)
}

fn encode_here(request: &ExportRequest, form: PayloadForm) -> io::Result<EncodedRequest> {
    if form == PayloadForm::Inline {
        let payload = BatchPayload::encode_inline(&request.arrow)?;
        return Ok(of_request(Arc::new(payload)));
    }
    let encoded = encode_shared(request)?;
    if form == PayloadForm::Sealed {
        encoded.payload.seal()?;
    }
    Ok(encoded)
}

fn encode_shared(request: &ExportRequest) -> io::Result<EncodedRequest> {
    let Some(stored) = &request.stored else {
        let payload = BatchPayload::encode(&request.arrow)?;
        return Ok(of_request(Arc::new(payload)));
    };
    let StoredRows { batch, .. } = stored;
    let shared = match stored.first_row {
        Some(first_row) => batch.payload.of_batch(&batch.arrow)?.zip(Some(first_row)),
        None => None,
    };
    let Some((payload, first_row)) = shared else {
        let payload = match stored.payload.get() {
            Some(payload) => Arc::clone(payload),
            None => Arc::new(batch.payload.of_request(&request.arrow)?),
        };
        return Ok(of_request(Arc::clone(
            stored.payload.get_or_init(|| payload),
        )));
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

fn of_request(payload: Arc<BatchPayload>) -> EncodedRequest {
    EncodedRequest {
        payload,
        rows: None,
    }
}
