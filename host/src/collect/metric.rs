//! Metrics: what drivers measure, the units, and the resources that have them.
//!
//! [`STANDARD`] is the table of the metrics that Delfin defines. Drivers, the
//! capabilities of a storage and the benchmarks take names, units and
//! descriptions from it.

/// A metric, its unit and a description for the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric<'a> {
    pub name: &'a str,
    pub unit: &'a str,
    pub description: &'a str,
}

/// A part of a storage that has measurements of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resource<'a> {
    pub resource_type: ResourceType,
    pub id: &'a str,
}

/// The type of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ResourceType {
    /// The storage as a whole.
    Storage,
    StoragePool,
    Volume,
    Controller,
    Port,
    Disk,
    Filesystem,
}

const fn metric(
    name: &'static str,
    unit: &'static str,
    description: &'static str,
) -> Metric<'static> {
    Metric {
        name,
        unit,
        description,
    }
}

pub const IOPS: Metric<'static> = metric("iops", "IOPS", "Read/write operations per second");
pub const READ_IOPS: Metric<'static> = metric("readIops", "IOPS", "Read operations per second");
pub const WRITE_IOPS: Metric<'static> = metric("writeIops", "IOPS", "Write operations per second");
pub const THROUGHPUT: Metric<'static> =
    metric("throughput", "MB/s", "Total data transferred per second");
pub const READ_THROUGHPUT: Metric<'static> = metric(
    "readThroughput",
    "MB/s",
    "Total read data transferred per second",
);
pub const WRITE_THROUGHPUT: Metric<'static> = metric(
    "writeThroughput",
    "MB/s",
    "Total write data transferred per second",
);
pub const RESPONSE_TIME: Metric<'static> = metric(
    "responseTime",
    "ms",
    "Average time taken for an IO operation in ms",
);
pub const READ_RESPONSE_TIME: Metric<'static> = metric(
    "readResponseTime",
    "ms",
    "Read average time taken for an IO operation in ms",
);
pub const WRITE_RESPONSE_TIME: Metric<'static> = metric(
    "writeResponseTime",
    "ms",
    "Write average time taken for an IO operation in ms",
);
pub const CACHE_HIT_RATIO: Metric<'static> = metric(
    "cacheHitRatio",
    "%",
    "Percentage of ops that are cache hits",
);
pub const READ_CACHE_HIT_RATIO: Metric<'static> = metric(
    "readCacheHitRatio",
    "%",
    "Percentage of read ops that are cache hits",
);
pub const WRITE_CACHE_HIT_RATIO: Metric<'static> = metric(
    "writeCacheHitRatio",
    "%",
    "Percentage of write ops that are cache hits",
);
pub const IO_SIZE: Metric<'static> =
    metric("ioSize", "KB", "The average size of IO requests in KB");
pub const READ_IO_SIZE: Metric<'static> = metric(
    "readIoSize",
    "KB",
    "The average size of read IO requests in KB",
);
pub const WRITE_IO_SIZE: Metric<'static> = metric(
    "writeIoSize",
    "KB",
    "The average size of write IO requests in KB",
);
pub const CPU_USAGE: Metric<'static> = metric("cpuUsage", "%", "Percentage of CPU usage");

pub const TOTAL_CAPACITY: Metric<'static> = metric("totalCapacity", "B", "Usable capacity");
pub const USED_CAPACITY: Metric<'static> = metric("usedCapacity", "B", "Capacity in use");
pub const FREE_CAPACITY: Metric<'static> = metric("freeCapacity", "B", "Capacity that is free");
pub const SUBSCRIBED_CAPACITY: Metric<'static> = metric(
    "subscribedCapacity",
    "B",
    "Capacity that is promised to users, thin volumes in full",
);
pub const DATA_REDUCTION: Metric<'static> = metric(
    "dataReduction",
    "1",
    "Written data divided by the capacity that it needs",
);
pub const HEALTH_SCORE: Metric<'static> =
    metric("healthScore", "%", "Health of a disk, 100 is new");
pub const STATUS: Metric<'static> = metric(
    "status",
    "1",
    "-1 unknown, 0 normal, 1 degraded, 2 faulty, 3 offline",
);
pub const ACTIVE_ALERTS: Metric<'static> = metric("activeAlerts", "1", "Active alerts");
/// Severities, and the metrics of their active alerts. Each is a metric of its own, so that receivers
/// without labels, and those that tell series apart by name and resource, have each number.
pub const SEVERITY_ALERTS: [(&str, Metric<'static>); 5] = [
    (
        "Fatal",
        metric("fatalAlerts", "1", "Active alerts that are fatal"),
    ),
    (
        "Critical",
        metric("criticalAlerts", "1", "Active alerts that are critical"),
    ),
    (
        "Major",
        metric("majorAlerts", "1", "Active alerts that are major"),
    ),
    (
        "Minor",
        metric("minorAlerts", "1", "Active alerts that are minor"),
    ),
    (
        "Warning",
        metric("warningAlerts", "1", "Active alerts that are warnings"),
    ),
];
pub const INFO: Metric<'static> = metric("info", "1", "Always 1; the labels describe the resource");

/// The metrics that a type of resource has in Delfin's schema of capabilities.
pub const STANDARD: [(ResourceType, &[Metric<'static>]); 7] = [
    (ResourceType::Storage, &STORAGE),
    (ResourceType::StoragePool, &BASIC),
    (ResourceType::Volume, &VOLUME),
    (ResourceType::Controller, &CONTROLLER),
    (ResourceType::Port, &BASIC),
    (ResourceType::Disk, &BASIC),
    (ResourceType::Filesystem, &FILESYSTEM),
];

/// Metrics of a storage pool, a port or a disk.
const BASIC: [Metric<'static>; 7] = [
    THROUGHPUT,
    RESPONSE_TIME,
    IOPS,
    READ_THROUGHPUT,
    WRITE_THROUGHPUT,
    READ_IOPS,
    WRITE_IOPS,
];

const STORAGE: [Metric<'static>; 9] = [
    THROUGHPUT,
    RESPONSE_TIME,
    READ_RESPONSE_TIME,
    WRITE_RESPONSE_TIME,
    IOPS,
    READ_THROUGHPUT,
    WRITE_THROUGHPUT,
    READ_IOPS,
    WRITE_IOPS,
];

const VOLUME: [Metric<'static>; 15] = [
    THROUGHPUT,
    RESPONSE_TIME,
    READ_RESPONSE_TIME,
    WRITE_RESPONSE_TIME,
    IOPS,
    READ_THROUGHPUT,
    WRITE_THROUGHPUT,
    READ_IOPS,
    WRITE_IOPS,
    CACHE_HIT_RATIO,
    READ_CACHE_HIT_RATIO,
    WRITE_CACHE_HIT_RATIO,
    IO_SIZE,
    READ_IO_SIZE,
    WRITE_IO_SIZE,
];

const CONTROLLER: [Metric<'static>; 8] = [
    THROUGHPUT,
    RESPONSE_TIME,
    IOPS,
    READ_THROUGHPUT,
    WRITE_THROUGHPUT,
    READ_IOPS,
    WRITE_IOPS,
    CPU_USAGE,
];

const FILESYSTEM: [Metric<'static>; 11] = [
    THROUGHPUT,
    READ_RESPONSE_TIME,
    WRITE_RESPONSE_TIME,
    IOPS,
    READ_THROUGHPUT,
    WRITE_THROUGHPUT,
    READ_IOPS,
    WRITE_IOPS,
    IO_SIZE,
    READ_IO_SIZE,
    WRITE_IO_SIZE,
];

impl ResourceType {
    pub const ALL: [Self; 7] = [
        Self::Storage,
        Self::StoragePool,
        Self::Volume,
        Self::Controller,
        Self::Port,
        Self::Disk,
        Self::Filesystem,
    ];

    /// The type with a value of the label `resource_type`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == name)
    }

    /// The value of the label `resource_type`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Storage => "storage",
            Self::StoragePool => "storagePool",
            Self::Volume => "volume",
            Self::Controller => "controller",
            Self::Port => "port",
            Self::Disk => "disk",
            Self::Filesystem => "filesystem",
        }
    }
}
