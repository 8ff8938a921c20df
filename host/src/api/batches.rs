//! `GET /v1/batches/{batch_id}`: what became of a batch.

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    ApiState, blocking,
    error::{ApiError, ErrorBody},
};
use crate::{
    batch_journal::BatchJournals,
    clock::rfc3339,
    journal::{BatchInfo, BatchState, ReadError},
};

/// What became of a batch.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BatchView {
    /// Its name.
    batch_id: Uuid,
    /// How many points or alerts it holds.
    items: u64,
    /// When it was accepted, in RFC 3339.
    accepted_at: String,
    /// `durable`, or `settled` once every exporter is done with it.
    #[schema(example = "durable")]
    state: &'static str,
    /// What each exporter did with it; one that began after it is not among them.
    exporters: Vec<BatchExporterView>,
}

/// What became of a batch at one exporter.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BatchExporterView {
    /// The exporter's name.
    name: String,
    /// `pending` or `settled`.
    #[schema(example = "settled")]
    state: &'static str,
    /// How many of its items are among the exporter's dead letters.
    dead_lettered: u64,
}

/// Tells what became of a batch.
#[utoipa::path(
    get,
    path = "/v1/batches/{batch_id}",
    params(("batch_id" = Uuid, Path, description = "From the answer to the batch")),
    responses(
        (status = 200, body = BatchView, description = "What became of it"),
        (status = 400, body = ErrorBody, description = "Not a batch's name"),
        (status = 404, body = ErrorBody, description = "There is no such batch, or all are done with it for long"),
        (status = 503, body = ErrorBody, description = "The journal cannot be read"),
    ),
)]
pub(super) async fn show_batch(
    State(api): State<ApiState>,
    path: Result<Path<Uuid>, PathRejection>,
) -> Result<Json<BatchView>, ApiError> {
    let Path(batch_id) = path.map_err(|_| ApiError::invalid("`batch_id` is not a UUID"))?;
    let found = blocking(move || find(&api.parts().journals, batch_id)).await??;
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
    let settled = info.exporters.iter().all(|state| state.committed);
    BatchView {
        batch_id,
        items: info.items,
        accepted_at: rfc3339(info.accepted_ms),
        state: if settled { "settled" } else { "durable" },
        exporters: exporter_views(info.exporters),
    }
}

/// What became of a batch at each exporter.
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
