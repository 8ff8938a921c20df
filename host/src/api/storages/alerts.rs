//! `/v1/storages/{id}/alerts`: the alerts that a storage itself lists.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use delfin_plugin_api::json::alert_object;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{StoragePath, query::ListAlertsQuery, request::SyncAlertsRequest};
use crate::{
    api::{
        error::{ApiError, ErrorBody},
        extract::{DelfinQuery, Json, Path},
        responses::{InvalidBody, InvalidDelfinQuery, StorageCallFailed, StorageNotFound},
        state::HostPhase,
    },
    collect::{AlertSelection, TimeWindow},
    storages::Storages,
};

/// Alerts of a storage, with the names of Delfin's alert model.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ListAlertsResponse {
    /// In the order of the storage.
    alerts: Vec<Map<String, Value>>,
}

/// The alert of a call.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct AlertPath {
    /// Id of the storage.
    id: String,
    /// Sequence number of the alert, as the storage gave it.
    sequence_number: String,
}

/// Asks a storage for its alerts.
#[utoipa::path(
    get,
    path = "/v1/storages/{id}/alerts",
    params(StoragePath, ListAlertsQuery),
    responses(
        (status = 200, body = ListAlertsResponse, description = "The alerts"),
        InvalidDelfinQuery,
        StorageNotFound,
        StorageCallFailed,
    ),
)]
pub(super) async fn list_alerts(
    State(storages): State<Arc<Storages>>,
    Path(StoragePath { id }): Path<StoragePath>,
    DelfinQuery(query): DelfinQuery<ListAlertsQuery>,
) -> Result<Json<ListAlertsResponse>, ApiError> {
    let query = AlertSelection {
        range: range(query.times()?)?,
        forward: false,
    };
    let alerts = storages.alerts(&id, query).await?;
    Ok(Json(ListAlertsResponse {
        alerts: alerts.alerts().map(alert_object).collect(),
    }))
}

/// Asks a storage for its alerts and delivers them to every alert exporter.
#[utoipa::path(
    post,
    path = "/v1/storages/{id}/alerts/sync",
    params(StoragePath),
    request_body(
        content = SyncAlertsRequest,
        content_type = "application/json",
        example = json!({"begin_time": 0, "end_time": 99_999_999})
    ),
    responses(
        (status = 200, description = "The alerts are durable, and wait for the exporters"),
        InvalidBody,
        StorageNotFound,
        StorageCallFailed,
        (status = 507, body = ErrorBody, description = "The journal or its disk is full"),
    ),
)]
pub(super) async fn sync_alerts(
    State(storages): State<Arc<Storages>>,
    State(phase): State<HostPhase>,
    Path(StoragePath { id }): Path<StoragePath>,
    Json(request): Json<SyncAlertsRequest>,
) -> Result<StatusCode, ApiError> {
    let query = AlertSelection {
        range: range([request.begin_time, request.end_time])?,
        forward: true,
    };
    phase.require_running()?;
    storages.alerts(&id, query).await?;
    Ok(StatusCode::OK)
}

/// Clears an alert on the storage itself. Afterwards the host asks the storage for its alerts,
/// so that the alert exporters learn that the alert has ended.
#[utoipa::path(
    delete,
    path = "/v1/storages/{id}/alerts/{sequence_number}",
    params(AlertPath),
    responses(
        (status = 200, description = "The alert is cleared"),
        StorageNotFound,
        StorageCallFailed,
    ),
)]
pub(super) async fn clear_alert(
    State(storages): State<Arc<Storages>>,
    State(phase): State<HostPhase>,
    Path(AlertPath {
        id,
        sequence_number,
    }): Path<AlertPath>,
) -> Result<StatusCode, ApiError> {
    phase.require_running()?;
    storages.clear_alert(&id, sequence_number).await?;
    Ok(StatusCode::OK)
}

/// The range between two times, where 0 is no limit. A range that holds no time
/// counts as none: storages answer it with all of their alerts.
fn range([begin, end]: [i64; 2]) -> Result<Option<TimeWindow>, ApiError> {
    if begin != 0 && end != 0 && end <= begin {
        return Err(ApiError::invalid(
            "end_time should be greater than begin_time.",
        ));
    }
    let window = TimeWindow {
        start_ms: begin,
        end_ms: if end == 0 { i64::MAX } else { end },
    };
    let is_range = (begin != 0 || end != 0) && window.start_ms < window.end_ms;
    Ok(is_range.then_some(window))
}
