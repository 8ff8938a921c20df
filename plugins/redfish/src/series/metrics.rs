//! The metrics of each kind of resource, with their names and units in Delfin.

use super::rates::Rates;
use crate::resources::PartKind;

/// A metric, and how it follows from rates.
#[derive(Debug)]
pub(super) struct MetricRow {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    pub(super) description: &'static str,
    pub(super) value: fn(&Rates) -> Option<f64>,
}

const fn row(
    name: &'static str,
    unit: &'static str,
    description: &'static str,
    value: fn(&Rates) -> Option<f64>,
) -> MetricRow {
    MetricRow {
        name,
        unit,
        description,
        value,
    }
}

const METRICS: [MetricRow; 15] = [
    row(
        "iops",
        "IOPS",
        "Read and write requests per second",
        Rates::iops,
    ),
    row(
        "readIops",
        "IOPS",
        "Read requests per second",
        Rates::read_iops,
    ),
    row(
        "writeIops",
        "IOPS",
        "Write requests per second",
        Rates::write_iops,
    ),
    row(
        "throughput",
        "MB/s",
        "Data read and written",
        Rates::throughput,
    ),
    row(
        "readThroughput",
        "MB/s",
        "Data read",
        Rates::read_throughput,
    ),
    row(
        "writeThroughput",
        "MB/s",
        "Data written",
        Rates::write_throughput,
    ),
    row(
        "responseTime",
        "ms",
        "Average time of a request",
        Rates::response_time,
    ),
    row(
        "readResponseTime",
        "ms",
        "Average time of a read request",
        Rates::read_response_time,
    ),
    row(
        "writeResponseTime",
        "ms",
        "Average time of a write request",
        Rates::write_response_time,
    ),
    row(
        "cacheHitRatio",
        "%",
        "Requests that the cache answers",
        Rates::hit_ratio,
    ),
    row(
        "readCacheHitRatio",
        "%",
        "Read requests that the cache answers",
        Rates::read_hit_ratio,
    ),
    row(
        "writeCacheHitRatio",
        "%",
        "Write requests that the cache takes",
        Rates::write_hit_ratio,
    ),
    row("ioSize", "KB", "Average size of a request", Rates::io_size),
    row(
        "readIoSize",
        "KB",
        "Average size of a read request",
        Rates::read_io_size,
    ),
    row(
        "writeIoSize",
        "KB",
        "Average size of a write request",
        Rates::write_io_size,
    ),
];

/// The metrics that Delfin defines for a kind.
pub(super) fn metrics_of(kind: PartKind) -> impl Iterator<Item = &'static MetricRow> {
    METRICS.iter().filter(move |row| is_defined(kind, row.name))
}

fn is_defined(kind: PartKind, name: &str) -> bool {
    let is_size_or_ratio = name.ends_with("IoSize") || name == "ioSize" || name.ends_with("Ratio");
    let is_of_direction = name == "readResponseTime" || name == "writeResponseTime";
    match kind {
        PartKind::Volume => true,
        PartKind::Subsystem => !is_size_or_ratio,
        PartKind::Filesystem => name != "responseTime" && !name.ends_with("Ratio"),
        PartKind::Pool | PartKind::Controller | PartKind::Port | PartKind::Disk => {
            !is_size_or_ratio && !is_of_direction
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_the_metrics_that_delfin_defines() {
        let count = |kind| metrics_of(kind).count();
        assert_eq!(count(PartKind::Volume), 15);
        assert_eq!(count(PartKind::Subsystem), 9);
        assert_eq!(count(PartKind::Filesystem), 11);
        assert_eq!(count(PartKind::Disk), 7);
    }
}
