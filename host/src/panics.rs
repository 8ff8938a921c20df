//! Panics of a library on input that it cannot read.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
};

thread_local! {
    static IS_CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Runs work whose panic means that its input is bad; `None` if it panics.
///
/// What the work has changed must not be used after a panic.
pub fn catch<R>(work: impl FnOnce() -> R) -> Option<R> {
    let outer = IS_CAUGHT.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    IS_CAUGHT.set(outer);
    result.ok()
}

/// Whether this thread is in [`catch`], so that a panic is no fault of the host.
#[must_use]
pub fn is_caught() -> bool {
    IS_CAUGHT.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_in_catch_is_caught_and_known_as_such() {
        assert!(!is_caught());
        assert_eq!(catch(is_caught), Some(true));
        assert_eq!(catch(|| -> u8 { panic!("on purpose") }), None);
        assert!(!is_caught());
    }
}
