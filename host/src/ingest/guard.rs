//! The time and the memory that one body may take.

use std::time::Instant;

use super::{BodyLimits, IngestError, memory::MemoryClaim};

/// Watches a body while it is parsed. Every limit of size bounds time and memory as well;
/// this bounds them for bodies that are more expensive than their size tells.
#[derive(Debug)]
pub(super) struct ParseGuard {
    end: Instant,
    limits: BodyLimits,
    claim: MemoryClaim,
    /// The memory of the body itself.
    body_bytes: u64,
}

impl ParseGuard {
    pub(super) fn start(limits: &BodyLimits, claim: MemoryClaim) -> Self {
        Self {
            end: Instant::now() + limits.max_parse_time,
            limits: *limits,
            claim,
            body_bytes: 0,
        }
    }

    /// For tests of single formats.
    #[cfg(test)]
    pub(super) fn unlimited(limits: &BodyLimits) -> Self {
        Self::start(limits, MemoryClaim::unlimited())
    }

    /// Sets the memory of the body itself.
    ///
    /// # Errors
    ///
    /// The memory is not available.
    pub(super) fn hold_body(&mut self, bytes: usize) -> Result<(), IngestError> {
        self.body_bytes = bytes as u64;
        self.claim.resize(self.body_bytes)
    }

    /// Looks at the clock.
    ///
    /// # Errors
    ///
    /// The time is over.
    pub(super) fn check_time(&self) -> Result<(), IngestError> {
        if Instant::now() < self.end {
            return Ok(());
        }
        let limit = self.limits.max_parse_time;
        Err(IngestError::TooSlow { limit })
    }

    /// Looks at the clock, and claims the memory of the body and of what was made of it.
    ///
    /// # Errors
    ///
    /// The time is over, or the memory is not available.
    pub(super) fn check(&mut self, made_bytes: usize) -> Result<(), IngestError> {
        self.check_time()?;
        self.claim.resize(self.body_bytes + made_bytes as u64)
    }

    pub(super) fn into_claim(self) -> MemoryClaim {
        self.claim
    }
}
