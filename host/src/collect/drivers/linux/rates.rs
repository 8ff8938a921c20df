//! From two readings of a device's counters to rates.
//!
//! Sizes are binary, as storage arrays count them: a KB is 1,024 bytes, a MB
//! 1,048,576. A time or a size per operation is 0 where there was no operation.
//!
//! Knows nothing of files or devices.

use crate::collect::driver::Metric;

const SECTOR_BYTES: u64 = 512;
const KB: f64 = 1024.0;
const MB: f64 = 1024.0 * 1024.0;
const WRAP: u64 = 1 << 32;

/// What the kernel has counted for a device since it appeared, or the difference
/// between two such counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    pub(super) read: Direction,
    pub(super) write: Direction,
}

/// One direction of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Direction {
    pub(super) ios: u64,
    pub(super) sectors: u64,
    pub(super) busy_ms: u64,
}

/// A metric, and how it comes out of the counters of so many seconds.
pub(super) struct Measure {
    pub(super) metric: Metric<'static>,
    pub(super) of: fn(&Counters, f64) -> f64,
}

const fn measure(name: &'static str, unit: &'static str, of: fn(&Counters, f64) -> f64) -> Measure {
    let metric = Metric { name, unit };
    Measure { metric, of }
}

/// Everything that is measured of a device. A file system has no
/// `responseTime`, which is why that one comes first.
pub(super) const MEASURES: [Measure; 12] = [
    measure("responseTime", "ms", |c, _| c.both().response_ms()),
    measure("iops", "IOPS", |c, s| c.both().iops(s)),
    measure("readIops", "IOPS", |c, s| c.read.iops(s)),
    measure("writeIops", "IOPS", |c, s| c.write.iops(s)),
    measure("throughput", "MB/s", |c, s| c.both().throughput(s)),
    measure("readThroughput", "MB/s", |c, s| c.read.throughput(s)),
    measure("writeThroughput", "MB/s", |c, s| c.write.throughput(s)),
    measure("readResponseTime", "ms", |c, _| c.read.response_ms()),
    measure("writeResponseTime", "ms", |c, _| c.write.response_ms()),
    measure("ioSize", "KB", |c, _| c.both().io_size()),
    measure("readIoSize", "KB", |c, _| c.read.io_size()),
    measure("writeIoSize", "KB", |c, _| c.write.io_size()),
];

impl Counters {
    /// What was counted since an earlier reading, or nothing if the device has
    /// begun to count anew in between.
    pub(super) fn since(&self, earlier: &Self) -> Option<Self> {
        Some(Self {
            read: self.read.since(&earlier.read)?,
            write: self.write.since(&earlier.write)?,
        })
    }

    pub(super) fn plus(&self, other: &Self) -> Self {
        Self {
            read: self.read.plus(&other.read),
            write: self.write.plus(&other.write),
        }
    }

    fn both(&self) -> Direction {
        self.read.plus(&self.write)
    }
}

impl Direction {
    fn since(&self, earlier: &Self) -> Option<Self> {
        Some(Self {
            ios: advance(earlier.ios, self.ios)?,
            sectors: advance(earlier.sectors, self.sectors)?,
            busy_ms: advance(earlier.busy_ms, self.busy_ms)?,
        })
    }

    fn plus(&self, other: &Self) -> Self {
        Self {
            ios: self.ios + other.ios,
            sectors: self.sectors + other.sectors,
            busy_ms: self.busy_ms + other.busy_ms,
        }
    }

    fn iops(&self, seconds: f64) -> f64 {
        self.ios as f64 / seconds
    }

    fn throughput(&self, seconds: f64) -> f64 {
        self.bytes() / MB / seconds
    }

    fn response_ms(&self) -> f64 {
        per_io(self.busy_ms as f64, self.ios)
    }

    fn io_size(&self) -> f64 {
        per_io(self.bytes() / KB, self.ios)
    }

    fn bytes(&self) -> f64 {
        (self.sectors * SECTOR_BYTES) as f64
    }
}

fn per_io(total: f64, ios: u64) -> f64 {
    if ios == 0 { 0.0 } else { total / ios as f64 }
}

/// How far a counter has gone.
///
/// The kernel prints times as 32-bit numbers, and a 32-bit kernel everything:
/// such a counter starts at 0 again after seven weeks of busy time. One that
/// falls from its upper half into its lower has wrapped; one that falls
/// otherwise has been reset.
fn advance(earlier: u64, later: u64) -> Option<u64> {
    if later >= earlier {
        return Some(later - earlier);
    }
    if earlier >= WRAP {
        return None;
    }
    let wrapped = later + WRAP - earlier;
    (wrapped < WRAP / 2).then_some(wrapped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_passes_32_bits_has_wrapped() {
        assert_eq!(advance(WRAP - 10, 5), Some(15));
    }

    #[test]
    fn a_counter_that_falls_from_low_has_been_reset() {
        assert_eq!(advance(1000, 5), None);
        assert_eq!(advance(WRAP / 2, 0), None);
    }

    #[test]
    fn a_counter_past_32_bits_cannot_wrap_there() {
        assert_eq!(advance(WRAP + 10, 5), None);
    }

    #[test]
    fn a_counter_that_stands_still_has_not_moved() {
        assert_eq!(advance(7, 7), Some(0));
    }

    #[test]
    fn without_operations_nothing_is_divided_by_zero() {
        let idle = Counters::default();
        for Measure { metric, of } in MEASURES {
            assert_eq!(of(&idle, 10.0), 0.0, "{}", metric.name);
        }
    }
}
