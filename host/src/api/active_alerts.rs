//! `/v1/alerts/active`: the alerts that began and have not ended.

use std::collections::BTreeMap;

use axum::extract::State;
use delfin_plugin_api::{Origin, TEXT_COLUMNS};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    blocking,
    error::ApiError,
    extract::{Json, Query},
    responses::{InvalidBody, InvalidQuery, JournalNotWritable},
};
use crate::{
    alert::{ActiveAlerts, TrackedAlert},
    batch::NewBatch,
    batch_journal::BatchJournals,
    clock::now_ms,
};

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
    #[param(default = 0, maximum = 2_147_483_647)]
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

/// The active alerts to clear: those that match every given field. `all` excludes the other
/// fields; one field is required.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ClearAlertsRequest {
    /// Only alerts of this storage.
    #[schema(nullable = false)]
    storage_id: Option<String>,
    /// Only alerts of this severity.
    #[schema(nullable = false)]
    severity: Option<String>,
    /// Only alerts with this name.
    #[schema(nullable = false)]
    alert_name: Option<String>,
    /// Only alerts with this location.
    #[schema(nullable = false)]
    location: Option<String>,
    /// Only alerts with this sequence number.
    #[schema(nullable = false)]
    sequence_number: Option<String>,
    /// Only alerts with this match key.
    #[schema(nullable = false)]
    match_key: Option<String>,
    /// Every active alert.
    all: bool,
}

/// What was cleared.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ClearAlertsResponse {
    /// Number of alerts.
    cleared: u64,
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

/// Ends active alerts: each exporter gets their recoveries. An alert that its storage reports
/// again is active again.
#[utoipa::path(
    post,
    path = "/v1/alerts/active/clear",
    request_body(content = ClearAlertsRequest, content_type = "application/json"),
    responses(
        (status = 200, body = ClearAlertsResponse, description = "The recoveries are durable, and wait for the exporters"),
        InvalidBody,
        JournalNotWritable,
    ),
)]
pub(super) async fn clear_active_alerts(
    State(active): State<ActiveAlerts>,
    State(journals): State<BatchJournals>,
    Json(request): Json<ClearAlertsRequest>,
) -> Result<Json<ClearAlertsResponse>, ApiError> {
    let filter = request.into_filter()?;
    let selected = blocking(move || {
        let mut alerts = active.list();
        alerts.retain(|alert| selects(&filter, alert));
        alerts
    });
    let alerts = selected.await?;
    if !alerts.is_empty() {
        let batch = NewBatch {
            rows: ActiveAlerts::recoveries(&alerts, now_ms()).into(),
            origin: Origin::Ingest,
            storage_id: None,
            complete: false,
        };
        journals.alerts.accept(batch, None).await?;
        log::info!(alerts = alerts.len(); "active alerts were cleared");
    }
    Ok(Json(ClearAlertsResponse {
        cleared: alerts.len() as u64,
    }))
}

/// Columns and their wanted texts.
type ColumnFilter = Vec<(&'static str, String)>;

impl ClearAlertsRequest {
    /// # Errors
    ///
    /// The request selects nothing, or says `all` and selects.
    fn into_filter(self) -> Result<ColumnFilter, ApiError> {
        let fields = [
            ("storage_id", self.storage_id),
            ("severity", self.severity),
            ("alert_name", self.alert_name),
            ("location", self.location),
            ("sequence_number", self.sequence_number),
            ("match_key", self.match_key),
        ];
        let given = fields.into_iter();
        let filter: Vec<_> = given
            .filter_map(|(column, text)| Some((column, text?)))
            .collect();
        if self.all == filter.is_empty() {
            return Ok(filter);
        }
        Err(ApiError::invalid(
            "name at least one field to select alerts, or only `all`",
        ))
    }
}

fn selects(filter: &ColumnFilter, alert: &TrackedAlert) -> bool {
    let mut columns = filter.iter();
    columns.all(|(column, text)| alert.text(column).unwrap_or_default() == text)
}

impl ListActiveAlertsQuery {
    fn selects(&self, alert: &TrackedAlert) -> bool {
        let storage_id = self.storage_id.as_deref();
        let severity = self.severity.as_deref();
        storage_id.is_none_or(|id| alert.identity.storage_id() == id)
            && severity.is_none_or(|severity| alert.text("severity") == Some(severity))
    }
}

fn view(alert: &TrackedAlert) -> ActiveAlertView {
    let text = |name| alert.text(name).map(str::to_owned);
    let extra = alert.texts.iter();
    let extra = extra.filter(|(key, _)| !TEXT_COLUMNS.contains(key));
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
        extra: extra
            .map(|(key, text)| (key.to_owned(), text.to_owned()))
            .collect(),
    }
}
