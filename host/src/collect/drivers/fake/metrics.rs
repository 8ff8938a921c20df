//! What the fake storage measures, and in what: the table that Delfin's schema
//! of capabilities admits.

use crate::collect::driver::{Metric, ResourceType};

const IOPS: &str = "IOPS";
const RATE: &str = "MB/s";
const TIME: &str = "ms";
const SIZE: &str = "KB";
const SHARE: &str = "%";

const fn metric(name: &'static str, unit: &'static str) -> Metric<'static> {
    Metric { name, unit }
}

const STORAGE: [Metric<'static>; 9] = [
    metric("throughput", RATE),
    metric("responseTime", TIME),
    metric("readResponseTime", TIME),
    metric("writeResponseTime", TIME),
    metric("iops", IOPS),
    metric("readThroughput", RATE),
    metric("writeThroughput", RATE),
    metric("readIops", IOPS),
    metric("writeIops", IOPS),
];

/// A pool's, a port's and a disk's.
const POOL: [Metric<'static>; 7] = [
    metric("throughput", RATE),
    metric("responseTime", TIME),
    metric("iops", IOPS),
    metric("readThroughput", RATE),
    metric("writeThroughput", RATE),
    metric("readIops", IOPS),
    metric("writeIops", IOPS),
];

const VOLUME: [Metric<'static>; 15] = [
    metric("throughput", RATE),
    metric("responseTime", TIME),
    metric("readResponseTime", TIME),
    metric("writeResponseTime", TIME),
    metric("iops", IOPS),
    metric("readThroughput", RATE),
    metric("writeThroughput", RATE),
    metric("readIops", IOPS),
    metric("writeIops", IOPS),
    metric("cacheHitRatio", SHARE),
    metric("readCacheHitRatio", SHARE),
    metric("writeCacheHitRatio", SHARE),
    metric("ioSize", SIZE),
    metric("readIoSize", SIZE),
    metric("writeIoSize", SIZE),
];

const CONTROLLER: [Metric<'static>; 8] = [
    metric("throughput", RATE),
    metric("responseTime", TIME),
    metric("iops", IOPS),
    metric("readThroughput", RATE),
    metric("writeThroughput", RATE),
    metric("readIops", IOPS),
    metric("writeIops", IOPS),
    metric("cpuUsage", SHARE),
];

const FILESYSTEM: [Metric<'static>; 11] = [
    metric("throughput", RATE),
    metric("readResponseTime", TIME),
    metric("writeResponseTime", TIME),
    metric("iops", IOPS),
    metric("readThroughput", RATE),
    metric("writeThroughput", RATE),
    metric("readIops", IOPS),
    metric("writeIops", IOPS),
    metric("ioSize", SIZE),
    metric("readIoSize", SIZE),
    metric("writeIoSize", SIZE),
];

pub(super) const RESOURCE_METRICS: &[(ResourceType, &[Metric<'static>])] = &[
    (ResourceType::Storage, &STORAGE),
    (ResourceType::StoragePool, &POOL),
    (ResourceType::Volume, &VOLUME),
    (ResourceType::Controller, &CONTROLLER),
    (ResourceType::Port, &POOL),
    (ResourceType::Disk, &POOL),
    (ResourceType::Filesystem, &FILESYSTEM),
];
