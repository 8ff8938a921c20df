//! Where the plugin of an exporter runs, and how often it was restarted.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::duration;
use crate::cli::table::{Cell, grouped};

#[derive(Debug, Default, Deserialize)]
pub(in crate::cli) struct ProcessColumns {
    isolation: Option<String>,
    pid: Option<u64>,
    resident_bytes: Option<u64>,
    cpu_seconds: Option<f64>,
    /// By reason.
    #[serde(default)]
    restarts: BTreeMap<String, u64>,
}

impl ProcessColumns {
    /// The process or that it is a thread, its memory, its CPU time, and the restarts.
    pub(in crate::cli) fn cells(&self) -> [Cell; 4] {
        let process = match self.pid {
            Some(pid) => Cell::text(pid.to_string()),
            None if self.isolation.as_deref() == Some("thread") => Cell::text("thread"),
            None => Cell::none(),
        };
        let memory = self.resident_bytes.map(mebibytes);
        let cpu = self.cpu_seconds.map(duration);
        let amount = |text: Option<String>| text.map_or_else(Cell::none, Cell::amount);
        [process, amount(memory), amount(cpu), self.restarts()]
    }

    /// `3 (deadline 1, signal 2)`
    fn restarts(&self) -> Cell {
        if self.restarts.is_empty() {
            return Cell::none();
        }
        let total = grouped(self.restarts.values().sum());
        let reasons = self.restarts.iter().filter(|(_, times)| **times > 0);
        let reasons: Vec<String> = reasons
            .map(|(reason, times)| format!("{reason} {}", grouped(*times)))
            .collect();
        if reasons.is_empty() {
            Cell::text(total)
        } else {
            Cell::text(format!("{total} ({})", reasons.join(", ")))
        }
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
