//! What `try` prints.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

use delfin_plugin_api::{Failure, RowFailure, RowFailureKind};
use serde::Serialize;

use super::calls::FailedCall;
use crate::{cli::table::grouped, delivery::outcome_class};

/// The most ranges of rows that the text lists.
const MAX_RANGES: usize = 20;

#[derive(Debug, Serialize)]
pub(super) struct TryReport {
    pub(super) exporter: String,
    pub(super) kind: String,
    pub(super) plugin: String,
    pub(super) version: String,
    /// Starting the process, opening the library and creating the instance; null if that
    /// failed.
    pub(super) create_seconds: Option<f64>,
    pub(super) rows: u64,
    pub(super) items: u64,
    #[serde(flatten)]
    pub(super) outcome: TryOutcome,
    /// Null if `export` failed or was not called.
    pub(super) export_seconds: Option<f64>,
    pub(super) items_per_second: Option<f64>,
    pub(super) counters: BTreeMap<String, u64>,
}

/// The outcome of the first call that failed; that of `export` if none did.
#[derive(Debug, Serialize)]
pub(super) struct TryOutcome {
    #[serde(rename = "outcome")]
    class: &'static str,
    pub(super) call: &'static str,
    detail: Option<&'static str>,
    /// How long the receiver asks to wait.
    after_seconds: Option<f64>,
    /// Null if the batch was delivered.
    pub(super) message: Option<String>,
    failed_rows: Vec<FailedRows>,
    /// How the process ended; null if it did not end by itself.
    died: Option<String>,
    #[serde(skip)]
    took: Option<Duration>,
}

/// Rows that are not delivered, while others are.
#[derive(Debug, Serialize)]
struct FailedRows {
    first: usize,
    len: usize,
    class: &'static str,
    reason: String,
}

impl TryOutcome {
    pub(super) fn delivered() -> Self {
        Self {
            class: outcome_class(&Ok(())),
            call: "export",
            detail: None,
            after_seconds: None,
            message: None,
            failed_rows: Vec::new(),
            died: None,
            took: None,
        }
    }
}

impl From<FailedCall> for TryOutcome {
    fn from(failed: FailedCall) -> Self {
        let FailedCall {
            call,
            failure,
            panicked,
            death,
            took,
        } = failed;
        let message = failure.to_string();
        let after = failure.after();
        let detail = match &failure {
            Failure::Throttled { .. } => Some("throttled"),
            Failure::Unauthorized { .. } => Some("unauthorized"),
            Failure::Misconfigured { .. } => Some("misconfigured"),
            Failure::Fatal { .. } => panicked.then_some("panicked"),
            Failure::Partial { .. }
            | Failure::Retry { .. }
            | Failure::TooLarge { .. }
            | Failure::Rejected { .. }
            | Failure::Uncertain { .. } => None,
        };
        let outcome = Err(failure);
        let class = outcome_class(&outcome);
        let failed_rows = match outcome {
            Err(Failure::Partial { rows, .. }) => rows.into_iter().map(FailedRows::from).collect(),
            Ok(()) | Err(_) => Vec::new(),
        };
        Self {
            class,
            call,
            detail,
            after_seconds: after.map(|after| after.as_secs_f64()),
            message: Some(message),
            failed_rows,
            died: death.map(|death| death.to_string()),
            took,
        }
    }
}

impl From<RowFailure> for FailedRows {
    fn from(failure: RowFailure) -> Self {
        Self {
            first: failure.rows.start,
            len: failure.rows.len(),
            class: match failure.kind {
                RowFailureKind::Retry => "retry",
                RowFailureKind::Rejected => "reject",
                RowFailureKind::Uncertain => "uncertain",
            },
            reason: failure.reason,
        }
    }
}

impl FailedRows {
    fn numbers(&self) -> String {
        match self.len {
            0 | 1 => self.first.to_string(),
            len => format!("{} to {}", self.first, self.first.saturating_add(len - 1)),
        }
    }
}

impl TryReport {
    pub(super) fn text(&self) -> String {
        let mut text = format!(
            "exporter  {} ({}) of {} {}\n",
            self.exporter, self.kind, self.plugin, self.version
        );
        if let Some(seconds) = self.create_seconds {
            let _ = writeln!(text, "created   in {}", millis(seconds));
        }
        let (rows, items) = (grouped(self.rows), grouped(self.items));
        let _ = writeln!(text, "batch     {rows} rows, {items} items");
        match (self.export_seconds, self.items_per_second) {
            (Some(seconds), Some(rate)) if self.outcome.message.is_none() => {
                let (took, rate) = (millis(seconds), grouped(rate as u64));
                let _ = writeln!(text, "outcome   delivered, in {took} ({rate} items/s)");
            }
            _ => text += &self.outcome.text(),
        }
        for (counter, value) in &self.counters {
            let _ = writeln!(text, "counted   {counter} {}", grouped(*value));
        }
        text
    }
}

impl TryOutcome {
    /// Of a call that failed. The error of the command has its message.
    fn text(&self) -> String {
        let mut text = format!("outcome   {}", self.class);
        if let Some(detail) = self.detail {
            let _ = write!(text, " ({detail})");
        }
        let _ = write!(text, ", from `{}`", self.call);
        if let Some(took) = self.took {
            let _ = write!(text, ", in {}", millis(took.as_secs_f64()));
        }
        text.push('\n');
        if let Some(seconds) = self.after_seconds {
            let _ = writeln!(text, "delay     {seconds} s");
        }
        for rows in self.failed_rows.iter().take(MAX_RANGES) {
            let (class, reason) = (rows.class, &rows.reason);
            let _ = writeln!(text, "rows      {}: {class}: {reason}", rows.numbers());
        }
        if let Some(more @ 1..) = self.failed_rows.len().checked_sub(MAX_RANGES) {
            let _ = writeln!(text, "rows      and {more} more ranges");
        }
        text
    }
}

fn millis(seconds: f64) -> String {
    format!("{:.3} ms", seconds * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(failure: Failure) -> TryReport {
        TryReport {
            exporter: "AcmeExporter".to_owned(),
            kind: "performance".to_owned(),
            plugin: "acme".to_owned(),
            version: "1.0.0".to_owned(),
            create_seconds: Some(0.0125),
            rows: 100,
            items: 1000,
            outcome: TryOutcome::from(FailedCall {
                call: "export",
                failure,
                panicked: false,
                death: None,
                took: Some(Duration::from_millis(2)),
            }),
            export_seconds: None,
            items_per_second: None,
            counters: BTreeMap::new(),
        }
    }

    #[test]
    fn a_failed_outcome_has_its_class_delay_and_rows() {
        let throttled = report(Failure::Throttled {
            message: "busy".to_owned(),
            after: Some(Duration::from_secs(30)),
        });
        let rows = vec![
            RowFailure {
                rows: 3..5,
                kind: RowFailureKind::Rejected,
                reason: "value out of range".to_owned(),
            },
            RowFailure {
                rows: 9..10,
                kind: RowFailureKind::Retry,
                reason: "timeout".to_owned(),
            },
        ];
        let partial = report(Failure::Partial { rows, after: None });
        insta::assert_snapshot!(format!("{}\n{}", throttled.text(), partial.text()));
        insta::assert_json_snapshot!(partial);
    }
}
