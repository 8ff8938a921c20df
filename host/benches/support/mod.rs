//! Batches to measure and to test with: as large and as shaped as those of
//! Delfin, the same for the same seed, and as Delfin writes them.

use std::fmt::Write as _;

use delfin_plugin_api::{PerformanceBatch, PerformanceBatchBuilder};
use rand::{Rng, SeedableRng, rngs::StdRng};

/// The resource types of a storage, how many resources of each Delfin's fake
/// driver reports, and the metrics of each: 31,629 series together.
const RESOURCES: [(&str, usize, &[&str]); 7] = [
    ("storage", 1, STORAGE),
    ("storagePool", 100, BASIC),
    ("volume", 2000, VOLUME),
    ("controller", 5, CONTROLLER),
    ("port", 10, BASIC),
    ("disk", 100, BASIC),
    ("filesystem", 10, FILESYSTEM),
];

const BASIC: &[&str] = &[
    "throughput",
    "responseTime",
    "iops",
    "readThroughput",
    "writeThroughput",
    "readIops",
    "writeIops",
];
const CONTROLLER: &[&str] = &[
    "throughput",
    "responseTime",
    "iops",
    "readThroughput",
    "writeThroughput",
    "readIops",
    "writeIops",
    "cpuUsage",
];
const STORAGE: &[&str] = &[
    "throughput",
    "responseTime",
    "readResponseTime",
    "writeResponseTime",
    "iops",
    "readThroughput",
    "writeThroughput",
    "readIops",
    "writeIops",
];
const VOLUME: &[&str] = &[
    "throughput",
    "responseTime",
    "readResponseTime",
    "writeResponseTime",
    "iops",
    "readThroughput",
    "writeThroughput",
    "readIops",
    "writeIops",
    "cacheHitRatio",
    "readCacheHitRatio",
    "writeCacheHitRatio",
    "ioSize",
    "readIoSize",
    "writeIoSize",
];
const FILESYSTEM: &[&str] = &[
    "throughput",
    "readResponseTime",
    "writeResponseTime",
    "iops",
    "readThroughput",
    "writeThroughput",
    "readIops",
    "writeIops",
    "ioSize",
    "readIoSize",
    "writeIoSize",
];

/// One collection of one storage at its largest: 31,629 series with eight labels.
pub(crate) fn delfin_batch(points: usize, seed: u64) -> PerformanceBatch {
    let mut random = StdRng::seed_from_u64(seed);
    let mut batch = PerformanceBatchBuilder::new();
    for (resource_type, count, metrics) in RESOURCES {
        for resource in 0..count {
            let resource_id = format!("{resource_type}_{resource}");
            for metric in metrics {
                let labels = [
                    ("storage_id", "4cfaa47f-a3e0-4491-88ff-6f22868c2801"),
                    ("resource_type", resource_type),
                    ("resource_id", &resource_id),
                    ("type", "RAW"),
                    ("unit", unit(metric)),
                    ("value_type", "gauge"),
                    ("name", "fake_driver"),
                    ("serial_number", "9652b2fd-1b8d-4f85-9da1-bfe30ef485eb"),
                ];
                let points = (0..points).map(|nth| {
                    let time = 1_795_345_100_000 + 60_000 * nth as i64;
                    (time, random.random_range(1.0..100.0))
                });
                batch
                    .series(metric, labels, points)
                    .expect("a batch of this size fits");
            }
        }
    }
    batch.build()
}

/// The batch in the JSON of Delfin's exporters, one array.
pub(crate) fn as_json(batch: &PerformanceBatch) -> String {
    let mut json = String::from("[");
    for series in batch.series() {
        let separator = if json.len() == 1 { "" } else { ", " };
        let labels: Vec<_> = series
            .labels()
            .iter()
            .map(|(key, value)| format!("{}: {}", quoted(key), quoted(value)))
            .collect();
        let values: Vec<_> = series
            .points()
            .map(|(time, value)| format!("\"{time}\": {}", serde_json::json!(value)))
            .collect();
        let (labels, values) = (labels.join(", "), values.join(", "));
        let name = quoted(series.name());
        write!(
            json,
            "{separator}{{\"name\": {name}, \"labels\": {{{labels}}}, \"values\": {{{values}}}}}"
        )
        .expect("a string takes what is written to it");
    }
    json.push(']');
    json
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn unit(metric: &str) -> &'static str {
    match metric {
        "cpuUsage" => "%",
        _ if metric.ends_with("Ratio") => "%",
        _ if metric.ends_with("hroughput") => "MB/s",
        _ if metric.ends_with("Time") => "ms",
        _ if metric.ends_with("Size") => "KB",
        _ => "IOPS",
    }
}
