//! What was measured: as a table for people, and as JSON for a later run.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) rows: Vec<Row>,
}

/// One program in one cell. Rates are points a second.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) cell: String,
    pub(crate) system: String,
    pub(crate) accepted: f64,
    /// Until every sink had all of it: from the first request, or from the return of the sinks.
    pub(crate) delivered: f64,
    /// Per point.
    pub(crate) cpu_micros: f64,
    pub(crate) peak_bytes: f64,
    /// Per point.
    pub(crate) written_bytes: f64,
    /// Until a request was accepted.
    pub(crate) median_ms: f64,
    pub(crate) p99_ms: f64,
    /// From the return of the sinks to the first request to the last of them; 0 if they were not away.
    pub(crate) first_call_ms: f64,
    /// Requests that were to be sent again.
    pub(crate) refused: f64,
    /// Points that were accepted, and that sinks had not received; negative if they came more than once.
    pub(crate) missing: f64,
}

impl Row {
    fn numbers(&mut self) -> [&mut f64; 10] {
        [
            &mut self.accepted,
            &mut self.delivered,
            &mut self.cpu_micros,
            &mut self.peak_bytes,
            &mut self.written_bytes,
            &mut self.median_ms,
            &mut self.p99_ms,
            &mut self.first_call_ms,
            &mut self.refused,
            &mut self.missing,
        ]
    }

    fn is_of(&self, other: &Self) -> bool {
        self.cell == other.cell && self.system == other.system
    }
}

/// The median of each number of several rounds.
pub(crate) fn median(rounds: &[Row]) -> Option<Row> {
    let mut median = rounds.first()?.clone();
    for (at, number) in median.numbers().into_iter().enumerate() {
        let mut all: Vec<_> = rounds
            .iter()
            .map(|row| *row.clone().numbers()[at])
            .collect();
        all.sort_by(f64::total_cmp);
        *number = all[all.len() / 2];
    }
    Some(median)
}

impl Report {
    /// A table in Markdown, with the ratio to the first program of each cell, and to an earlier run.
    pub(crate) fn table(&self, before: Option<&Self>) -> String {
        let mut table = String::from(
            "| work | program | accepted/s | delivered/s | of ours | CPU us | peak MB | written bytes | p50 / p99 ms | first call ms | refused | missing | of before |\n\
             |-|-|-|-|-|-|-|-|-|-|-|-|-|\n",
        );
        for row in &self.rows {
            let ours = self.rows.iter().find(|other| other.cell == row.cell);
            let ours = ours.map_or(1.0, |ours| row.delivered / ours.delivered);
            let earlier =
                before.and_then(|before| before.rows.iter().find(|other| other.is_of(row)));
            let earlier = earlier.map_or_else(String::new, |earlier| {
                format!("{:.2}", row.delivered / earlier.delivered)
            });
            let _ = writeln!(
                table,
                "| {} | {} | {} | {} | {ours:.2} | {:.2} | {:.0} | {:.1} | {:.1} / {:.1} | {:.0} | {:.0} | {:.0} | {earlier} |",
                row.cell,
                row.system,
                thousands(row.accepted),
                thousands(row.delivered),
                row.cpu_micros,
                row.peak_bytes / 1e6,
                row.written_bytes,
                row.median_ms,
                row.p99_ms,
                row.first_call_ms,
                row.refused,
                row.missing,
            );
        }
        table
    }
}

fn thousands(rate: f64) -> String {
    format!("{:.0} k", rate / 1e3)
}
