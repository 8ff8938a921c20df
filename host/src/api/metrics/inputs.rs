//! Metrics of the inputs of series, by input.

use axum::http::StatusCode;
use prometheus_client::registry::Registry;

use super::event_counter::EventCounter;
use crate::{
    ingest::{ItemError, RejectedItems},
    inputs::{SeriesInput, SkipCounts, SkipReason},
};

#[derive(Clone, Debug)]
pub(in crate::api) struct InputMetrics {
    requests: EventCounter<2>,
    points: EventCounter<1>,
    rejected: EventCounter<2>,
    skipped: EventCounter<2>,
}

impl InputMetrics {
    pub(in crate::api) fn register<'a>(
        registry: &mut Registry,
        inputs: impl Iterator<Item = &'a SeriesInput>,
    ) -> Self {
        let metrics = Self {
            requests: EventCounter::register(
                registry,
                "input_requests",
                "Requests of other monitoring systems, by status of the answer",
            ),
            points: EventCounter::register(
                registry,
                "input_points",
                "Points of other monitoring systems made durable",
            ),
            rejected: EventCounter::register(
                registry,
                "input_rejected_series",
                "Series of other monitoring systems that were refused, by reason",
            ),
            skipped: EventCounter::register(
                registry,
                "input_skipped_points",
                "Points of other monitoring systems without a number for Delfin, by reason",
            ),
        };
        for input in inputs {
            metrics.accepted(*input, 0);
            metrics.skipped(*input, &SkipCounts::default());
            for reason in ItemError::REASONS {
                metrics.rejected.add([of(*input), ("reason", reason)], 0);
            }
        }
        metrics
    }

    pub(in crate::api) fn answered(&self, input: SeriesInput, status: StatusCode) {
        self.requests.add([of(input), ("code", status.as_str())], 1);
    }

    pub(in crate::api) fn accepted(&self, input: SeriesInput, points: u64) {
        self.points.add([of(input)], points);
    }

    pub(in crate::api) fn rejected(&self, input: SeriesInput, rejected: &RejectedItems) {
        for (reason, series) in rejected.by_reason() {
            self.rejected.add([of(input), ("reason", reason)], series);
        }
    }

    pub(in crate::api) fn skipped(&self, input: SeriesInput, skipped: &SkipCounts) {
        for reason in SkipReason::ALL {
            let labels = [of(input), ("reason", reason.as_str())];
            self.skipped.add(labels, skipped.get(reason));
        }
    }
}

fn of(input: SeriesInput) -> (&'static str, &'static str) {
    ("input", input.as_str())
}
