//! Compares the outcome of a call with what a test expects.

use crate::{Failure, Outcome};

/// The name of an outcome: `delivered`, or that of the [`Failure`] in lower case, such as
/// `retry` or `too large`.
#[must_use]
pub fn outcome_name(outcome: &Outcome) -> &'static str {
    let Err(failure) = outcome else {
        return "delivered";
    };
    match failure {
        Failure::Partial { .. } => "partial",
        Failure::Retry { .. } => "retry",
        Failure::Throttled { .. } => "throttled",
        Failure::TooLarge { .. } => "too large",
        Failure::Rejected { .. } => "rejected",
        Failure::Unauthorized { .. } => "unauthorized",
        Failure::Misconfigured { .. } => "misconfigured",
        Failure::Fatal { .. } => "fatal",
        Failure::Uncertain { .. } => "uncertain",
    }
}

/// Checks that an outcome has this name and that its message contains `part`.
///
/// ```
/// use delfin_plugin_api::{Failure, testkit::check_outcome};
///
/// check_outcome(&Err(Failure::retry("connection refused")), "retry", "refused");
/// ```
///
/// # Panics
///
/// It has another name or another message.
#[track_caller]
pub fn check_outcome(outcome: &Outcome, name: &str, part: &str) {
    let message = match outcome {
        Ok(()) => String::new(),
        Err(failure) => failure.to_string(),
    };
    assert!(
        outcome_name(outcome) == name && message.contains(part),
        "expected the outcome `{name}` with `{part}` in its message: {outcome:?}"
    );
}
