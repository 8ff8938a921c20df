//! Metrics of the requests that bring batches.

use std::time::Duration;

use axum::http::StatusCode;
use delfin_plugin_api::Kind;
use prometheus_client::{
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

use crate::{
    api::ApiError,
    ingest::{IngestNotes, ItemError, NoteKind, RejectedItems},
    journal::Receipt,
};

/// Upper bounds in seconds: a transaction takes a few milliseconds, parsing the largest
/// body a few seconds, and a client may wait for delivery for most of a minute.
const BUCKETS: [f64; 15] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];

type MetricLabels<const N: usize> = [(&'static str, String); N];

#[derive(Clone, Debug)]
pub(in crate::api) struct IngestMetrics {
    requests: Family<MetricLabels<2>, Counter>,
    items: Family<MetricLabels<1>, Counter>,
    bytes: Family<MetricLabels<1>, Counter>,
    refused: Family<MetricLabels<2>, Counter>,
    rejected: Family<MetricLabels<2>, Counter>,
    noted: Family<MetricLabels<2>, Counter>,
    repeated: Family<MetricLabels<1>, Counter>,
    acknowledged: Family<MetricLabels<2>, Histogram, fn() -> Histogram>,
}

impl IngestMetrics {
    pub(in crate::api) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            requests: Family::default(),
            items: Family::default(),
            bytes: Family::default(),
            refused: Family::default(),
            rejected: Family::default(),
            noted: Family::default(),
            repeated: Family::default(),
            acknowledged: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
        };
        let mut add =
            |name, help, family: &Family<_, _>| registry.register(name, help, family.clone());
        add(
            "ingest_items",
            "Points and alerts made durable",
            &metrics.items,
        );
        add(
            "ingest_bytes",
            "Size of request bodies as they arrived, before decompression",
            &metrics.bytes,
        );
        add(
            "ingest_duplicate_batches",
            "Batches that were not kept because their idempotency key was used before",
            &metrics.repeated,
        );
        registry.register(
            "ingest_requests",
            "Requests that bring a batch, by status of the answer",
            metrics.requests.clone(),
        );
        registry.register(
            "ingest_rejected_requests",
            "Requests whose batch was refused, by error code",
            metrics.refused.clone(),
        );
        registry.register(
            "ingest_rejected_items",
            "Series and alerts in request bodies that were not valid",
            metrics.rejected.clone(),
        );
        registry.register(
            "ingest_noted_items",
            "Points and alerts whose time was converted, replaced or is far off, by note",
            metrics.noted.clone(),
        );
        registry.register(
            "ingest_ack_duration_seconds",
            "Time from the head of a request to its acknowledgement, when durable or when delivered",
            metrics.acknowledged.clone(),
        );
        metrics.create_series();
        metrics
    }

    pub(in crate::api) fn accepted(&self, kind: Kind, receipt: &Receipt) {
        if receipt.repeated {
            self.repeated.get_or_create(&by_kind(kind)).inc();
        } else {
            self.items
                .get_or_create(&by_kind(kind))
                .inc_by(receipt.items);
        }
    }

    pub(in crate::api) fn acknowledged(&self, kind: Kind, ack: &'static str, took: Duration) {
        self.acknowledged
            .get_or_create(&with(kind, "ack", ack))
            .observe(took.as_secs_f64());
    }

    pub(in crate::api) fn refused(&self, kind: Kind, error: &ApiError) {
        self.refused
            .get_or_create(&with(kind, "reason", error.code()))
            .inc();
    }

    pub(in crate::api) fn rejected(&self, kind: Kind, rejected: &RejectedItems) {
        for (reason, items) in rejected.by_reason() {
            let labels = with(kind, "reason", reason);
            self.rejected.get_or_create(&labels).inc_by(items);
        }
    }

    pub(in crate::api) fn noted(&self, kind: Kind, notes: &IngestNotes) {
        for (note, items) in notes.counts() {
            let labels = with(kind, "note", note.as_str());
            self.noted.get_or_create(&labels).inc_by(items);
        }
    }

    pub(in crate::api) fn received(&self, kind: Kind, bytes: usize) {
        self.bytes
            .get_or_create(&by_kind(kind))
            .inc_by(bytes as u64);
    }

    pub(in crate::api) fn answered(&self, kind: Kind, status: StatusCode) {
        let labels = with(kind, "code", status.as_str());
        self.requests.get_or_create(&labels).inc();
    }

    /// Creates the series at 0: a rate needs two points.
    fn create_series(&self) {
        for kind in [Kind::Performance, Kind::Alert] {
            for counter in [&self.items, &self.bytes, &self.repeated] {
                drop(counter.get_or_create(&by_kind(kind)));
            }
            for code in ["202", "429", "503", "507"] {
                drop(self.requests.get_or_create(&with(kind, "code", code)));
            }
            for ack in ["durable", "delivered"] {
                drop(self.acknowledged.get_or_create(&with(kind, "ack", ack)));
            }
            for note in NoteKind::ALL {
                drop(self.noted.get_or_create(&with(kind, "note", note.as_str())));
            }
            for reason in ItemError::REASONS {
                drop(self.rejected.get_or_create(&with(kind, "reason", reason)));
            }
        }
    }
}

fn by_kind(kind: Kind) -> MetricLabels<1> {
    [("kind", kind.as_str().to_owned())]
}

fn with(kind: Kind, name: &'static str, value: &str) -> MetricLabels<2> {
    let [kind] = by_kind(kind);
    [kind, (name, value.to_owned())]
}
