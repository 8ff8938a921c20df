//! Batches as the JSON that ingest accepts.

use delfin_plugin_api::json::{Compact, JsonBatch, JsonWriter};

/// The rows of a batch as one array.
#[must_use]
pub fn as_json(batch: &impl JsonBatch) -> String {
    let (mut writer, mut json) = (JsonWriter::<Compact>::new(), vec![b'[']);
    for row in batch.json_rows() {
        if json.len() > 1 {
            json.push(b',');
        }
        writer.write(row, &mut json);
    }
    json.push(b']');
    String::from_utf8_lossy(&json).into_owned()
}
