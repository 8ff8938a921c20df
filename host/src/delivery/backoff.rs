//! How long to wait before the next try: full-jitter exponential backoff.

use std::time::Duration;

use crate::config::RetryConfig;

/// The waits between the tries of one batch.
#[derive(Debug)]
pub(super) struct Backoff {
    initial: f64,
    multiplier: f64,
    max: f64,
    ceiling: f64,
}

impl Backoff {
    pub(super) fn new(config: &RetryConfig) -> Self {
        let initial = config.initial_interval.as_secs_f64();
        Self {
            initial,
            multiplier: config.multiplier,
            max: config.max_interval.as_secs_f64(),
            ceiling: initial,
        }
    }

    /// A random wait below a ceiling that grows with each try, and never less
    /// than what the receiver asked for.
    pub(super) fn next(&mut self, asked: Option<Duration>) -> Duration {
        let wait = Duration::from_secs_f64(self.ceiling.min(self.max) * rand::random::<f64>());
        self.ceiling = (self.ceiling * self.multiplier).min(self.max);
        wait.max(asked.unwrap_or_default())
    }

    /// The receiver is back.
    pub(super) fn reset(&mut self) {
        self.ceiling = self.initial;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backoff() -> Backoff {
        Backoff::new(&RetryConfig {
            initial_interval: Duration::from_secs(1),
            multiplier: 2.0,
            max_interval: Duration::from_secs(30),
        })
    }

    #[test]
    fn a_wait_stays_below_a_ceiling_that_grows_to_its_maximum() {
        for _ in 0..100 {
            let mut backoff = backoff();
            for ceiling in [1, 2, 4, 8, 16, 30, 30] {
                assert!(backoff.next(None) <= Duration::from_secs(ceiling));
            }
        }
    }

    #[test]
    fn a_receiver_that_asks_for_time_gets_it() {
        assert!(backoff().next(Some(Duration::from_secs(60))) >= Duration::from_secs(60));
    }
}
