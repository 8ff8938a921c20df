//! The counters of a resource, from the several schemas that have some.

use serde_json::Value;

use crate::{
    decode::{duration_seconds, number, text},
    resources::PartKind,
};

/// A unit of `DataUnitsRead` in KiB: a thousand blocks of 512 bytes.
pub(super) const DATA_UNIT_KIB: f64 = 500.0;

pub(super) const BYTES_PER_KIB: f64 = 1024.0;

/// Counters at a time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CounterReading {
    pub(super) at_ms: i64,
    pub(super) counters: ResourceCounters,
}

/// Counters that only grow. `None`: the resource does not have it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct ResourceCounters {
    pub(super) reads: Option<f64>,
    pub(super) writes: Option<f64>,
    pub(super) read_hits: Option<f64>,
    pub(super) write_hits: Option<f64>,
    pub(super) read_kib: Option<f64>,
    pub(super) write_kib: Option<f64>,
    pub(super) read_seconds: Option<f64>,
    pub(super) write_seconds: Option<f64>,
    /// What a port received and sent.
    pub(super) received_kib: Option<f64>,
    pub(super) sent_kib: Option<f64>,
}

impl ResourceCounters {
    /// The counters in a document with measurements of a resource of this kind.
    pub(super) fn read(kind: PartKind, document: &Value) -> Self {
        match kind {
            PartKind::Subsystem | PartKind::Pool | PartKind::Volume | PartKind::Filesystem => {
                Self::of_statistics(document)
            }
            PartKind::Disk => Self::of_drive(document),
            PartKind::Controller => Self::of_smart(document),
            PartKind::Port => Self::of_port(document),
        }
    }

    fn of_statistics(document: &Value) -> Self {
        let count = |name: &str| number(document, &format!("/IOStatistics/{name}"));
        let time = |name: &str| {
            let text = text(document, &format!("/IOStatistics/{name}"));
            text.and_then(duration_seconds)
        };
        Self {
            reads: count("ReadIORequests"),
            writes: count("WriteIORequests"),
            read_hits: count("ReadHitIORequests"),
            write_hits: count("WriteHitIORequests"),
            read_kib: count("ReadIOKiBytes"),
            write_kib: count("WriteIOKiBytes"),
            read_seconds: time("ReadIORequestTime"),
            write_seconds: time("WriteIORequestTime"),
            ..Self::default()
        }
    }

    /// Drives count bytes; NVMe drives count commands as well.
    fn of_drive(document: &Value) -> Self {
        let smart = Self::of_smart(document);
        let statistics = Self::of_statistics(document);
        Self {
            reads: statistics.reads.or(smart.reads),
            writes: statistics.writes.or(smart.writes),
            read_kib: number(document, "/ReadIOKiBytes")
                .or(statistics.read_kib)
                .or(smart.read_kib),
            write_kib: number(document, "/WriteIOKiBytes")
                .or(statistics.write_kib)
                .or(smart.write_kib),
            ..statistics
        }
    }

    fn of_smart(document: &Value) -> Self {
        let count = |name: &str| number(document, &format!("/NVMeSMART/{name}"));
        Self {
            reads: count("HostReadCommands"),
            writes: count("HostWriteCommands"),
            read_kib: count("DataUnitsRead").map(|units| units * DATA_UNIT_KIB),
            write_kib: count("DataUnitsWritten").map(|units| units * DATA_UNIT_KIB),
            ..Self::default()
        }
    }

    fn of_port(document: &Value) -> Self {
        let kib = |pointer: &str| number(document, pointer).map(|bytes| bytes / BYTES_PER_KIB);
        Self {
            received_kib: kib("/RXBytes"),
            sent_kib: kib("/TXBytes"),
            ..Self::default()
        }
    }
}
