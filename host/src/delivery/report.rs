//! What an exporter shows and logs about its state.

use std::sync::Arc;

use delfin_plugin_api::Failure;

use super::{
    DeliveryParts,
    status::{State, Status},
};
use crate::{journal::Journal, logging::LogLimiter, plugin::SharedRedactor};

/// Target of the log lines of a delivery, whichever file writes them.
pub(super) const LOG: &str = "delfin_host::delivery";

/// The kind of records of rejected rows, for the limiter.
const REJECTED: &str = "rejected";

/// Sets the state of an exporter and logs changes. Texts of plugins are redacted.
/// Cheap to clone.
#[derive(Clone)]
pub(super) struct Reporter {
    exporter: String,
    status: Arc<Status>,
    journal: Arc<dyn Journal>,
    redactor: SharedRedactor,
    rejections: Arc<LogLimiter>,
}

impl Reporter {
    pub(super) fn new(parts: &DeliveryParts, status: Arc<Status>) -> Self {
        Self {
            exporter: parts.config.name.clone(),
            status,
            journal: Arc::clone(parts.journal.backend()),
            redactor: parts.host.redactor.clone(),
            rejections: Arc::default(),
        }
    }

    pub(super) fn exporter(&self) -> &str {
        &self.exporter
    }

    pub(super) fn status(&self) -> &Status {
        &self.status
    }

    pub(super) fn redacted(&self, text: &str) -> String {
        self.redactor.redact(text)
    }

    /// Sets a state with its error. Logs a change of state, and an error in an
    /// unchanged state at debug.
    pub(super) fn failed(&self, state: State, error: &str) {
        let error = self.redacted(error);
        let previous = self.status.fail(state, &error);
        if previous == state {
            log::debug!(target: LOG, exporter = self.exporter; "{state}: {error}");
            return;
        }
        let level = match state {
            // A person must act.
            State::Failed | State::Quarantined | State::Paused => log::Level::Error,
            State::Starting | State::Running | State::Retrying | State::Stuck | State::Stopped => {
                log::Level::Warn
            }
        };
        log::log!(target: LOG, level, exporter = self.exporter; "{state}: {error}");
        // Kept in the journal for `exporters` after a restart. If the journal cannot
        // be written, the journal reports it.
        drop(self.journal.record_error(&self.exporter, &error));
    }

    /// Sets the state `running`, and logs it if it is a change.
    pub(super) fn running(&self) {
        match self.status.set(State::Running) {
            State::Retrying | State::Stuck | State::Paused | State::Failed | State::Quarantined => {
                log::info!(target: LOG, exporter = self.exporter; "running again");
            }
            State::Starting => log::info!(target: LOG, exporter = self.exporter; "running"),
            State::Running | State::Stopped => {}
        }
    }

    /// Sets the state `paused` because of an operator, unless it is set.
    pub(super) fn paused_by_operator(&self) {
        let view = self.status.view();
        let reason = format!(
            "paused by an operator (`delfin-host exporters resume {}` ends it)",
            self.exporter
        );
        if view.state == State::Paused && view.last_error.as_ref() == Some(&reason) {
            return;
        }
        self.status.fail(State::Paused, &reason);
        log::info!(target: LOG, exporter = self.exporter; "paused by an operator");
    }

    /// Ends the state that [`Self::paused_by_operator`] sets.
    pub(super) fn resumed_by_operator(&self) {
        log::info!(target: LOG, exporter = self.exporter; "resumed by an operator");
        self.status.update(|status| {
            if status.state == State::Paused {
                status.state = State::Starting;
                status.last_error = None;
                status.last_error_ms = None;
            }
        });
    }

    /// Logs rejected rows: a receiver can reject every request. Each reason is logged once a minute, with the number of
    /// further rejections at its end.
    pub(super) fn rejected(&self, items: u64, dead_lettered: u64, reason: &str) {
        let exporter = &*self.exporter;
        let reason = self.redacted(reason);
        let name = self.exporter.clone();
        let report = move |rejections| {
            log::error!(target: LOG, exporter = &*name, rejections; "further rows were rejected in the last minute");
        };
        if self.rejections.admit_or_report(REJECTED, &reason, report) {
            log::error!(target: LOG, exporter, items, dead_lettered; "rejected: {reason}");
        } else {
            log::debug!(target: LOG, exporter, items, dead_lettered; "rejected again: {reason}");
        }
    }

    /// Logs the failure of a call that carried no rows.
    pub(super) fn call_failed(&self, call: &str, failure: &Failure) {
        let failure = self.redacted(&failure.to_string());
        log::warn!(target: LOG, exporter = self.exporter; "{call} failed: {failure}");
    }
}
