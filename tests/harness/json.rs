//! Batches as the JSON that ingest accepts, and JSON that was written line by line.

use std::path::Path;

use delfin_plugin_api::json::{Compact, JsonBatch, JsonWriter};
use serde_json::Value;

use crate::lines;

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

/// The values in the whole lines of a file; none if it does not exist.
#[must_use]
pub fn json_lines(path: &Path) -> Vec<Value> {
    let parsed = |line: String| {
        let value = serde_json::from_str(&line);
        value.unwrap_or_else(|error| panic!("{}: {error}: {line}", path.display()))
    };
    lines(path).into_iter().map(parsed).collect()
}
