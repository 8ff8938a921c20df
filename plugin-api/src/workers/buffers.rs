//! Buffers of requests that are sent one after the other, and at the same time.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Keeps as many buffers as requests were sent at the same time.
pub struct BufferPool<T> {
    free: Mutex<Vec<T>>,
    make: Box<dyn Fn() -> T + Send + Sync>,
}

impl<T> BufferPool<T> {
    /// A pool without a buffer. `make` makes one.
    pub fn new(make: impl Fn() -> T + Send + Sync + 'static) -> Self {
        Self {
            free: Mutex::default(),
            make: Box::new(make),
        }
    }

    /// Calls `f` with a buffer that nothing else uses meanwhile. It has what an earlier call left in
    /// it.
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        let free = self.lock().pop();
        let mut buffer = free.unwrap_or_else(&self.make);
        let result = f(&mut buffer);
        self.lock().push(buffer);
        result
    }

    fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> fmt::Debug for BufferPool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferPool").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_and_never_twice_at_the_same_time() {
        let pool = BufferPool::new(Vec::new);
        pool.with(|first| {
            first.push(1);
            pool.with(|second| second.push(2));
        });
        pool.with(|first| {
            pool.with(|second| assert_eq!([first, second], [&mut vec![1], &mut vec![2]]));
        });
    }
}
