//! The time that one body may take.

use std::time::Instant;

use super::{BodyLimits, IngestError};

/// When parsing a body has to end. Every limit of size bounds the time as well; this
/// bounds it for bodies that are more expensive than their size tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct ParseDeadline {
    end: Instant,
    limits: BodyLimits,
}

impl ParseDeadline {
    pub(super) fn start(limits: &BodyLimits) -> Self {
        Self {
            end: Instant::now() + limits.max_parse_time,
            limits: *limits,
        }
    }

    /// # Errors
    ///
    /// The time is over.
    pub(super) fn check(&self) -> Result<(), IngestError> {
        if Instant::now() < self.end {
            return Ok(());
        }
        let limit = self.limits.max_parse_time;
        Err(IngestError::TooSlow { limit })
    }
}
