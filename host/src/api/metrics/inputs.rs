//! Metrics of the inputs of series, by input.

use axum::http::StatusCode;
use prometheus_client::{
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use crate::{
    ingest::{ItemError, RejectedItems},
    inputs::{SeriesInput, SkipCounts, SkipReason},
};

type ByInput<const N: usize> = Family<[(&'static str, String); N], Counter>;

#[derive(Clone, Debug, Default)]
pub(in crate::api) struct InputMetrics {
    requests: ByInput<2>,
    points: ByInput<1>,
    rejected: ByInput<2>,
    skipped: ByInput<2>,
}

impl InputMetrics {
    /// Creates the series of these inputs at 0: a rate needs two points.
    pub(in crate::api) fn register<'a>(
        registry: &mut Registry,
        inputs: impl Iterator<Item = &'a SeriesInput>,
    ) -> Self {
        let metrics = Self::default();
        registry.register(
            "input_requests",
            "Requests of other monitoring systems, by status of the answer",
            metrics.requests.clone(),
        );
        registry.register(
            "input_points",
            "Points of other monitoring systems made durable",
            metrics.points.clone(),
        );
        registry.register(
            "input_rejected_series",
            "Series of other monitoring systems that were refused, by reason",
            metrics.rejected.clone(),
        );
        registry.register(
            "input_skipped_points",
            "Points of other monitoring systems without a number for Delfin, by reason",
            metrics.skipped.clone(),
        );
        for input in inputs {
            drop(metrics.points.get_or_create(&of(*input)));
            for reason in ItemError::REASONS {
                drop(
                    metrics
                        .rejected
                        .get_or_create(&with(*input, "reason", reason)),
                );
            }
            for reason in SkipReason::ALL {
                let labels = with(*input, "reason", reason.as_str());
                drop(metrics.skipped.get_or_create(&labels));
            }
        }
        metrics
    }

    pub(in crate::api) fn answered(&self, input: SeriesInput, status: StatusCode) {
        let labels = with(input, "code", status.as_str());
        self.requests.get_or_create(&labels).inc();
    }

    pub(in crate::api) fn accepted(&self, input: SeriesInput, points: u64) {
        self.points.get_or_create(&of(input)).inc_by(points);
    }

    pub(in crate::api) fn parsed(
        &self,
        input: SeriesInput,
        rejected: &RejectedItems,
        skipped: &SkipCounts,
    ) {
        for (reason, series) in rejected.by_reason() {
            let labels = with(input, "reason", reason);
            self.rejected.get_or_create(&labels).inc_by(series);
        }
        for reason in SkipReason::ALL {
            let labels = with(input, "reason", reason.as_str());
            let points = skipped.get(reason);
            self.skipped.get_or_create(&labels).inc_by(points);
        }
    }
}

fn of(input: SeriesInput) -> [(&'static str, String); 1] {
    [("input", input.as_str().to_owned())]
}

fn with(input: SeriesInput, name: &'static str, value: &str) -> [(&'static str, String); 2] {
    let [input] = of(input);
    [input, (name, value.to_owned())]
}
