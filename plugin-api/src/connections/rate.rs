//! The least rate at which a client has to send or to read.

use std::time::Duration;

/// How long a client may keep the server waiting at first.
const GRACE: Duration = Duration::from_secs(30);

/// Slower than any line in use.
const MIN_BYTES_PER_SECOND: u64 = 16 << 10;

/// The time that a client may still keep the server waiting: 30 seconds at first. Waiting
/// reduces it, and each 16 KiB that arrive restore a second.
///
/// So a client that stops is cut off after 30 seconds, and a client that sends a byte from
/// time to time is cut off just as soon.
#[derive(Clone, Copy, Debug)]
pub struct MinimumRate {
    left: Duration,
}

impl Default for MinimumRate {
    fn default() -> Self {
        Self { left: GRACE }
    }
}

impl MinimumRate {
    /// How long the client may keep the server waiting from now on.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.left
    }

    /// The client kept the server waiting, and then this many bytes went through.
    pub fn progress(&mut self, waited: Duration, bytes: u64) {
        let restored = Duration::from_millis(bytes.saturating_mul(1000) / MIN_BYTES_PER_SECOND);
        self.left = self.left.saturating_sub(waited);
        self.left = self.left.saturating_add(restored).min(GRACE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_sends_a_byte_from_time_to_time_runs_out_of_time() {
        let mut rate = MinimumRate::default();
        for _ in 0..3 {
            assert!(rate.left() > Duration::ZERO);
            rate.progress(Duration::from_secs(10), 1);
        }
        assert_eq!(rate.left(), Duration::ZERO);
    }

    #[test]
    fn a_client_at_the_minimum_rate_may_take_as_long_as_it_needs() {
        let mut rate = MinimumRate::default();
        for _ in 0..1000 {
            rate.progress(Duration::from_secs(1), MIN_BYTES_PER_SECOND);
        }
        assert_eq!(rate.left(), GRACE);
    }
}
