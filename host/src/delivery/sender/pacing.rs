//! When the next request may be sent, and how large it may be.

use std::time::{Duration, Instant};

use delfin_plugin_api::{Failure, Outcome};

use super::sizing::Sizing;
use crate::{
    config::{ExporterConfig, RetryConfig},
    delivery::{
        backoff,
        circuit_breaker::{Circuit, CircuitBreaker},
        outbox::{RequestLimits, RequestSize},
    },
};

/// Small batches become requests up to this size, unless they are to wait for more: a larger request
/// costs more memory, and its receiver waits longer for it.
const MERGED_BYTES: u64 = 2 << 20;

/// The circuit breaker, the backoff and the request size of one receiver.
pub(super) struct Pacing {
    retry: RetryConfig,
    breaker: CircuitBreaker,
    sizing: Sizing,
    merged_bytes: u64,
}

impl Pacing {
    pub(super) fn new(config: &ExporterConfig, declared_max_points: Option<u64>) -> Self {
        Self {
            retry: config.retry.clone(),
            breaker: CircuitBreaker::new(config.circuit_breaker.failure_threshold),
            sizing: Sizing::new(&config.batch, declared_max_points),
            merged_bytes: if config.batch.linger.is_zero() {
                MERGED_BYTES
            } else {
                u64::MAX
            },
        }
    }

    /// Until when nothing may be sent.
    pub(super) fn blocked_until(&self) -> Option<Instant> {
        self.breaker.blocked_until(Instant::now())
    }

    pub(super) fn circuit(&self) -> Circuit {
        self.breaker.circuit(Instant::now())
    }

    /// Failed calls since the last one that succeeded.
    pub(super) fn failures(&self) -> u32 {
        self.breaker.failures()
    }

    pub(super) fn limits(&mut self) -> RequestLimits {
        let batch = self.sizing.max(Instant::now());
        let merged = RequestSize {
            bytes: batch.bytes.min(self.merged_bytes),
            ..batch
        };
        RequestLimits { batch, merged }
    }

    pub(super) fn on_too_large(&mut self, items: u64) {
        self.sizing.on_too_large(items, Instant::now());
    }

    pub(super) fn on_out_of_time(&mut self, items: u64) {
        self.sizing.on_out_of_time(items);
    }

    pub(super) fn on_in_time(&mut self, items: u64) {
        self.sizing.on_in_time(items);
    }

    /// The receiver answered.
    pub(super) fn on_success(&mut self) {
        self.breaker.on_success();
    }

    /// The receiver is unavailable or overloaded. Returns when to send the rows again.
    pub(super) fn on_unavailable(
        &mut self,
        outcome: &Outcome,
        attempt: u32,
        after: Option<Duration>,
    ) -> Instant {
        let until = self.retry_at(attempt, after);
        self.breaker.on_failure(until);
        // A receiver that names a wait wants no other request before it either.
        if matches!(outcome, Err(Failure::Throttled { .. })) || after.is_some() {
            self.breaker.throttle(until);
        }
        until
    }

    /// A person must act. Opens the circuit, and returns when to look again.
    pub(super) fn on_pause(&mut self, attempt: u32) -> Instant {
        let until = Instant::now() + backoff::paused_wait(&self.retry, attempt);
        self.breaker.open(until);
        until
    }

    /// Rows failed while other rows were delivered. Returns when to send them again.
    pub(super) fn on_partial(&mut self, attempt: u32, after: Option<Duration>) -> Instant {
        let until = self.retry_at(attempt, after);
        if after.is_some() {
            self.breaker.throttle(until);
        }
        until
    }

    fn retry_at(&self, attempt: u32, after: Option<Duration>) -> Instant {
        Instant::now() + backoff::wait(&self.retry, attempt, after)
    }

    /// Sends the next request at once.
    pub(super) fn retry_now(&mut self) {
        self.breaker.retry_now();
    }
}
