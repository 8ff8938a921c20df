//! Batches with generated content, for tests, benchmarks and `delfin-host try`.
//!
//! Promises: the same arguments give the same batch on every machine.

use crate::{AlertBatch, AlertBatchBuilder, NewAlert, PerformanceBatch, PerformanceBatchBuilder};

/// The time of the first point and of every alert, in milliseconds since the Unix
/// epoch.
pub const START_MS: i64 = 1_700_000_000_000;

const STORAGE: &str = "0d0a1f6e-2f0b-5c1e-9a55-6a2b6c6f2d10";

/// The metrics of a volume, with their units.
const METRICS: [(&str, &str); 15] = [
    ("throughput", "MB/s"),
    ("responseTime", "ms"),
    ("readResponseTime", "ms"),
    ("writeResponseTime", "ms"),
    ("iops", "IOPS"),
    ("readThroughput", "MB/s"),
    ("writeThroughput", "MB/s"),
    ("readIops", "IOPS"),
    ("writeIops", "IOPS"),
    ("cacheHitRatio", "%"),
    ("readCacheHitRatio", "%"),
    ("writeCacheHitRatio", "%"),
    ("ioSize", "KB"),
    ("readIoSize", "KB"),
    ("writeIoSize", "KB"),
];

/// The severities of the alerts, in turn.
const SEVERITIES: [&str; 4] = ["Major", "Critical", "Fatal", "Warning"];

/// A batch of `series` series of volumes with `points` points each, one per minute.
/// The batch ends early where its columns are full.
#[must_use]
pub fn performance(series: usize, points: usize) -> PerformanceBatch {
    let mut batch = PerformanceBatchBuilder::new();
    let mut random = Random(series as u64);
    for index in 0..series {
        let (name, unit) = METRICS[index % METRICS.len()];
        let volume = format!("volume_{}", index / METRICS.len());
        let labels = [
            ("storage_id", STORAGE),
            ("name", "sample"),
            ("serial_number", "SN-0001"),
            ("resource_type", "volume"),
            ("resource_id", &volume),
            ("type", "RAW"),
            ("unit", unit),
            ("value_type", "gauge"),
        ];
        let times = (0..points as i64).map(|minute| START_MS + minute * 60_000);
        let added = batch.series(name, labels, times.map(|time| (time, random.percent())));
        if added.is_err() {
            break;
        }
    }
    batch.build()
}

/// A batch of `count` alerts of one storage.
#[must_use]
pub fn alerts(count: usize) -> AlertBatch {
    let mut batch = AlertBatchBuilder::new();
    for index in 0..count {
        let number = index.to_string();
        let location = format!("NetworkEntity=entity{index}");
        let texts = [
            ("storage_id", STORAGE),
            ("storage_name", "sample"),
            ("vendor", "sample"),
            ("model", "sample"),
            ("serial_number", "SN-0001"),
            ("alert_id", &number),
            ("alert_name", "Link state down"),
            ("sequence_number", &number),
            ("category", "Fault"),
            ("severity", SEVERITIES[index % SEVERITIES.len()]),
            ("type", "CommunicationsAlarm"),
            ("resource_type", "Storage"),
            ("location", &location),
            ("description", "Backend link has gone down"),
            (
                "recovery_advice",
                "Recheck the network configuration setting.",
            ),
        ];
        batch.alert(NewAlert {
            occur_time: START_MS,
            texts: &texts,
        });
    }
    batch.build()
}

/// A linear congruential generator (Knuth, MMIX). It is small, and no update of a
/// library changes its numbers.
struct Random(u64);

impl Random {
    fn percent(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        1.0 + 99.0 * ((self.0 >> 11) as f64 / (1_u64 << 53) as f64)
    }
}
