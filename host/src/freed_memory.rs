//! Memory that is not in use any more.

#![expect(unsafe_code, reason = "no safe function returns memory to the system")]

/// Returns freed memory to the system, after work that has needed much of it for a short time. By itself, the C library
/// keeps what lies between memory that is still in use.
pub(crate) fn release() {
    // SAFETY: the call has no preconditions, and changes nothing that is in use.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0)
    };
}
