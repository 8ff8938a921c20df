//! Contexts of a codec that are used again, because a new one costs more than a small batch.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many contexts are kept. More threads than these rarely encode at the same time.
const MAX_IDLE: usize = 16;

/// As many contexts as there were calls at the same time.
pub(super) struct Contexts<T> {
    idle: Mutex<Vec<T>>,
}

impl<T> Contexts<T> {
    pub(super) const fn new() -> Self {
        Self {
            idle: Mutex::new(Vec::new()),
        }
    }

    /// A context that is not in use.
    pub(super) fn take(&self) -> Option<T> {
        self.lock().pop()
    }

    /// A context that is not in use and that fits.
    pub(super) fn take_if(&self, fits: impl Fn(&T) -> bool) -> Option<T> {
        let mut idle = self.lock();
        let at = idle.iter().rposition(fits)?;
        Some(idle.remove(at))
    }

    /// Keeps a context after a call that succeeded, in place of the oldest one if there are too many.
    pub(super) fn put(&self, context: T) {
        let mut idle = self.lock();
        if idle.len() == MAX_IDLE {
            idle.remove(0);
        }
        idle.push(context);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_that_fits_is_taken_and_the_others_stay() {
        let contexts = Contexts::new();
        for context in [1, 2, 3, 4] {
            contexts.put(context);
        }
        assert_eq!(contexts.take_if(|context| context % 2 == 1), Some(3));
        assert_eq!(contexts.take_if(|context| *context > 9), None);
        assert_eq!(contexts.take(), Some(4));
        assert_eq!(contexts.take(), Some(2));
    }

    #[test]
    fn the_oldest_context_is_replaced() {
        let contexts = Contexts::new();
        for context in 0..=MAX_IDLE {
            contexts.put(context);
        }
        assert_eq!(contexts.take_if(|context| *context == 0), None);
        assert_eq!(contexts.take_if(|context| *context == 1), Some(1));
    }
}
