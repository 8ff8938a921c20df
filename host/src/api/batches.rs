//! `GET /v1/batches/{batch_id}`: the state of a batch at each exporter.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    blocking,
    error::{ApiError, ErrorBody},
    extract::{Json, Path},
    responses::JournalNotReadable,
};
use crate::{
    batch_journal::BatchJournals,
    clock::rfc3339,
    journal::{BatchInfo, BatchState, ReadError},
};

/// The batch of a call.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct BatchPath {
    /// The `batch_id` that the answer to the batch had.
    batch_id: Uuid,
}

/// The state of a batch.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BatchView {
    batch_id: Uuid,
    /// Number of points or alerts.
    items: u64,
    /// When the batch was accepted, in RFC 3339.
    #[schema(example = "2026-01-02T03:04:05.678Z")]
    accepted_at: String,
    /// `settled` if every exporter is done with the batch, else `durable`.
    #[schema(example = "durable")]
    state: &'static str,
    /// The exporters of its kind that are configured, and were when the batch was accepted.
    exporters: Vec<BatchExporterView>,
}

/// The state of a batch at one exporter.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BatchExporterView {
    /// Name of the exporter.
    name: String,
    /// `settled` if every item is delivered, dead-lettered, dropped or filtered, else `pending`.
    #[schema(example = "settled")]
    state: &'static str,
    /// Number of items of the batch that are among the dead letters of the exporter.
    dead_lettered: u64,
}

/// Shows the state of a batch at each exporter.
#[utoipa::path(
    get,
    path = "/v1/batches/{batch_id}",
    params(BatchPath),
    responses(
        (status = 200, body = BatchView, description = "The state of the batch"),
        (status = 400, body = ErrorBody, description = "`batch_id` is not a UUID"),
        (status = 404, body = ErrorBody, description = "The batch does not exist, or was deleted after every exporter was done with it"),
        JournalNotReadable,
    ),
)]
pub(super) async fn show_batch(
    State(journals): State<BatchJournals>,
    path: Result<Path<BatchPath>, ApiError>,
) -> Result<Json<BatchView>, ApiError> {
    let Path(BatchPath { batch_id }) =
        path.map_err(|_| ApiError::invalid("`batch_id` is not a UUID"))?;
    let found = blocking(move || find(&journals, batch_id)).await??;
    let info = found.ok_or(ApiError::BatchNotFound { batch_id })?;
    Ok(Json(view(batch_id, info)))
}

fn find(journals: &BatchJournals, batch_id: Uuid) -> Result<Option<BatchInfo>, ReadError> {
    match journals.alerts.backend().batch(batch_id)? {
        Some(found) => Ok(Some(found)),
        None => journals.performance.backend().batch(batch_id),
    }
}

fn view(batch_id: Uuid, info: BatchInfo) -> BatchView {
    let done = info.exporters.iter().all(|state| state.committed);
    BatchView {
        batch_id,
        items: info.items,
        accepted_at: rfc3339(info.accepted_ms),
        state: if done { "settled" } else { "durable" },
        exporters: exporter_views(info.exporters),
    }
}

/// The state of a batch at each exporter.
pub(super) fn exporter_views(states: Vec<BatchState>) -> Vec<BatchExporterView> {
    states.into_iter().map(exporter_view).collect()
}

fn exporter_view(state: BatchState) -> BatchExporterView {
    BatchExporterView {
        name: state.exporter,
        state: if state.committed {
            "settled"
        } else {
            "pending"
        },
        dead_lettered: state.dead_lettered,
    }
}
