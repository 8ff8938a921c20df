//! Rates from two readings of a device's counters.
//!
//! A KB is 1,000 bytes, a MB 1,000,000, as in the series of every driver.
//! A time or a size per operation is 0 if there was no operation.
//!
//! Knows nothing of files or devices.

use crate::collect::metric::{self, Metric};

/// Disks count in these, with any sector size of their own.
pub(super) const SECTOR_BYTES: u64 = 512;
const KB: f64 = 1e3;
const MB: f64 = 1e6;
/// The first value that a 32-bit counter does not have.
const WRAP: u64 = 1 << 32;

/// The kernel's counters of a device since it appeared, or the difference between two
/// readings of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    pub(super) read: IoCounters,
    pub(super) write: IoCounters,
}

/// Counters of reads or of writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct IoCounters {
    pub(super) ios: u64,
    pub(super) sectors: u64,
    /// Sum of the durations of all operations.
    pub(super) busy_ms: u64,
}

/// A metric, and how to compute it from the counters of a number of seconds.
pub(super) struct RateMetric {
    pub(super) metric: Metric<'static>,
    pub(super) compute: fn(&Counters, f64) -> f64,
}

const fn rate(metric: Metric<'static>, compute: fn(&Counters, f64) -> f64) -> RateMetric {
    RateMetric { metric, compute }
}

/// The metrics of a device. A file system has all but the first.
pub(super) const RATE_METRICS: [RateMetric; 12] = [
    rate(metric::RESPONSE_TIME, |c, _| c.both().response_ms()),
    rate(metric::IOPS, |c, s| c.both().iops(s)),
    rate(metric::READ_IOPS, |c, s| c.read.iops(s)),
    rate(metric::WRITE_IOPS, |c, s| c.write.iops(s)),
    rate(metric::THROUGHPUT, |c, s| c.both().throughput(s)),
    rate(metric::READ_THROUGHPUT, |c, s| c.read.throughput(s)),
    rate(metric::WRITE_THROUGHPUT, |c, s| c.write.throughput(s)),
    rate(metric::READ_RESPONSE_TIME, |c, _| c.read.response_ms()),
    rate(metric::WRITE_RESPONSE_TIME, |c, _| c.write.response_ms()),
    rate(metric::IO_SIZE, |c, _| c.both().io_size()),
    rate(metric::READ_IO_SIZE, |c, _| c.read.io_size()),
    rate(metric::WRITE_IO_SIZE, |c, _| c.write.io_size()),
];

impl Counters {
    /// The difference to an earlier reading. `None` if the device was reset since then.
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

    fn both(&self) -> IoCounters {
        self.read.plus(&self.write)
    }
}

impl IoCounters {
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

/// How far a counter has advanced. `None`: it was reset.
///
/// The kernel prints times as 32-bit numbers, and a 32-bit kernel prints all counters so.
/// Such a counter wraps after seven weeks of busy time. A counter that became smaller has
/// either wrapped or was reset. It counts as wrapped if the advance over the wrap is less
/// than half of the range: no counter advances further between two readings, and a reset
/// from a small value would look like a larger advance.
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
    fn a_counter_that_falls_from_its_lower_half_was_reset() {
        assert_eq!(advance(1000, 5), None);
        assert_eq!(advance(WRAP / 2, 0), None);
    }

    #[test]
    fn a_counter_past_32_bits_cannot_wrap_there() {
        assert_eq!(advance(WRAP + 10, 5), None);
    }

    #[test]
    fn a_counter_that_does_not_change_has_not_advanced() {
        assert_eq!(advance(7, 7), Some(0));
    }

    #[test]
    fn without_operations_nothing_is_divided_by_zero() {
        let idle = Counters::default();
        for RateMetric { metric, compute } in RATE_METRICS {
            assert_eq!(compute(&idle, 10.0), 0.0, "{}", metric.name);
        }
    }
}
