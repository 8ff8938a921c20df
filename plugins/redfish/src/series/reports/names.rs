//! What the metrics of reports mean.
//!
//! A value is known by the property that it was taken from, or by its metric id. Properties have the names
//! and units of their schemas. A service names its metric ids itself: those of Dell's iDRAC are known, and
//! the usual words for rates, times and ratios.

use super::super::{
    counters::{BYTES_PER_KIB, DATA_UNIT_KIB, ResourceCounters},
    metrics::{MetricRow, metrics_of},
};
use crate::resources::PartKind;

/// A counter in reports.
#[derive(Debug)]
pub(super) struct ReportedCounter {
    pub(super) name: &'static str,
    is_of_port: bool,
    pub(super) field: fn(&mut ResourceCounters) -> &mut Option<f64>,
    /// The value is multiplied by it.
    pub(super) factor: f64,
}

const fn counter(
    name: &'static str,
    factor: f64,
    field: fn(&mut ResourceCounters) -> &mut Option<f64>,
) -> ReportedCounter {
    ReportedCounter {
        name,
        is_of_port: false,
        field,
        factor,
    }
}

const fn of_port(
    name: &'static str,
    factor: f64,
    field: fn(&mut ResourceCounters) -> &mut Option<f64>,
) -> ReportedCounter {
    ReportedCounter {
        is_of_port: true,
        ..counter(name, factor, field)
    }
}

/// The 64 lower bits of an NVMe counter are enough: the upper ones of a drive stay 0.
static COUNTERS: [ReportedCounter; 20] = [
    counter("ReadIORequests", 1.0, |c| &mut c.reads),
    counter("WriteIORequests", 1.0, |c| &mut c.writes),
    counter("ReadHitIORequests", 1.0, |c| &mut c.read_hits),
    counter("WriteHitIORequests", 1.0, |c| &mut c.write_hits),
    counter("ReadIOKiBytes", 1.0, |c| &mut c.read_kib),
    counter("WriteIOKiBytes", 1.0, |c| &mut c.write_kib),
    counter("ReadIORequestTime", 1.0, |c| &mut c.read_seconds),
    counter("WriteIORequestTime", 1.0, |c| &mut c.write_seconds),
    counter("HostReadCommands", 1.0, |c| &mut c.reads),
    counter("HostReadCommandsLower", 1.0, |c| &mut c.reads),
    counter("HostWriteCommands", 1.0, |c| &mut c.writes),
    counter("HostWriteCommandsLower", 1.0, |c| &mut c.writes),
    counter("DataUnitsRead", DATA_UNIT_KIB, |c| &mut c.read_kib),
    counter("DataUnitsReadLower", DATA_UNIT_KIB, |c| &mut c.read_kib),
    counter("DataUnitsWritten", DATA_UNIT_KIB, |c| &mut c.write_kib),
    counter("DataUnitsWrittenLower", DATA_UNIT_KIB, |c| &mut c.write_kib),
    of_port("RXBytes", 1.0 / BYTES_PER_KIB, |c| &mut c.received_kib),
    of_port("TXBytes", 1.0 / BYTES_PER_KIB, |c| &mut c.sent_kib),
    of_port("FCRxKBCount", 1.0, |c| &mut c.received_kib),
    of_port("FCTxKBCount", 1.0, |c| &mut c.sent_kib),
];

/// Other words for metrics of Delfin, in the form of [`plain`].
const GAUGES: [(&str, &str); 11] = [
    ("totaliops", "iops"),
    ("bandwidth", "throughput"),
    ("totalbandwidth", "throughput"),
    ("totalthroughput", "throughput"),
    ("readbandwidth", "readThroughput"),
    ("writebandwidth", "writeThroughput"),
    ("latency", "responseTime"),
    ("averagelatency", "responseTime"),
    ("totallatency", "responseTime"),
    ("readlatency", "readResponseTime"),
    ("writelatency", "writeResponseTime"),
];

/// The counter with a name of a property or a metric. Upper and lower case are the same, because services
/// differ from the schemas.
pub(super) fn counter_named(name: &str) -> Option<&'static ReportedCounter> {
    let mut counters = COUNTERS.iter();
    counters.find(|counter| counter.name.eq_ignore_ascii_case(name))
}

impl ReportedCounter {
    pub(super) fn is_of(&self, kind: PartKind) -> bool {
        self.is_of_port == (kind == PartKind::Port)
    }
}

/// The metric of Delfin that a metric id names, if resources of this kind have it.
pub(super) fn gauge_named(id: &str, kind: PartKind) -> Option<&'static MetricRow> {
    let id = plain(id);
    let mut gauges = GAUGES.iter();
    let name = gauges.find(|(other, _)| *other == id);
    let name = name.map_or(id, |(_, name)| plain(name));
    metrics_of(kind).find(|row| plain(row.name) == name)
}

/// The name in lower case, without separators.
fn plain(name: &str) -> String {
    let chars = name.chars().filter(char::is_ascii_alphanumeric);
    chars.map(|char| char.to_ascii_lowercase()).collect()
}

/// What a value of `units`, as a metric definition has them, is multiplied by for the unit of a metric of
/// Delfin. `None`: the unit is missing, or no such unit.
pub(super) fn factor(units: Option<&str>, wanted: &str) -> Option<f64> {
    match wanted {
        "IOPS" => {
            let per_second = units.map_or(Some(""), |text| {
                text.strip_suffix("/s").or((text == "IOPS").then_some(""))
            })?;
            let is_count = per_second.is_empty()
                || per_second == "1"
                || (per_second.starts_with('{') && per_second.ends_with('}'));
            is_count.then_some(1.0)
        }
        "%" => match units {
            None | Some("%") => Some(1.0),
            Some("1") => Some(100.0),
            Some(_) => None,
        },
        "MB/s" => Some(bytes(units?.strip_suffix("/s")?)? / 1e6),
        "KB" => Some(bytes(units?)? / 1e3),
        "ms" => match units? {
            "s" => Some(1e3),
            "ms" => Some(1.0),
            "us" => Some(1e-3),
            "ns" => Some(1e-6),
            _ => None,
        },
        _ => None,
    }
}

/// The bytes of a unit in the Unified Code for Units of Measure, as `MBy`, `KiBy` or `Gbit`.
fn bytes(unit: &str) -> Option<f64> {
    let (prefix, size) = [("By", 1.0), ("B", 1.0), ("bit", 0.125)]
        .iter()
        .find_map(|(name, size)| Some((unit.strip_suffix(name)?, size)))?;
    let factor = match prefix {
        "" => 1.0,
        "k" | "K" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    Some(factor * size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_definitions_become_those_of_delfin() {
        for (units, wanted, expected) in [
            (None, "IOPS", Some(1.0)),
            (Some("{IO}/s"), "IOPS", Some(1.0)),
            (Some("1/min"), "IOPS", None),
            (Some("By/s"), "MB/s", Some(1e-6)),
            (Some("MiBy/s"), "MB/s", Some(1.048_576)),
            (Some("Gbit/s"), "MB/s", Some(125.0)),
            (Some("MBy"), "MB/s", None),
            (None, "MB/s", None),
            (Some("us"), "ms", Some(1e-3)),
            (Some("min"), "ms", None),
            (None, "ms", None),
            (Some("KiBy"), "KB", Some(1.024)),
            (None, "%", Some(1.0)),
            (Some("Cel"), "%", None),
        ] {
            assert_eq!(factor(units, wanted), expected, "{units:?} {wanted}");
        }
    }

    #[test]
    fn metric_ids_are_known_without_case_and_separators() {
        let name = |id, kind| gauge_named(id, kind).map(|row| row.name);
        assert_eq!(name("Read_IOPS", PartKind::Volume), Some("readIops"));
        assert_eq!(
            name("AverageLatency", PartKind::Volume),
            Some("responseTime")
        );
        assert_eq!(
            name("WriteIoSize", PartKind::Disk),
            None,
            "no metric of disks"
        );
        assert_eq!(name("CPUUtil", PartKind::Controller), None);
        let counter = counter_named("RxBytes").unwrap();
        assert!(counter.is_of(PartKind::Port) && !counter.is_of(PartKind::Volume));
    }
}
