//! The arenas from which memory is taken: Windows has none of them.

pub(crate) const fn limit_arenas() {}
