//! What an exporter shows and logs of how it fares: aloud when it is news.

use delfin_plugin_api::Failure;

use super::{LOG, State, Worker};

impl Worker {
    /// Says what went wrong: aloud when it is news, else at debug.
    pub(super) fn failed(&self, state: State, error: &str) {
        let error = self.scrubbed(error);
        let before = self.status.fail(state, &error);
        if before == state {
            log::debug!(target: LOG, exporter = self.name(); "{state}: {error}");
            return;
        }
        let level = match state {
            // A person must act.
            State::Failed | State::Quarantined | State::Paused => log::Level::Error,
            State::Starting | State::Running | State::Retrying | State::Stuck | State::Stopped => {
                log::Level::Warn
            }
        };
        log::log!(target: LOG, level, exporter = self.name(); "{state}: {error}");
        // Lasts, so that `exporters` can tell after a restart; a failure to
        // write it shows as the journal's own.
        drop(
            self.delivery
                .journal
                .backend()
                .record_error(self.name(), &error),
        );
    }

    /// It delivers, or would: aloud when it did not before.
    pub(super) fn recovered(&self, before: State) {
        match before {
            State::Retrying | State::Stuck | State::Paused | State::Failed | State::Quarantined => {
                log::info!(target: LOG, exporter = self.name(); "running again")
            }
            State::Starting => log::info!(target: LOG, exporter = self.name(); "running"),
            State::Running | State::Stopped => {}
        }
    }

    /// A call that is not about rows went wrong.
    pub(super) fn complain(&self, call: &str, failure: &Failure) {
        let failure = self.scrubbed(&failure.to_string());
        log::warn!(target: LOG, exporter = self.name(); "{call} failed: {failure}");
    }

    pub(super) fn scrubbed(&self, text: &str) -> String {
        self.delivery.host.redactor.redact(text).into_owned()
    }
}
