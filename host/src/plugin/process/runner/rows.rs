//! The rows of a call, from the payload of its message.
//!
//! Promises: a shared payload is not copied. The columns point into its mapping, which
//! lives as long as the last of them.

use abi_stable::std_types::RStr;
use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use bytes::Bytes;
use delfin_plugin_abi::BatchPart;
use delfin_plugin_protocol::{ExportMessage, PartMessage, SharedPayload, WireFrame};
use uuid::Uuid;

use crate::batch::codec;

/// The rows that the call is about.
pub(super) fn read(export: &ExportMessage, frame: WireFrame) -> Result<RecordBatch, String> {
    let bytes = match (export.shared, frame.descriptor) {
        (Some(shared), Some(descriptor)) => {
            let payload = SharedPayload::receive(descriptor, shared.len);
            let mapping = payload.and_then(|payload| payload.map());
            Bytes::from_owner(mapping.map_err(|error| error.to_string())?)
        }
        (Some(_), None) => return Err("the process has no free descriptor".to_owned()),
        (None, _) => Bytes::from(frame.payload),
    };
    let batch = codec::read_plain(Buffer::from(bytes)).map_err(|error| error.to_string())?;
    let Some([first, len]) = export.rows else {
        return Ok(batch);
    };
    let end = first.checked_add(len);
    if end.is_none_or(|end| end > batch.num_rows() as u64) {
        return Err("the payload does not have all rows of the call".to_owned());
    }
    // Both are at most the number of rows.
    Ok(batch.slice(first as usize, len as usize))
}

/// The parts of a call, as the plugin gets them.
pub(super) fn parts(parts: &[PartMessage]) -> Vec<BatchPart<'_>> {
    let parts = parts.iter().map(|part| BatchPart {
        batch_id: Uuid::try_parse(&part.batch_id)
            .unwrap_or_default()
            .into_bytes(),
        first_row: part.first_row,
        rows: part.rows,
        accepted_ms: part.accepted_ms,
        storage_id: RStr::from(part.storage_id.as_deref().unwrap_or_default()),
        complete: part.complete,
    });
    parts.collect()
}
