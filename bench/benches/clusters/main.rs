//! How many items 1, 2 and 4 hosts accept and deliver. Each is the active host of a cluster of its own, with its journals on Kafka; all
//! have one broker and one database.
//!
//! A producer and a consumer of librdkafka for each host do the same with the records of the hosts, on the same broker and after each
//! measurement: with as many records on the way as a host has clients, and with as many as they can. Budget: hosts deliver at least
//! 0.7 of their items. Load, hosts, broker and database share the processors: their time of an item says what limits the rate.
//!
//! Prints a table, and for `scripts/benchmarks` a row of JSON for each figure.

#![expect(clippy::print_stdout, reason = "what was measured")]
#![expect(
    clippy::expect_used,
    reason = "a benchmark says by a panic that it failed"
)]

mod clients;
mod hosts;
mod report;

use delfin_bench::{payload::Shape, usage::Usage};
use delfin_tests::Site;
use tokio::runtime::Runtime;

use clients::{Pace, RecordTopics};
use report::{Cell, Measured};

const HOSTS: [usize; 3] = [1, 2, 4];

const SHAPES: [(&str, Shape); 2] = [
    (
        "100 series of a point",
        Shape {
            series: 100,
            points: 1,
        },
    ),
    (
        "100 series of 15 points",
        Shape {
            series: 100,
            points: 15,
        },
    ),
];

const ROUNDS: usize = 3;

fn main() {
    let (Some(site), Ok(runtime)) = (Site::start(), Runtime::new()) else {
        return;
    };
    let mut cells: Vec<Cell> = Vec::new();
    for (work, shape) in SHAPES {
        for hosts in HOSTS {
            let mut cell = Cell::new(work, hosts);
            for _ in 0..ROUNDS {
                let (measured, records) = hosts::measure(&site, &runtime, shape, hosts);
                cell.through_hosts.push(measured);
                let topics = RecordTopics::new(&site, &runtime, records, shape);
                cell.in_step.push(topics.measure(Pace::InStep));
                cell.alone.push(topics.measure(Pace::Unlimited));
            }
            println!("{}", cell.line());
            cells.push(cell);
        }
    }
    println!("\n{}", report::table(&cells));
    for row in cells.iter().flat_map(Cell::rows) {
        println!("{row}");
    }
}

/// The processes that share the processors.
struct Processes {
    hosts: Vec<u32>,
    broker: u32,
    database: u32,
}

impl Processes {
    fn new(site: &Site, hosts: Vec<u32>) -> Self {
        Self {
            hosts,
            broker: site.broker.pid().expect("the broker runs"),
            database: site.database.pid(),
        }
    }

    /// Their processor time so far, in seconds: hosts with their exporters, broker, database, this program.
    fn seconds(&self) -> [f64; 4] {
        let of = |pid: u32| Usage::of(pid).cpu_seconds;
        let hosts: f64 = self.hosts.iter().copied().map(of).sum();
        let (broker, database) = (of(self.broker), of(self.database));
        // The others are its children.
        let own = of(std::process::id()) - hosts - broker - database;
        [hosts, broker, database, own]
    }

    /// What was measured since `before`.
    fn measured(&self, before: [f64; 4], accepted: f64, delivered: f64, items: f64) -> Measured {
        let now = self.seconds();
        let mut micros = now;
        for (micros, before) in micros.iter_mut().zip(before) {
            *micros = (*micros - before) * 1e6 / items;
        }
        Measured {
            accepted,
            delivered,
            micros,
        }
    }
}
