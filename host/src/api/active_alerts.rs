//! `GET /v1/alerts/active`: the alerts that began and have not ended.

use std::collections::BTreeMap;

use axum::extract::State;
use delfin_plugin_api::TEXT_COLUMNS;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    blocking,
    error::ApiError,
    extract::{Json, Query},
    responses::InvalidQuery,
};
use crate::alert::{ActiveAlerts, TrackedAlert};

const MAX_LIMIT: u64 = 1_000;
/// Delfin's largest offset.
const MAX_OFFSET: u64 = 2_147_483_647;

/// The alerts to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct ListActiveAlertsQuery {
    /// Only alerts of this storage.
    storage_id: Option<String>,
    /// Only alerts of this severity.
    severity: Option<String>,
    /// Maximum number of alerts; at most 1000.
    #[param(default = 1_000)]
    limit: u64,
    /// Number of alerts to skip; at most 2147483647.
    #[param(default = 0)]
    offset: u64,
}

impl Default for ListActiveAlertsQuery {
    fn default() -> Self {
        Self {
            storage_id: None,
            severity: None,
            limit: MAX_LIMIT,
            offset: 0,
        }
    }
}

/// The active alerts.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ListActiveAlertsResponse {
    /// Sorted by storage and identity.
    alerts: Vec<ActiveAlertView>,
}

/// An active alert, as its storage last reported it, with the names of Delfin's alert
/// model. Times are in milliseconds since the Unix epoch. A field is null if the
/// storage did not report it.
#[derive(Debug, Serialize, ToSchema)]
struct ActiveAlertView {
    storage_id: Option<String>,
    storage_name: Option<String>,
    vendor: Option<String>,
    model: Option<String>,
    serial_number: Option<String>,
    alert_id: Option<String>,
    alert_name: Option<String>,
    sequence_number: Option<String>,
    category: Option<String>,
    severity: Option<String>,
    #[serde(rename = "type")]
    alert_type: Option<String>,
    resource_type: Option<String>,
    location: Option<String>,
    description: Option<String>,
    recovery_advice: Option<String>,
    match_key: Option<String>,
    /// When it occurred, as the storage reports it.
    occur_time: i64,
    /// When the host first received it.
    first_seen: i64,
    /// When the host last received it.
    last_seen: i64,
    /// Fields that Delfin's alert model does not have.
    extra: BTreeMap<String, String>,
}

/// Lists the active alerts.
#[utoipa::path(
    get,
    path = "/v1/alerts/active",
    params(ListActiveAlertsQuery),
    responses(
        (status = 200, body = ListActiveAlertsResponse, description = "The active alerts"),
        InvalidQuery,
    ),
)]
pub(super) async fn list_active_alerts(
    State(active): State<ActiveAlerts>,
    Query(query): Query<ListActiveAlertsQuery>,
) -> Result<Json<ListActiveAlertsResponse>, ApiError> {
    if query.offset > MAX_OFFSET {
        return Err(ApiError::invalid(format!("offset must be <= {MAX_OFFSET}")));
    }
    let alerts = blocking(move || {
        let offset = usize::try_from(query.offset).unwrap_or(usize::MAX);
        let limit = usize::try_from(query.limit.min(MAX_LIMIT)).unwrap_or(usize::MAX);
        let alerts = active.list();
        let alerts = alerts.iter().filter(|alert| query.selects(alert));
        alerts
            .skip(offset)
            .take(limit)
            .map(|alert| view(alert))
            .collect()
    });
    Ok(Json(ListActiveAlertsResponse {
        alerts: alerts.await?,
    }))
}

impl ListActiveAlertsQuery {
    fn selects(&self, alert: &TrackedAlert) -> bool {
        let storage_id = self.storage_id.as_deref();
        let severity = self.severity.as_deref();
        storage_id.is_none_or(|id| alert.identity.storage_id == id)
            && severity.is_none_or(|severity| alert.text("severity") == Some(severity))
    }
}

fn view(alert: &TrackedAlert) -> ActiveAlertView {
    let text = |name| alert.text(name).map(str::to_owned);
    let extra = alert.texts.iter();
    let extra = extra.filter(|(key, _)| !TEXT_COLUMNS.contains(&&**key));
    ActiveAlertView {
        storage_id: text("storage_id"),
        storage_name: text("storage_name"),
        vendor: text("vendor"),
        model: text("model"),
        serial_number: text("serial_number"),
        alert_id: text("alert_id"),
        alert_name: text("alert_name"),
        sequence_number: text("sequence_number"),
        category: text("category"),
        severity: text("severity"),
        alert_type: text("type"),
        resource_type: text("resource_type"),
        location: text("location"),
        description: text("description"),
        recovery_advice: text("recovery_advice"),
        match_key: text("match_key"),
        occur_time: alert.occur_time,
        first_seen: alert.first_seen_ms,
        last_seen: alert.last_seen_ms,
        extra: extra.cloned().collect(),
    }
}
