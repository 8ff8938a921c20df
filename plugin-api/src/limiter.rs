//! Spreads requests over time, for receivers that limit how many they accept.
//!
//! Promises: two requests are never closer than the interval; a request that cannot be sent before
//! the deadline is not waited for.

use std::{
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{Failure, setting::Mistakes};

const PER_MINUTE: &str = "write a number of requests from 1 to 6000";

/// Allows a number of requests a minute, in equal intervals.
#[derive(Debug)]
pub struct RateLimiter {
    interval: Duration,
    /// When the next request can be sent.
    next: Mutex<Instant>,
}

impl RateLimiter {
    /// Allows this many requests a minute, at least one.
    #[must_use]
    pub fn new(per_minute: u32) -> Self {
        Self {
            interval: Duration::from_secs(60) / per_minute.max(1),
            next: Mutex::new(Instant::now()),
        }
    }

    /// Reads the setting `key`, a number of requests a minute.
    pub fn read(key: &str, value: Option<Value>, default: u32, mistakes: &mut Mistakes) -> u32 {
        let read = |value: &Value| {
            let number = u32::try_from(value.as_u64()?).ok()?;
            (1..=6000).contains(&number).then_some(number)
        };
        mistakes
            .read(key, value, read, PER_MINUTE)
            .unwrap_or(default)
    }

    /// Waits until a request can be sent.
    ///
    /// # Errors
    ///
    /// [`Failure::Throttled`], at once, if that is after the deadline.
    pub fn wait(&self, deadline: Instant) -> Result<(), Failure> {
        thread::sleep(self.reserve(Instant::now(), deadline)?);
        Ok(())
    }

    /// How long to wait before the request.
    fn reserve(&self, now: Instant, deadline: Instant) -> Result<Duration, Failure> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let start = now.max(*next);
        if start > now && start >= deadline {
            return Err(Failure::Throttled {
                message: "the limit of the settings allows no further request now".to_owned(),
                after: Some(start - now),
            });
        }
        *next = start + self.interval;
        Ok(start - now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_keep_their_distance_and_wait_for_no_deadline() {
        let limiter = RateLimiter::new(60);
        let now = Instant::now() + Duration::from_secs(1);
        let deadline = now + Duration::from_secs(2);
        let waits: Vec<_> = (0..2).map(|_| limiter.reserve(now, deadline)).collect();
        assert_eq!(waits, [Ok(Duration::ZERO), Ok(Duration::from_secs(1))]);
        let Err(Failure::Throttled { after, .. }) = limiter.reserve(now, deadline) else {
            panic!("not throttled")
        };
        assert_eq!(after, Some(Duration::from_secs(2)));
        // Time passes.
        let later = now + Duration::from_secs(60);
        assert_eq!(limiter.reserve(later, later), Ok(Duration::ZERO));
    }
}
