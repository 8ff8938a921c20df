//! The allocator: that of Windows has no such options.

pub(crate) const fn limit_kept_memory() {}
