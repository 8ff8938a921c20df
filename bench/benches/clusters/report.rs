//! The figures of all cells.

use std::{fmt::Write, thread};

use serde_json::{Value, json};

/// Rates are of items a second.
#[derive(Clone, Copy, Default)]
pub(crate) struct Measured {
    pub(crate) accepted: f64,
    pub(crate) delivered: f64,
    /// Processor time of an item: of hosts, broker, database, and this program.
    pub(crate) micros: [f64; 4],
}

/// The rounds of one kind of work and number of hosts.
pub(crate) struct Cell {
    work: &'static str,
    pub(crate) hosts: usize,
    pub(crate) through_hosts: Vec<Measured>,
    pub(crate) in_step: Vec<Measured>,
    pub(crate) alone: Vec<Measured>,
}

impl Cell {
    pub(crate) fn new(work: &'static str, hosts: usize) -> Self {
        Self {
            work,
            hosts,
            through_hosts: Vec::new(),
            in_step: Vec::new(),
            alone: Vec::new(),
        }
    }

    /// The medians as a row of the table.
    pub(crate) fn line(&self) -> String {
        let [hosts, in_step, alone] = self.medians();
        let [host, broker, database, load] = hosts.micros;
        let processors = thread::available_parallelism().map_or(1, usize::from) as f64;
        let busy = hosts.micros.iter().sum::<f64>() * hosts.delivered / 1e6 / processors;
        format!(
            "| {} | {} | {:.0} k | {:.0} k | {:.0} k, {:.2} | {:.0} k, {:.2} | {host:.3}, {broker:.3}, {database:.3}, {load:.3} | {:.3}, {:.3} | {:.0} % |",
            self.work,
            self.hosts,
            hosts.accepted / 1e3,
            hosts.delivered / 1e3,
            in_step.delivered / 1e3,
            hosts.delivered / in_step.delivered,
            alone.delivered / 1e3,
            hosts.delivered / alone.delivered,
            alone.micros[3],
            alone.micros[1],
            busy * 100.0,
        )
    }

    /// The medians as rows of `scripts/benchmarks`.
    pub(crate) fn rows(&self) -> Vec<Value> {
        let [hosts, in_step, alone] = self.medians();
        let name = |what: &str| format!("{}, hosts: {}/{what}", self.work, self.hosts);
        let rates = [
            ("accepted", hosts.accepted),
            ("delivered", hosts.delivered),
            ("librdkafka in step", in_step.delivered),
            ("librdkafka alone", alone.delivered),
        ];
        let rates = rates.map(|(what, rate)| {
            json!({"name": name(what), "seconds": 1.0 / rate, "rate": rate, "unit": "item/s"})
        });
        let times = ["hosts", "broker", "database"].iter().zip(hosts.micros);
        let times = times.map(|(process, micros)| {
            json!({"name": name(&format!("processor time of {process}")), "seconds": micros / 1e6})
        });
        rates.into_iter().chain(times).collect()
    }

    fn medians(&self) -> [Measured; 3] {
        [&self.through_hosts, &self.in_step, &self.alone].map(|rounds| Measured {
            accepted: median(rounds, |one| one.accepted),
            delivered: median(rounds, |one| one.delivered),
            micros: [0, 1, 2, 3].map(|process| median(rounds, |one| one.micros[process])),
        })
    }
}

pub(crate) fn table(cells: &[Cell]) -> String {
    let mut table = "| work | hosts | accepted/s | delivered/s | librdkafka in step, ratio | librdkafka alone, ratio \
                     | us of an item: hosts, broker, database, load | librdkafka alone: clients, broker | busy |\n\
                     |-|-|-|-|-|-|-|-|-|"
        .to_owned();
    for cell in cells {
        write!(table, "\n{}", cell.line()).ok();
    }
    table
}

fn median(rounds: &[Measured], figure: impl Fn(&Measured) -> f64) -> f64 {
    let mut figures: Vec<_> = rounds.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}
