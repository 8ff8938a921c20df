//! The allocator: that of Windows needs no limits.

pub(crate) const fn limit_kept_memory() {}
