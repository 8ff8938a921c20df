//! Performance batches for ingest.

use serde_json::{Map, Value, json};

/// A batch of one series, with a point for each minute.
#[must_use]
pub fn one_series(name: &str, points: u64) -> Value {
    let times = (0..points).map(|minute| (1_700_000_000_000 + minute * 60_000).to_string());
    let values: Map<_, _> = times.map(|time| (time, json!(1.5))).collect();
    let labels = json!({ "storage_id": "s1", "resource_type": "disk", "resource_id": "d1" });
    json!([{ "name": name, "labels": labels, "values": values }])
}
