//! How an exporter's batches are delivered: the tables of `[exporter.NAME]`
//! that are the same for every plugin.
//!
//! Knows nothing of how any of it is done.

use std::time::Duration;

use super::read::Section;
use super::service::TICK;

/// How a failed delivery is tried again.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryConfig {
    /// The longest wait before the second attempt.
    pub initial_interval: Duration,
    /// By how much each further wait grows.
    pub multiplier: f64,
    /// What no wait grows beyond.
    pub max_interval: Duration,
    /// The longest wait that a receiver may ask for.
    pub max_retry_after: Duration,
    /// After how long rows are given up; zero: never.
    pub max_elapsed_time: Duration,
    /// What becomes of rows that may be at the receiver, or not.
    pub on_uncertain: OnUncertain,
}

/// What becomes of rows that were sent and not answered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUncertain {
    /// They are sent again: the receiver may have them twice.
    Retry,
    /// They are put aside: the receiver may not have them.
    DeadLetter,
}

/// How records of the journal become calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchConfig {
    /// The most points, or alerts, in one call.
    pub max_points: u64,
    /// The most bytes in one call, as the rows have them in memory.
    pub max_bytes: u64,
    /// How long a call waits for more to come.
    pub linger: Duration,
}

/// How much may wait for an exporter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueConfig {
    /// The most bytes, as the journal has them; without it the journal's own limit.
    pub max_bytes: Option<u64>,
    /// For how long; without it the journal's own limit.
    pub max_age: Option<Duration>,
    /// What gives way.
    pub on_overflow: OnOverflow,
}

/// What gives way when more waits for an exporter than may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnOverflow {
    /// Whoever hands batches in.
    Reject,
    /// The oldest of what waits.
    DropOldest,
    /// The oldest of what waits, into the dead letters.
    DeadLetter,
}

/// When a receiver is taken to be away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CircuitBreakerConfig {
    /// After how many failed calls in a row.
    pub failure_threshold: u64,
}

/// What is kept of rows that are given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterConfig {
    /// Whether anything is.
    pub enabled: bool,
    /// The most bytes, as the journal has them.
    pub max_bytes: u64,
    /// For how long.
    pub max_age: Duration,
    /// What happens when that much is there.
    pub on_full: OnFull,
}

/// What happens to an exporter whose dead letters are full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFull {
    /// The oldest letters go.
    DropOldest,
    /// It pauses until there is room.
    Block,
}

/// Which order is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ordering {
    /// None.
    None,
    /// That of the batches of each storage.
    #[default]
    PerKey,
    /// That of all batches.
    Strict,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            initial_interval: Duration::from_secs(1),
            multiplier: 2.0,
            max_interval: Duration::from_secs(30),
            max_retry_after: Duration::from_mins(5),
            max_elapsed_time: Duration::ZERO,
            on_uncertain: OnUncertain::Retry,
        }
    }
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self {
            max_points: 500_000,
            max_bytes: 16 << 20,
            linger: Duration::ZERO,
        }
    }
}

impl Default for CircuitBreakerConfig {
    fn default() -> Self {
        Self {
            failure_threshold: 5,
        }
    }
}

impl Default for DeadLetterConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            max_bytes: 256 << 20,
            max_age: Duration::from_hours(7 * 24),
            on_full: OnFull::DropOldest,
        }
    }
}

impl QueueConfig {
    /// As it is for an exporter that is required, or is not.
    #[must_use]
    pub fn new(required: bool) -> Self {
        Self {
            max_bytes: None,
            max_age: None,
            on_overflow: if required {
                OnOverflow::Reject
            } else {
                OnOverflow::DropOldest
            },
        }
    }
}

/// The words for what a setting can be.
const ON_UNCERTAIN: [(&str, OnUncertain); 2] = [
    ("retry", OnUncertain::Retry),
    ("dead_letter", OnUncertain::DeadLetter),
];
const ON_OVERFLOW: [(&str, OnOverflow); 3] = [
    ("reject", OnOverflow::Reject),
    ("drop_oldest", OnOverflow::DropOldest),
    ("dead_letter", OnOverflow::DeadLetter),
];
const ON_FULL: [(&str, OnFull); 2] = [
    ("drop_oldest", OnFull::DropOldest),
    ("block", OnFull::Block),
];
const ORDERINGS: [(&str, Ordering); 3] = [
    ("none", Ordering::None),
    ("per_key", Ordering::PerKey),
    ("strict", Ordering::Strict),
];

pub(super) fn read_ordering(section: &mut Section<'_>) -> Ordering {
    section.take_choice("ordering", &ORDERINGS, Ordering::default())
}

pub(super) fn read_retry(mut section: Section<'_>) -> RetryConfig {
    let default = RetryConfig::default();
    let retry = RetryConfig {
        initial_interval: section.take_duration("initial_interval", TICK, default.initial_interval),
        multiplier: section.take_number("multiplier", default.multiplier),
        max_interval: section.take_duration("max_interval", TICK, default.max_interval),
        max_retry_after: section.take_duration(
            "max_retry_after",
            Duration::ZERO,
            default.max_retry_after,
        ),
        max_elapsed_time: section.take_duration(
            "max_elapsed_time",
            Duration::ZERO,
            default.max_elapsed_time,
        ),
        on_uncertain: section.take_choice("on_uncertain", &ON_UNCERTAIN, default.on_uncertain),
    };
    if retry.multiplier < 1.0 {
        section.fail(
            "multiplier",
            "must be at least 1.0 (or the waits would shrink)",
        );
    }
    if retry.max_interval < retry.initial_interval {
        section.fail(
            "max_interval",
            "must be at least `initial_interval` (raise the one or lower the other)",
        );
    }
    section.finish();
    retry
}

pub(super) fn read_batch(mut section: Section<'_>) -> BatchConfig {
    let default = BatchConfig::default();
    let batch = BatchConfig {
        max_points: section.take_count("max_points", 1, default.max_points),
        max_bytes: section.take_size("max_bytes", 1, default.max_bytes),
        linger: section.take_duration("linger", Duration::ZERO, default.linger),
    };
    section.finish();
    batch
}

pub(super) fn read_queue(mut section: Section<'_>, required: bool) -> QueueConfig {
    let default = QueueConfig::new(required);
    let queue = QueueConfig {
        max_bytes: section.take("max_bytes").and_then(|item| item.size(1)),
        max_age: section
            .take("max_age")
            .and_then(|item| item.duration(Duration::from_secs(1))),
        on_overflow: section.take_choice("on_overflow", &ON_OVERFLOW, default.on_overflow),
    };
    section.finish();
    queue
}

pub(super) fn read_circuit_breaker(mut section: Section<'_>) -> CircuitBreakerConfig {
    let default = CircuitBreakerConfig::default();
    let breaker = CircuitBreakerConfig {
        failure_threshold: section.take_count("failure_threshold", 1, default.failure_threshold),
    };
    section.finish();
    breaker
}

pub(super) fn read_dead_letter(mut section: Section<'_>) -> DeadLetterConfig {
    let default = DeadLetterConfig::default();
    let dead_letter = DeadLetterConfig {
        enabled: section.take_flag("enabled", default.enabled),
        max_bytes: section.take_size("max_bytes", 1, default.max_bytes),
        max_age: section.take_duration("max_age", Duration::from_secs(1), default.max_age),
        on_full: section.take_choice("on_full", &ON_FULL, default.on_full),
    };
    section.finish();
    dead_letter
}
