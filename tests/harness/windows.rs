//! Storages that measure their windows, so that a test sees whether one is missing or there twice.

use std::collections::BTreeMap;

use crate::{Host, Setup};

/// Three storages. Each series has a point at the start of the window, whose value is its end. For the configuration of a host
/// with the plugin `scripted`.
pub const WINDOW_STORAGES: &str = r#"
[[storage]]
vendor = "scripted"
model = "patient"
name = "one"
options = { mode = "windows" }
performance.interval = "20ms"
[[storage]]
vendor = "scripted"
model = "patient"
name = "two"
options = { mode = "windows" }
performance.interval = "50ms"
[[storage]]
vendor = "scripted"
model = "patient"
name = "three"
options = { mode = "windows" }
performance.interval = "170ms"
"#;

/// An exporter that has not run before: it gets every record of the journal once.
pub const EVERY_RECORD: &str = r#"
[exporter.EveryRecord]
plugin = "PerformanceExporterFile"
start_from = "earliest"
[exporter.EveryRecord.config]
path = "@/records.jsonl"
"#;

/// Waits until [`EVERY_RECORD`] has all records, and checks the windows of [`WINDOW_STORAGES`] in its file: those of a storage
/// follow each other without a gap, and each is there once. Returns their number.
///
/// # Panics
///
/// A window is missing, or there twice, or a storage has none.
pub fn assert_each_window_once(host: &Host, setup: &Setup) -> usize {
    host.wait_for_exporter("EveryRecord", "every record", |exporter| {
        exporter["pending"] == 0 && exporter["delivered"].as_u64() > Some(0)
    });
    let mut windows = BTreeMap::<String, Vec<(i64, i64)>>::new();
    for row in setup.json_lines("records.jsonl") {
        if row["name"] != "iops" {
            continue;
        }
        let storage = row["labels"]["storage_id"].to_string();
        let points = row["values"].as_object().into_iter().flatten();
        let window = points.map(|(start, end)| {
            let end = end.as_f64().unwrap_or_default();
            (start.parse().unwrap_or_default(), end as i64)
        });
        windows.entry(storage).or_default().extend(window);
    }
    assert_eq!(windows.len(), 3, "{:?}", windows.keys());
    for (storage, windows) in &windows {
        for pair in windows.windows(2) {
            assert_eq!(pair[0].1, pair[1].0, "{storage}: {pair:?}");
        }
    }
    windows.values().map(Vec::len).sum()
}
