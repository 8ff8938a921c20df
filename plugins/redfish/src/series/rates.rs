//! What two readings of counters mean for the time between them.

use super::counters::{BYTES_PER_KIB, CounterReading, ResourceCounters};

/// A KB is 1,000 bytes, and a MB 1,000,000: see the units of the series in the operator guide.
const KIB_PER_KB: f64 = 1_000.0 / BYTES_PER_KIB;
const KIB_PER_MB: f64 = 1_000_000.0 / BYTES_PER_KIB;

/// The advance of counters in a time; of several resources, the sum.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Rates {
    seconds: f64,
    advance: ResourceCounters,
}

impl Rates {
    /// `None`: no time has passed, or the counters were reset.
    pub(super) fn between(earlier: &CounterReading, later: &CounterReading) -> Option<Self> {
        let seconds = (later.at_ms - earlier.at_ms) as f64 / 1000.0;
        if seconds <= 0.0 {
            return None;
        }
        let (from, to) = (&earlier.counters, &later.counters);
        Some(Self {
            seconds,
            advance: ResourceCounters {
                reads: advance(from.reads, to.reads)?,
                writes: advance(from.writes, to.writes)?,
                read_hits: advance(from.read_hits, to.read_hits)?,
                write_hits: advance(from.write_hits, to.write_hits)?,
                read_kib: advance(from.read_kib, to.read_kib)?,
                write_kib: advance(from.write_kib, to.write_kib)?,
                read_seconds: advance(from.read_seconds, to.read_seconds)?,
                write_seconds: advance(from.write_seconds, to.write_seconds)?,
                received_kib: advance(from.received_kib, to.received_kib)?,
                sent_kib: advance(from.sent_kib, to.sent_kib)?,
            },
        })
    }

    /// Rates that have each value for which `counters` has what is needed.
    pub(super) fn of_existing(counters: &ResourceCounters) -> Self {
        Self {
            seconds: 1.0,
            advance: *counters,
        }
    }

    /// Adds what another resource did in about the same time.
    pub(super) fn add(&mut self, other: &Self) {
        let sum = |one: Option<f64>, other: Option<f64>| match (one, other) {
            (Some(one), Some(other)) => Some(one + other),
            (one, other) => one.or(other),
        };
        let (one, more) = (self.advance, other.advance);
        self.seconds = self.seconds.max(other.seconds);
        self.advance = ResourceCounters {
            reads: sum(one.reads, more.reads),
            writes: sum(one.writes, more.writes),
            read_hits: sum(one.read_hits, more.read_hits),
            write_hits: sum(one.write_hits, more.write_hits),
            read_kib: sum(one.read_kib, more.read_kib),
            write_kib: sum(one.write_kib, more.write_kib),
            read_seconds: sum(one.read_seconds, more.read_seconds),
            write_seconds: sum(one.write_seconds, more.write_seconds),
            received_kib: sum(one.received_kib, more.received_kib),
            sent_kib: sum(one.sent_kib, more.sent_kib),
        };
    }

    pub(super) fn read_iops(&self) -> Option<f64> {
        self.per_second(self.advance.reads)
    }

    pub(super) fn write_iops(&self) -> Option<f64> {
        self.per_second(self.advance.writes)
    }

    pub(super) fn iops(&self) -> Option<f64> {
        Some(self.read_iops()? + self.write_iops()?)
    }

    pub(super) fn read_throughput(&self) -> Option<f64> {
        Some(self.per_second(self.advance.read_kib)? / KIB_PER_MB)
    }

    pub(super) fn write_throughput(&self) -> Option<f64> {
        Some(self.per_second(self.advance.write_kib)? / KIB_PER_MB)
    }

    pub(super) fn throughput(&self) -> Option<f64> {
        let both = self.read_throughput().zip(self.write_throughput());
        let port = || {
            let kib = self.advance.received_kib? + self.advance.sent_kib?;
            Some(self.per_second(Some(kib))? / KIB_PER_MB)
        };
        both.map(|(read, write)| read + write).or_else(port)
    }

    pub(super) fn read_response_time(&self) -> Option<f64> {
        each(self.advance.read_seconds? * 1000.0, self.advance.reads?)
    }

    pub(super) fn write_response_time(&self) -> Option<f64> {
        each(self.advance.write_seconds? * 1000.0, self.advance.writes?)
    }

    pub(super) fn response_time(&self) -> Option<f64> {
        let seconds = self.advance.read_seconds? + self.advance.write_seconds?;
        each(seconds * 1000.0, self.requests()?)
    }

    pub(super) fn read_io_size(&self) -> Option<f64> {
        each(self.advance.read_kib? / KIB_PER_KB, self.advance.reads?)
    }

    pub(super) fn write_io_size(&self) -> Option<f64> {
        each(self.advance.write_kib? / KIB_PER_KB, self.advance.writes?)
    }

    pub(super) fn io_size(&self) -> Option<f64> {
        let kib = self.advance.read_kib? + self.advance.write_kib?;
        each(kib / KIB_PER_KB, self.requests()?)
    }

    pub(super) fn read_hit_ratio(&self) -> Option<f64> {
        percent(self.advance.read_hits?, self.advance.reads?)
    }

    pub(super) fn write_hit_ratio(&self) -> Option<f64> {
        percent(self.advance.write_hits?, self.advance.writes?)
    }

    pub(super) fn hit_ratio(&self) -> Option<f64> {
        let hits = self.advance.read_hits? + self.advance.write_hits?;
        percent(hits, self.requests()?)
    }

    fn requests(&self) -> Option<f64> {
        Some(self.advance.reads? + self.advance.writes?)
    }

    fn per_second(&self, advance: Option<f64>) -> Option<f64> {
        Some(advance? / self.seconds)
    }
}

/// How far a counter has advanced; the inner value is `None` if it was not read both times.
/// `None`: it became smaller, so the service has started again.
#[expect(clippy::option_option, reason = "absent and reset are different")]
fn advance(from: Option<f64>, to: Option<f64>) -> Option<Option<f64>> {
    match from.zip(to) {
        Some((from, to)) if to < from => None,
        Some((from, to)) => Some(Some(to - from)),
        None => Some(None),
    }
}

/// An average; 0 without a request, as other drivers do.
fn each(total: f64, requests: f64) -> Option<f64> {
    Some(if requests > 0.0 {
        total / requests
    } else {
        0.0
    })
}

fn percent(hits: f64, requests: f64) -> Option<f64> {
    Some((each(hits, requests)? * 100.0).min(100.0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resources::PartKind;

    fn volume(at_ms: i64, reads: u64, kib: u64, time: &str) -> CounterReading {
        let document = json!({"IOStatistics": {
            "ReadIORequests": reads, "ReadIOKiBytes": kib, "ReadIORequestTime": time,
            "ReadHitIORequests": reads / 2,
            "WriteIORequests": 0, "WriteIOKiBytes": 0, "WriteIORequestTime": "PT0S"
        }});
        let counters = ResourceCounters::read(PartKind::Volume, &document);
        CounterReading { at_ms, counters }
    }

    #[test]
    fn the_advance_of_counters_is_divided_by_the_time_between() {
        let earlier = volume(0, 100, 1000, "PT1S");
        let later = volume(10_000, 300, 21_480, "PT1.4S");
        let rates = Rates::between(&earlier, &later).unwrap();
        assert_eq!(rates.read_iops(), Some(20.0));
        assert_eq!(rates.iops(), Some(20.0));
        assert_eq!(rates.read_throughput(), Some(2.097_152));
        let response = rates.read_response_time().unwrap();
        assert!((response - 2.0).abs() < 1e-9, "{response}");
        assert_eq!(rates.write_response_time(), Some(0.0));
        let size = rates.read_io_size().unwrap();
        assert!((size - 104.857_6).abs() < 1e-9, "{size}");
        assert_eq!(rates.read_hit_ratio(), Some(50.0));
        assert_eq!(rates.hit_ratio(), None);
    }

    #[test]
    fn a_counter_that_became_smaller_gives_no_rate() {
        let earlier = volume(0, 100, 1000, "PT1S");
        assert_eq!(
            Rates::between(&earlier, &volume(10_000, 3, 30, "PT0S")),
            None
        );
        assert_eq!(
            Rates::between(&earlier, &volume(0, 200, 2000, "PT2S")),
            None
        );
    }

    #[test]
    fn drives_controllers_and_ports_have_counters_of_their_own() {
        let read = |kind, document| ResourceCounters::read(kind, &document);
        let drive = read(
            PartKind::Disk,
            json!({"ReadIOKiBytes": 7, "NVMeSMART": {"HostReadCommands": 3, "DataUnitsWritten": 2}}),
        );
        assert_eq!((drive.read_kib, drive.write_kib), (Some(7.0), Some(1000.0)));
        assert_eq!((drive.reads, drive.writes), (Some(3.0), None));
        let port = read(PartKind::Port, json!({"RXBytes": 1024, "TXBytes": 2048}));
        assert_eq!((port.received_kib, port.sent_kib), (Some(1.0), Some(2.0)));
        let controller = read(
            PartKind::Controller,
            json!({"NVMeSMART": {"HostWriteCommands": "9"}}),
        );
        assert_eq!(controller.writes, Some(9.0));
    }

    #[test]
    fn subsystems_are_added() {
        let one = Rates::between(&volume(0, 0, 0, "PT0S"), &volume(1000, 10, 0, "PT1S"));
        let other = Rates::between(&volume(0, 0, 0, "PT0S"), &volume(1000, 30, 0, "PT1S"));
        let mut whole = Rates::default();
        assert_eq!(whole.iops(), None);
        whole.add(&one.unwrap());
        whole.add(&other.unwrap());
        assert_eq!(whole.iops(), Some(40.0));
    }
}
