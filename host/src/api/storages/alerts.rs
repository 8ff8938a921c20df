//! `/v1/storages/{id}/alerts`: a storage's alerts, asked of the storage itself.

use axum::{
    Json,
    extract::{Path, Request, State},
    http::StatusCode,
};
use delfin_plugin_api::json::alert_object;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    super::{
        ApiState,
        error::{ApiError, ErrorBody},
    },
    Params, request,
};
use crate::{
    collect::{AlertSelection, TimeWindow},
    lifecycle::Phase,
};

/// Alerts in Delfin's alert model.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Alerts {
    /// As the storage listed them.
    alerts: Vec<Map<String, Value>>,
}

/// Lists a storage's alerts.
#[utoipa::path(
    get,
    path = "/v1/storages/{id}/alerts",
    params(
        ("id" = String, Path, description = "The storage's id"),
        ("begin_time" = Option<i64>, Query, description = "From when on, in milliseconds since 1970"),
        ("end_time" = Option<i64>, Query, description = "Until when"),
    ),
    responses(
        (status = 200, body = Alerts, description = "The alerts"),
        (status = 400, body = ErrorBody, description = "A time is not as it must be"),
        (status = 404, body = ErrorBody, description = "There is no such storage"),
        (status = 500, body = ErrorBody, description = "The storage does not answer"),
    ),
)]
pub(super) async fn list_alerts(
    State(api): State<ApiState>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<Alerts>, ApiError> {
    let params = request::params(params)?;
    let time = |name: &str| {
        let Some((_, text)) = params.iter().rev().find(|(key, _)| key == name) else {
            return Ok(0);
        };
        request::integer(text).ok_or_else(|| {
            ApiError::invalid("begin_time and end_time should be integer values in milliseconds.")
        })
    };
    let query = AlertSelection {
        range: range([time("begin_time")?, time("end_time")?])?,
        forward: false,
    };
    let alerts = api.storages().alerts(&id, query).await?;
    Ok(Json(Alerts {
        alerts: alerts.alerts().map(alert_object).collect(),
    }))
}

/// Asks a storage for its alerts and hands them to every alert exporter.
#[utoipa::path(
    post,
    path = "/v1/storages/{id}/alerts/sync",
    params(("id" = String, Path, description = "The storage's id")),
    request_body(
        content_type = "application/json",
        description = "`begin_time` and `end_time` in milliseconds since 1970, if the storage is to look at a part of its history only.",
        content = serde_json::Value,
        example = json!({"begin_time": 0, "end_time": 99_999_999})
    ),
    responses(
        (status = 200, description = "The alerts are safe, and on their way"),
        (status = 400, body = ErrorBody, description = "The body is not as it must be"),
        (status = 404, body = ErrorBody, description = "There is no such storage"),
        (status = 500, body = ErrorBody, description = "The storage does not answer"),
        (status = 507, body = ErrorBody, description = "The journal, or its disk, is full"),
    ),
)]
pub(super) async fn sync_alerts(
    State(api): State<ApiState>,
    Path(id): Path<String>,
    request: Request,
) -> Result<StatusCode, ApiError> {
    let range = range(request::times(&request::json(&api, request).await?)?)?;
    if api.phase() != Phase::Running {
        return Err(ApiError::stopping());
    }
    let forward = true;
    let query = AlertSelection { range, forward };
    api.storages().alerts(&id, query).await?;
    Ok(StatusCode::OK)
}

/// The range between two times, of which 0 is none.
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
