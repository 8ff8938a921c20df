//! `POST /v1/exporters/{name}/replay`: batches once more, for one exporter.

use axum::{
    Json,
    extract::{Path, Request, State},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    ApiState,
    error::{ApiError, ErrorBody},
    since,
    storages::request,
};
use crate::clock::now_ms;

/// From when on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Replay {
    /// How long ago, as in `2h`, or a time in RFC 3339.
    #[schema(example = "2h")]
    since: String,
}

/// What comes once more.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Replayed {
    /// How many points or alerts were settled and wait again.
    items: u64,
}

/// Delivers once more, to one exporter, what was accepted since a time, as far as
/// the journal still holds it.
#[utoipa::path(
    post,
    path = "/v1/exporters/{name}/replay",
    params(("name" = String, Path, description = "The exporter's name")),
    request_body(content_type = "application/json", content = Replay),
    responses(
        (status = 200, body = Replayed, description = "They wait for it"),
        (status = 400, body = ErrorBody, description = "Not such a time"),
        (status = 404, body = ErrorBody, description = "There is no such exporter"),
        (status = 503, body = ErrorBody, description = "The journal cannot be written"),
    ),
)]
pub(super) async fn replay(
    State(api): State<ApiState>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Json<Replayed>, ApiError> {
    let exporter = api.parts().exporters.get(&name);
    let exporter = exporter.ok_or(ApiError::ExporterNotFound { name })?;
    let body = request::json(&api, request).await?;
    let Replay { since } = serde_json::from_value(body)
        .map_err(|error| ApiError::invalid(format!("the body is not as it must be: {error}")))?;
    let items = exporter.replay(since::ms(&since, now_ms())?).await?;
    log::info!(exporter = exporter.name, items = items; "batches are replayed");
    Ok(Json(Replayed { items }))
}
