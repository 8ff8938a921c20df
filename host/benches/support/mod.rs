//! Batches to measure and to test with: as large and as shaped as those of
//! Delfin, the same for the same seed, and as Delfin writes them.

use std::fmt::Write as _;

use delfin_host::collect::{ResourceType, metric};
use delfin_plugin_api::{PerformanceBatch, PerformanceBatchBuilder};
use rand::{Rng, SeedableRng, rngs::StdRng};

/// How many resources of each type Delfin's fake driver reports: 31,629 series together.
fn count(resource_type: ResourceType) -> usize {
    match resource_type {
        ResourceType::Storage => 1,
        ResourceType::StoragePool | ResourceType::Disk => 100,
        ResourceType::Volume => 2_000,
        ResourceType::Controller => 5,
        ResourceType::Port | ResourceType::Filesystem => 10,
    }
}

/// One collection of one storage at its largest: 31,629 series with eight labels.
pub(crate) fn delfin_batch(points: usize, seed: u64) -> PerformanceBatch {
    let mut random = StdRng::seed_from_u64(seed);
    let mut batch = PerformanceBatchBuilder::new();
    for (resource_type, metrics) in metric::STANDARD {
        for resource in 0..count(resource_type) {
            let resource_type = resource_type.as_str();
            let resource_id = format!("{resource_type}_{resource}");
            for metric in metrics {
                let labels = [
                    ("storage_id", "4cfaa47f-a3e0-4491-88ff-6f22868c2801"),
                    ("resource_type", resource_type),
                    ("resource_id", &resource_id),
                    ("type", "RAW"),
                    ("unit", metric.unit),
                    ("value_type", "gauge"),
                    ("name", "fake_driver"),
                    ("serial_number", "9652b2fd-1b8d-4f85-9da1-bfe30ef485eb"),
                ];
                let points = (0..points).map(|nth| {
                    let time = 1_795_345_100_000 + 60_000 * nth as i64;
                    (time, random.random_range(1.0..100.0))
                });
                batch
                    .series(metric.name, labels, points)
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
