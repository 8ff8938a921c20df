//! How long to wait before the next attempt: exponential backoff with full
//! jitter.

use std::time::Duration;

use crate::config::RetryConfig;

/// Where a person must act, waits grow to this many times `retry.max_interval`.
const PAUSED_FACTOR: u32 = 10;

/// A random wait before attempt `attempt + 1`, below a limit that grows with each
/// attempt. At least as long as the receiver `asked` for, within
/// `retry.max_retry_after`.
pub(super) fn wait(config: &RetryConfig, attempt: u32, asked: Option<Duration>) -> Duration {
    let limit = grown(config.initial_interval, config, attempt).min(config.max_interval);
    let wait = limit.mul_f64(rand::random());
    wait.max(asked.unwrap_or_default().min(config.max_retry_after))
}

/// The wait before looking again whether a person has acted: starts at
/// `retry.max_interval`.
pub(crate) fn paused_wait(config: &RetryConfig, attempt: u32) -> Duration {
    let limit =
        grown(config.max_interval, config, attempt).min(config.max_interval * PAUSED_FACTOR);
    // Half of the wait is fixed: wrong credentials must not be tried in a burst.
    limit.mul_f64(0.5 + rand::random::<f64>() / 2.0)
}

fn grown(from: Duration, config: &RetryConfig, attempt: u32) -> Duration {
    let grown = from.as_secs_f64()
        * config
            .multiplier
            .powi(attempt.saturating_sub(1).min(1024) as i32);
    Duration::try_from_secs_f64(grown).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> RetryConfig {
        RetryConfig {
            initial_interval: Duration::from_secs(1),
            max_interval: Duration::from_secs(30),
            max_retry_after: Duration::from_mins(5),
            ..RetryConfig::default()
        }
    }

    #[test]
    fn a_wait_stays_below_a_limit_that_grows_to_its_maximum() {
        for _ in 0..100 {
            for (attempt, limit) in [(1, 1), (2, 2), (3, 4), (5, 16), (6, 30), (u32::MAX, 30)] {
                assert!(wait(&config(), attempt, None) <= Duration::from_secs(limit));
            }
        }
    }

    #[test]
    fn a_receiver_gets_the_wait_that_it_asks_for_within_a_limit() {
        let asked = |seconds| wait(&config(), 1, Some(Duration::from_secs(seconds)));
        assert!(asked(60) >= Duration::from_secs(60));
        assert_eq!(asked(3600), Duration::from_mins(5));
    }

    #[test]
    fn waits_are_longer_where_a_person_must_act() {
        for (attempt, limit) in [(1, 30), (2, 60), (9, 300)] {
            let wait = paused_wait(&config(), attempt).as_secs_f64();
            assert!(
                (f64::from(limit) / 2.0..=f64::from(limit)).contains(&wait),
                "{wait}"
            );
        }
    }
}
