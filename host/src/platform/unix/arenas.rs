//! The arenas from which the C library takes memory.

#![expect(unsafe_code, reason = "no safe function sets how many there are")]

/// Limits them to one for each processor. The GNU C library has eight for each by default, and an arena keeps memory that
/// it was given back. `MALLOC_ARENA_MAX` in the environment sets another limit.
pub(crate) fn limit_arenas() {
    #[cfg(target_env = "gnu")]
    if std::env::var_os("MALLOC_ARENA_MAX").is_none() {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        // SAFETY: it changes how later allocations are made, and none that exists.
        unsafe { libc::mallopt(libc::M_ARENA_MAX, processors.try_into().unwrap_or(i32::MAX)) };
    }
}
