//! Reads the secrets of an exporter again while its receiver refuses them, and replaces the
//! instance when one has changed.

use std::time::{Duration, Instant};

use delfin_plugin_api::{Failure, Outcome};
use tokio::{task::spawn_blocking, time::timeout};

use super::{InstanceReadiness, Instances};
use crate::delivery::report::LOG;

/// How often the secrets are read at the most.
const INTERVAL: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(super) struct SecretWatch {
    is_refused: bool,
    last_read: Option<Instant>,
}

impl SecretWatch {
    pub(super) fn on_outcome(&mut self, outcome: &Outcome, is_export: bool) {
        match outcome {
            Err(Failure::Unauthorized { .. }) => self.is_refused = true,
            Ok(()) if is_export => self.is_refused = false,
            // The receiver says nothing about credentials.
            Ok(()) | Err(_) => {}
        }
    }

    /// Whether the secrets should be read now. If so, they are read.
    pub(super) fn take_due(&mut self, now: Instant) -> bool {
        let is_due = self.is_refused
            && self
                .last_read
                .is_none_or(|read| now.saturating_duration_since(read) >= INTERVAL);
        if is_due {
            self.last_read = Some(now);
        }
        is_due
    }
}

impl Instances {
    /// Reads the secrets of the configuration again if the receiver refuses them. If one has
    /// changed, replaces the instance and returns true.
    pub(in crate::delivery) async fn renew_secrets(&mut self) -> bool {
        match self.readiness() {
            InstanceReadiness::Ready | InstanceReadiness::Absent { .. } => {}
            InstanceReadiness::Busy | InstanceReadiness::Disabled | InstanceReadiness::Closed => {
                return false;
            }
        }
        if self.config.secrets.is_empty() || !self.secrets.take_due(Instant::now()) {
            return false;
        }
        let (secrets, config) = (self.config.secrets.clone(), self.config.config.clone());
        let redactor = self.host.redactor.clone();
        let read = move || redactor.learn(|redactor| secrets.renew(&config, redactor));
        let read = timeout(self.config.timeout, spawn_blocking(read)).await;
        let exporter = self.reporter.exporter();
        match read {
            Ok(Ok(Ok(Some(renewed)))) => {
                let settings = renewed.changed.join(", ");
                log::info!(target: LOG, exporter, settings; "a secret has changed, a new instance uses it");
                self.config.config = renewed.config;
                self.restart_now();
                return true;
            }
            Ok(Ok(Ok(None))) => {}
            Ok(Ok(Err(reason))) => {
                log::debug!(target: LOG, exporter; "cannot read the secrets again: {reason}");
            }
            Ok(Err(_)) | Err(_) => {
                log::debug!(target: LOG, exporter; "reading the secrets again takes too long");
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_read_while_they_are_refused_and_not_in_a_burst() {
        let refused = Err(Failure::Unauthorized {
            message: "why".to_owned(),
        });
        let mut watch = SecretWatch::default();
        let now = Instant::now();
        assert!(!watch.take_due(now));
        watch.on_outcome(&refused, true);
        assert!(watch.take_due(now));
        assert!(!watch.take_due(now + INTERVAL / 2));
        watch.on_outcome(&Err(Failure::retry("why")), true);
        watch.on_outcome(&Ok(()), false);
        assert!(watch.take_due(now + INTERVAL));
        watch.on_outcome(&Ok(()), true);
        assert!(!watch.take_due(now + INTERVAL * 2));
        watch.on_outcome(&refused, false);
        assert!(watch.take_due(now + INTERVAL * 2));
    }
}
