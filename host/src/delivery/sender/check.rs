//! What follows from a check of the receiver's health: before rows are sent to a receiver that has
//! failed, or while they wait.

use delfin_plugin_api::Failure;

use super::{InstanceHealth, Sender};
use crate::plugin::CallResult;

impl Sender {
    /// Acts on the result of a check.
    pub(in crate::delivery) fn on_checked(&mut self, result: &CallResult) -> InstanceHealth {
        if self.trial.ends_probe() {
            return self.on_probed(result);
        }
        let outcome = &result.outcome;
        let after = match outcome {
            Err(Failure::Retry { after, .. } | Failure::Throttled { after, .. }) => *after,
            Err(Failure::Uncertain { .. }) => None,
            Err(Failure::Unauthorized { .. } | Failure::Misconfigured { .. }) => {
                let failures = self.trial.on_failure();
                self.pause(outcome, failures);
                return InstanceHealth::Unknown;
            }
            Err(Failure::Fatal { .. }) => {
                self.trial.on_failure();
                return self.broken(result);
            }
            // The others are about rows: the receiver answers.
            Ok(())
            | Err(Failure::Partial { .. } | Failure::TooLarge { .. } | Failure::Rejected { .. }) => {
                self.trial.on_healthy();
                return InstanceHealth::Unknown;
            }
        };
        self.trial.on_failure();
        let attempt = self.pacing.failures().saturating_add(1);
        self.on_unavailable(outcome, attempt, after);
        InstanceHealth::Unknown
    }

    /// Acts on the result of a check while rows wait: it ends their wait, or changes nothing.
    fn on_probed(&mut self, result: &CallResult) -> InstanceHealth {
        match &result.outcome {
            Err(Failure::Retry { after: None, .. } | Failure::Throttled { after: None, .. })
            | Err(Failure::Uncertain { .. }) => self.trial.on_probe_failed(),
            // The receiver has named a wait, or a person must act: the next check is that after the
            // backoff.
            Err(Failure::Retry { .. } | Failure::Throttled { .. })
            | Err(Failure::Unauthorized { .. } | Failure::Misconfigured { .. }) => {}
            Err(Failure::Fatal { .. }) => return self.broken(result),
            Ok(())
            | Err(Failure::Partial { .. } | Failure::TooLarge { .. } | Failure::Rejected { .. }) => {
                if self.trial.on_probe_healthy() {
                    self.retry_now();
                }
            }
        }
        InstanceHealth::Unknown
    }
}
