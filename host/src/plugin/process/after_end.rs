//! What the end of an exporter's process means for its calls.

use delfin_plugin_api::Failure;

use super::dialogue::ProcessEnd;
use crate::plugin::{
    call::CallResult,
    death::{DeathCause, ProcessDeath},
    host::InstanceHost,
};

/// The result of a call that the process does not answer. `is_sent`: it had got the call.
pub(super) fn result_after(end: &ProcessEnd, is_sent: bool) -> CallResult {
    match end {
        ProcessEnd::NotStarted(error) => CallResult::new(Err(Failure::retry(format!(
            "cannot start a process: {error}"
        )))),
        ProcessEnd::Ended { cause, .. } => {
            let death = ProcessDeath {
                cause: cause.clone(),
                in_call: is_sent,
            };
            CallResult {
                death: Some(death.clone()),
                ..CallResult::new(Err(Failure::fatal(&death)))
            }
        }
    }
}

/// How a process has ended that was told to exit, and has not done so cleanly. It has done
/// its work.
pub(super) fn unclean_exit(end: ProcessEnd, host: &InstanceHost) -> Option<ProcessDeath> {
    let ProcessEnd::Ended {
        cause,
        is_released: true,
    } = end
    else {
        return None;
    };
    if matches!(cause, DeathCause::Exit(0) | DeathCause::Deadline) {
        return None;
    }
    let death = ProcessDeath {
        cause,
        in_call: false,
    };
    log::warn!(exporter = host.exporter; "while exiting, {death}");
    Some(death)
}
