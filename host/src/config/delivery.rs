//! The settings of an exporter's delivery: the tables of `[exporter.NAME]` that
//! are the same for every plugin.
//!
//! Knows nothing of how a batch is delivered.

use std::time::Duration;

use super::read::Section;
use super::setting::SHORTEST;

/// Retries and backoff.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryConfig {
    /// The longest wait before the second attempt.
    pub initial_interval: Duration,
    /// The factor by which the longest wait grows with each attempt; at least 1.
    pub multiplier: f64,
    /// The limit of that growth; at least `initial_interval`.
    pub max_interval: Duration,
    /// The longest wait that a receiver may ask for.
    pub max_retry_after: Duration,
    /// The time after which rows become dead letters; zero: never.
    pub max_elapsed_time: Duration,
    pub on_uncertain: OnUncertain,
}

/// What happens to rows after a call that does not tell whether the receiver has
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUncertain {
    /// Send them again: the receiver may get them twice.
    Retry,
    /// Make them dead letters: the receiver may not have them.
    DeadLetter,
}

/// The size of one request to an exporter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchConfig {
    /// Points, or alerts.
    pub max_points: u64,
    /// Bytes of the rows in memory.
    pub max_bytes: u64,
    /// How long rows wait for more rows to fill the request.
    pub linger: Duration,
}

/// The limits of an exporter's pending rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueConfig {
    /// Bytes in the journal. `None`: the limit of the journal only.
    pub max_bytes: Option<u64>,
    /// `None`: the limit of the journal, unless the exporter is required.
    pub max_age: Option<Duration>,
    pub on_overflow: OnOverflow,
}

/// What happens at a limit of [`QueueConfig`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnOverflow {
    /// The host rejects new batches.
    Reject,
    DropOldest,
    /// The oldest rows become dead letters.
    DeadLetter,
}

/// When the circuit breaker opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CircuitBreakerConfig {
    /// Failed calls in a row.
    pub failure_threshold: u64,
}

/// The limits of an exporter's dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterConfig {
    /// If not, rows are dropped instead.
    pub enabled: bool,
    /// Bytes in the journal.
    pub max_bytes: u64,
    pub max_age: Duration,
    pub on_full: OnFull,
}

/// What happens when `dead_letter.max_bytes` is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFull {
    /// The host deletes the oldest dead letters.
    DropOldest,
    /// The exporter pauses until dead letters are replayed or purged.
    Block,
}

/// The order of an exporter's batches that retries must keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeliveryOrder {
    None,
    /// The order of the batches of each storage.
    #[default]
    PerKey,
    /// The order of all batches.
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
    /// The defaults. They depend on whether the exporter is required.
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
const ORDERINGS: [(&str, DeliveryOrder); 3] = [
    ("none", DeliveryOrder::None),
    ("per_key", DeliveryOrder::PerKey),
    ("strict", DeliveryOrder::Strict),
];

pub(super) fn read_ordering(section: &mut Section<'_>) -> DeliveryOrder {
    section.take_choice("ordering", &ORDERINGS, DeliveryOrder::default())
}

pub(super) fn read_retry(mut section: Section<'_>) -> RetryConfig {
    let default = RetryConfig::default();
    let retry = RetryConfig {
        initial_interval: section.take_duration(
            "initial_interval",
            SHORTEST,
            default.initial_interval,
        ),
        multiplier: section.take_number("multiplier", default.multiplier),
        max_interval: section.take_duration("max_interval", SHORTEST, default.max_interval),
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
            "is too small (write at least 1.0: waits must not become shorter)",
        );
    }
    if retry.max_interval < retry.initial_interval {
        section.fail(
            "max_interval",
            "is less than `initial_interval` (raise `max_interval` or lower `initial_interval`)",
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
        max_bytes: section
            .take("max_bytes")
            .and_then(|setting| setting.size(1)),
        max_age: section
            .take("max_age")
            .and_then(|setting| setting.duration(Duration::from_secs(1))),
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
