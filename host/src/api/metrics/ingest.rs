//! Metrics of the requests that bring batches.

use std::time::Duration;

use axum::http::StatusCode;
use delfin_plugin_api::Kind;
use prometheus_client::{
    metrics::{family::Family, histogram::Histogram},
    registry::Registry,
};

use super::event_counter::{EventCounter, MetricLabels};
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

#[derive(Clone, Debug)]
pub(in crate::api) struct IngestMetrics {
    requests: EventCounter<2>,
    items: EventCounter<1>,
    bytes: EventCounter<1>,
    refused: EventCounter<2>,
    rejected: EventCounter<2>,
    noted: EventCounter<2>,
    repeated: EventCounter<1>,
    acknowledged: Family<MetricLabels<2>, Histogram, fn() -> Histogram>,
}

impl IngestMetrics {
    pub(in crate::api) fn register(registry: &mut Registry) -> Self {
        let acknowledged = Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> _);
        let metrics = Self {
            requests: EventCounter::register(
                registry,
                "ingest_requests",
                "Requests that bring a batch, by status of the answer",
            ),
            items: EventCounter::register(
                registry,
                "ingest_items",
                "Points and alerts made durable",
            ),
            bytes: EventCounter::register(
                registry,
                "ingest_bytes",
                "Size of request bodies as they arrived, before decompression",
            ),
            refused: EventCounter::register(
                registry,
                "ingest_rejected_requests",
                "Requests whose batch was refused, by error code",
            ),
            rejected: EventCounter::register(
                registry,
                "ingest_rejected_items",
                "Series and alerts in request bodies that were not valid",
            ),
            noted: EventCounter::register(
                registry,
                "ingest_noted_items",
                "Points and alerts whose time was converted, replaced or is far off, by note",
            ),
            repeated: EventCounter::register(
                registry,
                "ingest_duplicate_batches",
                "Batches that were not kept because their idempotency key was used before",
            ),
            acknowledged: acknowledged.clone(),
        };
        registry.register(
            "ingest_ack_duration_seconds",
            "Time from the head of a request to its acknowledgement, when durable or when delivered",
            acknowledged,
        );
        metrics.create_series();
        metrics
    }

    pub(in crate::api) fn accepted(&self, kind: Kind, receipt: &Receipt) {
        if receipt.repeated {
            self.repeated.add([of(kind)], 1);
        } else {
            self.items.add([of(kind)], receipt.items);
        }
    }

    pub(in crate::api) fn acknowledged(&self, kind: Kind, ack: &'static str, took: Duration) {
        self.acknowledged
            .get_or_create(&acknowledgement(kind, ack))
            .observe(took.as_secs_f64());
    }

    pub(in crate::api) fn refused(&self, kind: Kind, error: &ApiError) {
        self.refused.add([of(kind), ("reason", error.code())], 1);
    }

    pub(in crate::api) fn rejected(&self, kind: Kind, rejected: &RejectedItems) {
        for (reason, items) in rejected.by_reason() {
            self.rejected.add([of(kind), ("reason", reason)], items);
        }
    }

    pub(in crate::api) fn noted(&self, kind: Kind, notes: &IngestNotes) {
        for (note, items) in notes.counts() {
            self.noted.add([of(kind), ("note", note.as_str())], items);
        }
    }

    pub(in crate::api) fn received(&self, kind: Kind, bytes: usize) {
        self.bytes.add([of(kind)], bytes as u64);
    }

    pub(in crate::api) fn answered(&self, kind: Kind, status: StatusCode) {
        self.requests.add([of(kind), ("code", status.as_str())], 1);
    }

    fn create_series(&self) {
        for kind in [Kind::Performance, Kind::Alert] {
            for counter in [&self.items, &self.bytes, &self.repeated] {
                counter.add([of(kind)], 0);
            }
            for code in ["202", "429", "503", "507"] {
                self.requests.add([of(kind), ("code", code)], 0);
            }
            for ack in ["durable", "delivered"] {
                let labels = acknowledgement(kind, ack);
                drop(self.acknowledged.get_or_create(&labels));
            }
            for note in NoteKind::ALL {
                self.noted.add([of(kind), ("note", note.as_str())], 0);
            }
            for reason in ItemError::REASONS {
                self.rejected.add([of(kind), ("reason", reason)], 0);
            }
        }
    }
}

fn of(kind: Kind) -> (&'static str, &'static str) {
    ("kind", kind.as_str())
}

fn acknowledgement(kind: Kind, ack: &str) -> MetricLabels<2> {
    [of(kind), ("ack", ack)].map(|(name, value)| (name, value.to_owned()))
}
