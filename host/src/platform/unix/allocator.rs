//! The allocator of the C library.

#![cfg_attr(
    target_env = "gnu",
    expect(unsafe_code, reason = "no safe function sets its options")
)]

/// Larger blocks go back to the system when they are freed, and so does what is free at the end of an arena.
#[cfg(target_env = "gnu")]
const MAX_KEPT_BYTES: i32 = 1 << 20;

/// With one for each, threads that run at the same time often share an arena, and wait for each other.
#[cfg(target_env = "gnu")]
const ARENAS_PER_PROCESSOR: usize = 2;

/// Limits what the GNU C library keeps of memory that is free. By default, it has eight arenas for each processor, which
/// all keep some, and it keeps the more, the larger the blocks are that were in use. Its variables in the environment
/// go before these limits.
pub(crate) fn limit_kept_memory() {
    #[cfg(target_env = "gnu")]
    {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let arenas = i32::try_from(ARENAS_PER_PROCESSOR * processors).unwrap_or(i32::MAX);
        let limits = [
            ("MALLOC_ARENA_MAX", libc::M_ARENA_MAX, arenas),
            (
                "MALLOC_MMAP_THRESHOLD_",
                libc::M_MMAP_THRESHOLD,
                MAX_KEPT_BYTES,
            ),
            (
                "MALLOC_TRIM_THRESHOLD_",
                libc::M_TRIM_THRESHOLD,
                MAX_KEPT_BYTES,
            ),
        ];
        for (variable, option, limit) in limits {
            if std::env::var_os(variable).is_none() {
                // SAFETY: it changes how later blocks are allocated and freed, and none that exists.
                unsafe { libc::mallopt(option, limit) };
            }
        }
    }
}
