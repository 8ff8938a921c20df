//! Storages that measure their windows, so that a test sees whether one is missing or there twice.

use std::{collections::BTreeMap, time::Duration};

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

/// A row for each window of [`FakeStorages`].
const WINDOW_EXPORTER: &str = r#"
performance_exporters = ["windows"]
[exporter.windows]
plugin = "PerformanceExporterFile"
[exporter.windows.filter]
include = ["name=iops"]
exclude = ["resource_type=volume"]
[exporter.windows.config]
path = "@/windows.jsonl"
"#;

/// The windows of a storage, each with its start and its end.
pub type Windows = Vec<(i64, i64)>;

/// Waits until [`EVERY_RECORD`] has all records, and reads the windows of each storage from its file, in their order there.
#[must_use]
pub fn collected_windows(host: &Host, setup: &Setup) -> BTreeMap<String, Windows> {
    host.wait_for_exporter("EveryRecord", "every record", |exporter| {
        exporter["pending"] == 0 && exporter["delivered"].as_u64() > Some(0)
    });
    let mut windows = BTreeMap::<String, Windows>::new();
    for row in setup.json_lines("records.jsonl") {
        if row["name"] != "iops" {
            continue;
        }
        let storage = row["labels"]["storage_id"].as_str().unwrap_or_default();
        let points = row["values"].as_object().into_iter().flatten();
        let window = points.map(|(start, end)| {
            let end = end.as_f64().unwrap_or_default();
            (start.parse().unwrap_or_default(), end as i64)
        });
        windows
            .entry(storage.to_owned())
            .or_default()
            .extend(window);
    }
    windows
}

/// Checks that windows follow each other without a gap, and that each is there once.
///
/// # Panics
///
/// A window is missing, or there twice.
pub fn assert_no_gap(storage: &str, windows: &[(i64, i64)]) {
    for pair in windows.windows(2) {
        assert_eq!(pair[0].1, pair[1].0, "{storage}: {pair:?}");
    }
}

/// Checks the windows of [`WINDOW_STORAGES`] that [`EVERY_RECORD`] has. Returns their number.
///
/// # Panics
///
/// As [`assert_no_gap`], or a storage has no windows.
pub fn assert_each_window_once(host: &Host, setup: &Setup) -> usize {
    let windows = collected_windows(host, setup);
    assert_eq!(windows.len(), 3, "{:?}", windows.keys());
    for (storage, windows) in &windows {
        assert_no_gap(storage, windows);
    }
    windows.values().map(Vec::len).sum()
}

/// Storages of the driver `fake_storage`, which have a point of each series in a window.
pub struct FakeStorages {
    pub count: usize,
    pub interval: Duration,
    pub volumes: usize,
}

/// The windows of all storages in a file of `PerformanceExporterFile`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliveredWindows {
    pub storages: usize,
    pub windows: usize,
    /// Of the storage that has the fewest.
    pub fewest: usize,
    /// Intervals in which no window begins, between two windows of a storage.
    pub missed: usize,
    /// Windows that are there again.
    pub repeated: usize,
}

impl FakeStorages {
    /// The exporter, whose file has one row for a window, and the tables of the storages. Storages of different clusters
    /// have different ids.
    #[must_use]
    pub fn config(&self, cluster: &str) -> String {
        let (volumes, interval) = (self.volumes, self.interval.as_millis());
        let storage = |number| {
            format!(
                "[[storage]]\nvendor = \"fake_storage\"\nmodel = \"fake_driver\"\nname = \"{cluster}-{number}\"\n\
                 performance.interval = \"{interval}ms\"\n\
                 options = {{ volumes = {volumes}, storage_pools = 0, controllers = 0, ports = 0, disks = 0, filesystems = 0 }}\n"
            )
        };
        let storages: String = (0..self.count).map(storage).collect();
        format!("{WINDOW_EXPORTER}{storages}")
    }

    /// Reads the windows that the exporter of a host has delivered.
    #[must_use]
    pub fn delivered(&self, setup: &Setup) -> DeliveredWindows {
        let mut starts = BTreeMap::<String, Vec<i64>>::new();
        for row in setup.json_lines("windows.jsonl") {
            let times = row["values"].as_object().into_iter().flatten();
            let start = times.filter_map(|(time, _)| time.parse::<i64>().ok()).min();
            let storage = row["labels"]["storage_id"].to_string();
            starts.entry(storage).or_default().extend(start);
        }
        let mut found = DeliveredWindows {
            storages: starts.len(),
            fewest: starts.values().map(Vec::len).min().unwrap_or_default(),
            ..DeliveredWindows::default()
        };
        for mut starts in starts.into_values() {
            found.windows += starts.len();
            starts.sort_unstable();
            for pair in starts.windows(2) {
                let gap = (pair[1] - pair[0]) as f64 / self.interval.as_millis() as f64;
                found.missed += (gap.round() as usize).saturating_sub(1);
                found.repeated += usize::from(pair[0] == pair[1]);
            }
        }
        found
    }
}
