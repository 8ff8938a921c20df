//! The answer to a batch that was accepted.

use std::time::Duration;

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header::LOCATION},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::{IntoResponses, ToSchema};
use uuid::Uuid;

use super::delivered::DeliveryState;
use crate::{
    api::{
        batches::{BatchExporterView, exporter_views},
        extract::Json,
    },
    ingest::{IngestNotes, ItemRejection, RejectedItems},
    journal::Receipt,
};

pub(super) const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// A batch that was accepted.
#[derive(Debug)]
pub(super) struct Acceptance {
    pub(super) receipt: Receipt,
    /// Items of the body that are not in the batch.
    pub(super) rejected: RejectedItems,
    /// Remarks about the items of the batch.
    pub(super) notes: IngestNotes,
    /// The storage whose other alerts have ended.
    pub(super) complete_for: Option<String>,
    /// How far the batch was delivered, if the client waited for it.
    pub(super) delivery: Option<DeliveryState>,
    /// How long the client could wait, if it chose the wait.
    pub(super) applied_wait: Option<Duration>,
}

/// Responses to a batch that was accepted.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it is there for the OpenAPI document")]
pub(super) enum BatchAccepted {
    /// Every exporter is done with the batch
    #[response(status = 200, headers(
        ("Location" = String, description = "Path of the state of the batch"),
        ("Idempotency-Replayed" = Option<bool>, description = "`true` if the idempotency key was used before"),
        ("Preference-Applied" = Option<String>, description = "The wait, if `Prefer` asked for one"),
    ))]
    Delivered(IngestResponse),

    /// The batch is durable, and need not be sent again
    #[response(status = 202, headers(
        ("Location" = String, description = "Path of the state of the batch"),
        ("Idempotency-Replayed" = Option<bool>, description = "`true` if the idempotency key was used before"),
        ("Preference-Applied" = Option<String>, description = "The wait, if `Prefer` asked for one"),
    ))]
    Durable(IngestResponse),
}

/// The receipt of a batch.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct IngestResponse {
    /// Id of the batch, for `/v1/batches/{batch_id}`.
    batch_id: Uuid,
    /// Number of points or alerts in the batch.
    items: u64,
    /// `durable`, or `settled` if the client waited until every exporter was done with the
    /// batch.
    #[schema(example = "durable")]
    state: &'static str,
    /// The batch at each exporter; absent unless the client waited.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    exporters: Option<Vec<BatchExporterView>>,
    /// Number of series or alerts of the body that are not in the batch; absent if there
    /// are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    rejected_items: Option<u64>,
    /// The first hundred of these; absent if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rejected: Vec<RejectedItemView>,
    /// The storage whose other alerts have ended; absent if the request named none, or if items
    /// were rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    complete_for: Option<String>,
    /// Remarks about items of the batch, such as times that were in seconds; absent if there
    /// are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!(["3 items: the time was in seconds and was converted (send milliseconds)"]))]
    notes: Vec<String>,
}

/// A series or an alert that is not in the batch.
#[derive(Debug, Serialize, ToSchema)]
struct RejectedItemView {
    /// Position in the body, from 0.
    index: usize,
    /// Line on which the item begins, from 1; absent unless the body has one item per line.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    line: Option<usize>,
    /// Name of the series or alert; absent if it was not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    name: Option<String>,
    /// What is wrong with the item.
    #[schema(example = "name: is empty")]
    error: String,
}

impl IntoResponse for Acceptance {
    fn into_response(self) -> Response {
        let receipt = self.receipt;
        let done = self.delivery.as_ref().is_some_and(|state| state.done);
        let (status, state) = if done {
            (StatusCode::OK, "settled")
        } else {
            (StatusCode::ACCEPTED, "durable")
        };
        let rejected_items = self.rejected.total();
        let body = IngestResponse {
            batch_id: receipt.batch_id,
            items: receipt.items,
            state,
            exporters: self
                .delivery
                .and_then(|delivery| delivery.exporters)
                .map(exporter_views),
            rejected_items: (rejected_items > 0).then_some(rejected_items),
            rejected: self.rejected.named().map(rejected_view).collect(),
            complete_for: self.complete_for,
            notes: self.notes.texts().collect(),
        };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        if let Ok(path) = HeaderValue::try_from(format!("/v1/batches/{}", receipt.batch_id)) {
            headers.insert(LOCATION, path);
        }
        if receipt.repeated {
            headers.insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
        }
        if let Some(wait) = self.applied_wait
            && let Ok(applied) = HeaderValue::try_from(format!("wait={}", wait.as_secs()))
        {
            headers.insert(PREFERENCE_APPLIED, applied);
        }
        response
    }
}

fn rejected_view(item: &ItemRejection) -> RejectedItemView {
    RejectedItemView {
        index: item.index,
        line: item.line,
        name: item.name.clone(),
        error: item.error.to_string(),
    }
}
