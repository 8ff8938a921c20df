//! One measurement: a kind of work, done by one program.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use delfin_bench::{
    load::send,
    payload::{Form, Shape},
    usage::{MemoryWatch, Usage},
};
use tokio::{runtime::Runtime, time::sleep};

use crate::{report::Row, sink::Sink, system::System};

/// How long sinks may take to get what was accepted, after the last request.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long requests that are not measured are sent, before those that are.
const WARM_UP: Duration = Duration::from_secs(1);

pub(crate) struct Cell {
    pub(crate) name: &'static str,
    shape: Shape,
    /// Requests in Arrow.
    pub(crate) is_arrow: bool,
    sinks: usize,
    /// Sinks are away while requests are sent.
    is_outage: bool,
}

const SINGLE: Cell = Cell {
    name: "100 single items a request, 1 sink",
    shape: Shape {
        series: 100,
        points: 1,
    },
    is_arrow: false,
    sinks: 1,
    is_outage: false,
};

pub(crate) const CELLS: [Cell; 6] = [
    SINGLE,
    Cell {
        name: "100 single items a request, 4 sinks",
        sinks: 4,
        ..SINGLE
    },
    Cell {
        name: "10 single items a request, 1 sink",
        shape: Shape {
            series: 10,
            points: 1,
        },
        ..SINGLE
    },
    Cell {
        name: "100 series of 15 points, 1 sink",
        shape: Shape {
            series: 100,
            points: 15,
        },
        ..SINGLE
    },
    Cell {
        name: "100 series of 15 points in Arrow, 1 sink",
        shape: Shape {
            series: 100,
            points: 15,
        },
        is_arrow: true,
        ..SINGLE
    },
    Cell {
        name: "backlog of single items, 1 sink",
        is_outage: true,
        ..SINGLE
    },
];

/// Has a program do the work of a cell.
pub(crate) fn measure(system: &System, cell: &Cell, time: Duration) -> Row {
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let mut sinks: Vec<_> = (0..cell.sinks).map(|_| Sink::reserve()).collect();
        if !cell.is_outage {
            sinks.iter_mut().for_each(Sink::open);
        }
        let addresses: Vec<_> = sinks.iter().map(|sink| sink.address).collect();
        let running = system.start(cell, &addresses);
        let bodies = Arc::new(running.form.bodies(cell.shape));
        let counts = Counts::of(cell.shape, running.form);

        let warmed = send(&running.target, &bodies, WARM_UP).await;
        let before = Usage::of(running.pid);
        let memory = MemoryWatch::start(running.pid);
        let begin = Instant::now();
        let sent = send(&running.target, &bodies, time).await;
        let sending = begin.elapsed();
        let returned = Instant::now();
        if cell.is_outage {
            sinks.iter_mut().for_each(Sink::open);
        }
        let expected = (warmed.accepted + sent.accepted) * counts.marks;
        let draining = drained(&sinks, expected, returned).await;
        let after = Usage::of(running.pid);

        let items = (sent.accepted * counts.items) as f64;
        let all = (warmed.accepted + sent.accepted) as f64 * counts.items as f64;
        let received: u64 = sinks.iter().map(Sink::marks).sum();
        let missing = expected as i64 * cell.sinks as i64 - received as i64;
        let first = sinks.iter().filter_map(Sink::first).max();
        let to_drain = if cell.is_outage {
            draining.as_secs_f64()
        } else {
            (sending + draining).as_secs_f64()
        };
        Row {
            cell: cell.name.to_owned(),
            system: system.name().to_owned(),
            accepted: items / sending.as_secs_f64(),
            delivered: if cell.is_outage {
                all / to_drain
            } else {
                items / to_drain
            },
            cpu_micros: (after.cpu_seconds - before.cpu_seconds) * 1e6 / items,
            peak_bytes: memory.finish().max(after.memory_bytes) as f64,
            written_bytes: (after.written_bytes - before.written_bytes) as f64 / items,
            median_ms: sent.latency(0.5),
            p99_ms: sent.latency(0.99),
            first_call_ms: match first {
                Some(first) if cell.is_outage => (first - returned).as_secs_f64() * 1e3,
                _ => 0.0,
            },
            refused: sent.refused as f64,
            missing: (missing * counts.points_per_mark as i64) as f64,
        }
    })
}

/// What a request has.
struct Counts {
    /// Points.
    items: u64,
    marks: u64,
    points_per_mark: u64,
}

impl Counts {
    fn of(shape: Shape, form: Form) -> Self {
        let points_per_mark = form.points_per_mark(shape) as u64;
        let items = (shape.series * shape.points) as u64;
        Self {
            items,
            marks: items / points_per_mark,
            points_per_mark,
        }
    }
}

/// Waits until each sink has so many marks, at most for [`PATIENCE`]; the time since `begin`.
async fn drained(sinks: &[Sink], marks: u64, begin: Instant) -> Duration {
    while sinks.iter().any(|sink| sink.marks() < marks) && begin.elapsed() < PATIENCE {
        sleep(Duration::from_millis(5)).await;
    }
    begin.elapsed()
}
