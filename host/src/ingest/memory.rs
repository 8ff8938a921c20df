//! The memory that all requests together may use.
//!
//! A request claims memory before it uses it: for its body as it arrives, for the
//! decompressed body, and for the batch. What all of them use never exceeds the limit; a
//! request that does not fit is refused, and its memory is free again.
//!
//! A part of the memory is reserved: for small requests, so that large ones do not keep
//! them out, and for alerts and commands.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::IngestError;

/// A request that claims more is a large one.
const LARGE_BYTES: u64 = 1 << 20;

/// The memory that is in use, and its limit: `api.max_ingest_bytes`.
#[derive(Debug)]
pub struct MemoryBudget {
    limit: u64,
    used: AtomicU64,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryUse {
    Performance,
    Alerts,
    /// A request that brings no batch.
    Command,
}

/// The memory of one request, until it is dropped.
#[derive(Debug)]
pub struct MemoryClaim {
    budget: Arc<MemoryBudget>,
    used_for: MemoryUse,
    /// Whether the body is still on its way.
    receiving: bool,
    bytes: u64,
}

impl MemoryBudget {
    #[must_use]
    pub fn new(limit: u64) -> Arc<Self> {
        let used = AtomicU64::new(0);
        Arc::new(Self { limit, used })
    }

    /// The most bytes that requests may use together.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// The bytes that requests use.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// An empty claim of a request whose body is on its way.
    #[must_use]
    pub fn claim(self: &Arc<Self>, used_for: MemoryUse) -> MemoryClaim {
        MemoryClaim {
            budget: Arc::clone(self),
            used_for,
            receiving: true,
            bytes: 0,
        }
    }
}

impl MemoryClaim {
    /// A claim that is never refused.
    #[must_use]
    pub fn unlimited() -> Self {
        MemoryBudget::new(u64::MAX).claim(MemoryUse::Command)
    }

    /// The body has arrived.
    pub fn end_receiving(&mut self) {
        self.receiving = false;
    }

    /// Changes the size of the claim.
    ///
    /// # Errors
    ///
    /// The memory is in use by other requests, or is less than this one needs.
    pub fn resize(&mut self, bytes: u64) -> Result<(), IngestError> {
        if bytes <= self.bytes {
            let freed = self.bytes - bytes;
            self.budget.used.fetch_sub(freed, Ordering::Relaxed);
            self.bytes = bytes;
            return Ok(());
        }
        let ceiling = self.ceiling(bytes);
        if bytes > ceiling {
            let limit = ceiling;
            return Err(IngestError::TooMuchMemory { limit });
        }
        let more = bytes - self.bytes;
        let claimed = self
            .budget
            .used
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(more).filter(|used| *used <= ceiling)
            });
        claimed.map_err(|_| IngestError::MemoryInUse)?;
        self.bytes = bytes;
        Ok(())
    }

    /// Up to how many bytes in use, those of all requests, this one may grow to `bytes`.
    fn ceiling(&self, bytes: u64) -> u64 {
        let small = match self.used_for {
            MemoryUse::Performance => 14,
            MemoryUse::Alerts | MemoryUse::Command => 16,
        };
        let sixteenths = match (bytes > LARGE_BYTES, self.receiving) {
            (false, _) => small,
            (true, false) => small - 1,
            // Bodies that have arrived need memory to become batches. Without room for
            // that, bodies that arrive would have them refused.
            (true, true) => small - 6,
        };
        (u128::from(self.budget.limit) * sixteenths / 16) as u64
    }
}

impl Drop for MemoryClaim {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// The most that a new claim of this use can get, in MiB.
    fn most(budget: &Arc<MemoryBudget>, used_for: MemoryUse, receiving: bool) -> u64 {
        let mut claim = budget.claim(used_for);
        claim.receiving = receiving;
        let fits = |mib: &u64| claim.resize(mib * MIB).is_ok();
        (0..=16).take_while(fits).last().unwrap_or_default()
    }

    #[test]
    fn what_all_requests_claim_stays_within_the_limit_and_is_freed() {
        let budget = MemoryBudget::new(16 * MIB);
        let mut first = budget.claim(MemoryUse::Alerts);
        let mut second = budget.claim(MemoryUse::Alerts);
        first.end_receiving();
        second.end_receiving();
        first.resize(10 * MIB).unwrap();
        second.resize(5 * MIB).unwrap();
        let refused = second.resize(6 * MIB).unwrap_err();
        assert!(matches!(refused, IngestError::MemoryInUse), "{refused}");
        assert_eq!(budget.used(), 15 * MIB);
        first.resize(2 * MIB).unwrap();
        second.resize(13 * MIB).unwrap();
        drop(second);
        assert_eq!(budget.used(), 2 * MIB);
        drop(first);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_request_that_never_fits_is_told_so() {
        let mut claim = MemoryBudget::new(16 * MIB).claim(MemoryUse::Performance);
        claim.end_receiving();
        let refused = claim.resize(14 * MIB).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the body needs more than 13631488 bytes of memory (send smaller batches, or raise \
             `api.max_ingest_bytes`)"
        );
    }

    #[test]
    fn large_requests_leave_memory_for_small_ones_and_performance_leaves_memory_for_alerts() {
        let budget = MemoryBudget::new(16 * MIB);
        assert_eq!(most(&budget, MemoryUse::Performance, true), 8);
        assert_eq!(most(&budget, MemoryUse::Performance, false), 13);
        assert_eq!(most(&budget, MemoryUse::Alerts, false), 15);
        let performance = |mib| {
            let mut claim = budget.claim(MemoryUse::Performance);
            claim.end_receiving();
            claim.resize(mib * MIB).map(|()| claim)
        };
        let large = performance(13).unwrap();
        assert!(performance(2).is_err());
        let small = performance(1).unwrap();
        assert!(performance(1).is_err());
        assert_eq!(most(&budget, MemoryUse::Alerts, true), 1);
        assert_eq!(most(&budget, MemoryUse::Command, true), 1);
        drop((large, small));
    }
}
