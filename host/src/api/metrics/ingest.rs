//! What becomes of requests that bring batches.

use std::time::Duration;

use axum::http::StatusCode;
use delfin_plugin_api::Kind;
use prometheus_client::{
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

use crate::{api::ApiError, journal::Receipt};

/// Upper bounds in seconds: a commit takes a few milliseconds, the largest body
/// a few seconds.
const BUCKETS: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

type Labels<const N: usize> = [(&'static str, String); N];

/// What becomes of requests that bring batches, by lane.
#[derive(Clone, Debug)]
pub(in crate::api) struct IngestMetrics {
    requests: Family<Labels<2>, Counter>,
    items: Family<Labels<1>, Counter>,
    bytes: Family<Labels<1>, Counter>,
    rejected: Family<Labels<2>, Counter>,
    repeated: Family<Labels<1>, Counter>,
    acknowledged: Family<Labels<1>, Histogram, fn() -> Histogram>,
}

impl IngestMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            requests: Family::default(),
            items: Family::default(),
            bytes: Family::default(),
            rejected: Family::default(),
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
            "Bytes of request bodies, as they arrived",
            &metrics.bytes,
        );
        add(
            "ingest_duplicate_batches",
            "Batches that were there already, under the same idempotency key",
            &metrics.repeated,
        );
        registry.register(
            "ingest_requests",
            "Requests that bring a batch, by the status of their answer",
            metrics.requests.clone(),
        );
        registry.register(
            "ingest_rejected_requests",
            "Requests whose batch was not taken, by error code",
            metrics.rejected.clone(),
        );
        registry.register(
            "ingest_ack_duration_seconds",
            "Time from the head of a request until its batch is durable",
            metrics.acknowledged.clone(),
        );
        metrics.begin();
        metrics
    }

    /// A batch is durable.
    pub(in crate::api) fn accepted(&self, kind: Kind, receipt: &Receipt, took: Duration) {
        if receipt.repeated {
            self.repeated.get_or_create(&lane(kind)).inc();
        } else {
            self.items.get_or_create(&lane(kind)).inc_by(receipt.items);
        }
        self.acknowledged
            .get_or_create(&lane(kind))
            .observe(took.as_secs_f64());
    }

    /// A batch was not taken.
    pub(in crate::api) fn rejected(&self, kind: Kind, error: &ApiError) {
        let [lane] = lane(kind);
        let (_, reason) = error.status_and_code();
        let labels = [lane, ("reason", reason.to_owned())];
        self.rejected.get_or_create(&labels).inc();
    }

    /// A whole body has arrived.
    pub(in crate::api) fn received(&self, kind: Kind, bytes: usize) {
        self.bytes.get_or_create(&lane(kind)).inc_by(bytes as u64);
    }

    /// A request has its answer.
    pub(in crate::api) fn answered(&self, kind: Kind, status: StatusCode) {
        let [lane] = lane(kind);
        let labels = [lane, ("code", status.as_str().to_owned())];
        self.requests.get_or_create(&labels).inc();
    }

    /// What will be counted is there from the start, at 0: a rate needs two points.
    fn begin(&self) {
        for kind in [Kind::Performance, Kind::Alert] {
            for counter in [&self.items, &self.bytes, &self.repeated] {
                drop(counter.get_or_create(&lane(kind)));
            }
            drop(self.acknowledged.get_or_create(&lane(kind)));
        }
    }
}

fn lane(kind: Kind) -> Labels<1> {
    [("lane", kind.as_str().to_owned())]
}
