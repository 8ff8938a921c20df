//! The rows of a call, from the payload of its message.
//!
//! Promises: a payload is not copied. The columns point into it, and its memory lives as long as
//! the last of them.

#![expect(unsafe_code, reason = "the payload of the host is trusted")]

use std::ptr;

use abi_stable::std_types::RStr;
use arrow_buffer::Buffer;
use arrow_data::ArrayData;
use arrow_schema::DataType;
use bytes::Bytes;
use delfin_plugin_abi::{ArrowBatch, BatchPart};
use delfin_plugin_api::__glue::{OwnedSchema, export_rows};
use delfin_plugin_protocol::{
    ExportMessage, PartMessage, SharedFile, SharedForm, SharedPayload, WireFrame,
};
use uuid::Uuid;

use super::mappings::KeptMappings;
use crate::batch::codec::TrustedReader;

/// Reads the rows of one call after the other, usually all with the same columns.
#[derive(Default)]
pub(super) struct RowReader {
    payloads: TrustedReader,
    mappings: KeptMappings,
    schema: Option<(DataType, OwnedSchema)>,
}

impl RowReader {
    /// The rows that the call is about.
    pub(super) fn read(
        &mut self,
        export: &ExportMessage,
        frame: WireFrame,
    ) -> Result<ArrayData, String> {
        let bytes: Buffer = match (export.shared, frame.descriptor) {
            (Some(shared), Some(descriptor)) => self.shared(shared, descriptor)?.into(),
            (Some(_), None) => return Err("the process has no free descriptor".to_owned()),
            (None, _) => frame.payload.into(),
        };
        // SAFETY: the host is this program. It writes each payload, or validates what it has
        // written into its journal.
        let rows = unsafe { self.payloads.read(&bytes) }.map_err(|error| error.to_string())?;
        let Some([first, len]) = export.rows else {
            return Ok(rows);
        };
        let end = first.checked_add(len);
        if end.is_none_or(|end| end > rows.len() as u64) {
            return Err("the payload does not have all rows of the call".to_owned());
        }
        // Both are at most the number of rows.
        Ok(rows.sliced(first as usize, len as usize))
    }

    /// The content of a shared payload.
    fn shared(&mut self, shared: SharedForm, descriptor: SharedFile) -> Result<Bytes, String> {
        let Some(number) = shared.file else {
            let payload = SharedPayload::receive(descriptor, shared.len);
            let mapping = payload.and_then(|payload| payload.map());
            return Ok(Bytes::from_owner(
                mapping.map_err(|error| error.to_string())?,
            ));
        };
        let content = self.mappings.content(number, &descriptor);
        let mut content = content.map_err(|error| error.to_string())?;
        if shared.len > content.len() as u64 {
            return Err("the payload is longer than its file".to_owned());
        }
        content.truncate(shared.len as usize);
        Ok(content)
    }

    /// Whether rows of the last payload in a kept file are still there.
    pub(super) fn are_kept(&mut self) -> bool {
        self.mappings.is_in_use()
    }

    /// The rows as a plugin gets them, by reference.
    pub(super) fn lend(&mut self, rows: &ArrayData) -> ArrowBatch<'_> {
        let known = self.schema.take();
        let known = known.filter(|(known, _)| is_same(known, rows.data_type()));
        let (_, schema) = self.schema.insert(known.unwrap_or_else(|| {
            let data_type = rows.data_type();
            (data_type.clone(), OwnedSchema::new(data_type))
        }));
        ArrowBatch {
            array: export_rows(rows),
            schema: schema.lend(),
        }
    }
}

/// Whether two types are equal. The types of consecutive payloads are usually the same object.
fn is_same(one: &DataType, other: &DataType) -> bool {
    match (one, other) {
        (DataType::Struct(one), DataType::Struct(other)) if ptr::eq(&**one, &**other) => true,
        _ => one == other,
    }
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
