//! `GET /v1/alerts/active`: the alerts that were sighted and have not ended.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use delfin_plugin_api::TEXT_COLUMNS;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    ApiState, blocking,
    error::{ApiError, ErrorBody},
};
use crate::alert::TrackedAlert;

/// As many as Delfin answers with at once.
const MOST: usize = 1000;
const LARGEST_OFFSET: usize = 2_147_483_647;

/// The active alerts.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ActiveAlertsView {
    /// By storage and identity.
    alerts: Vec<ActiveAlertView>,
}

/// An active alert: what was last said of it, under Delfin's names, and when it
/// was seen. Times are in milliseconds since 1970.
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
    /// When it happened, as the device says.
    occur_time: i64,
    /// When the host first saw it.
    first_seen: i64,
    /// When the host last saw it.
    last_seen: i64,
    /// What else the device said.
    extra: BTreeMap<String, String>,
}

/// Which of them are asked for.
#[derive(Debug)]
struct Wanted {
    storage_id: Option<String>,
    severity: Option<String>,
    limit: usize,
    offset: usize,
}

/// Lists the active alerts.
#[utoipa::path(
    get,
    path = "/v1/alerts/active",
    params(
        ("storage_id" = Option<String>, Query, description = "Only those of that storage"),
        ("severity" = Option<String>, Query, description = "Only those of that severity"),
        ("limit" = Option<u64>, Query, description = "How many at most; 1000 if left out, and never more"),
        ("offset" = Option<u64>, Query, description = "How many to pass over"),
    ),
    responses(
        (status = 200, body = ActiveAlertsView, description = "The active alerts"),
        (status = 400, body = ErrorBody, description = "A number that is none"),
    ),
)]
pub(super) async fn list_active_alerts(
    State(api): State<ApiState>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Json<ActiveAlertsView>, ApiError> {
    let Query(query) = query.map_err(|_| ApiError::invalid("the query cannot be read"))?;
    let wanted = Wanted::read(query)?;
    let alerts = blocking(move || {
        let alerts = api.parts().alerts.list();
        let alerts = alerts.iter().filter(|alert| wanted.includes(alert));
        let page = alerts.skip(wanted.offset).take(wanted.limit);
        page.map(|alert| view(alert)).collect()
    });
    Ok(Json(ActiveAlertsView {
        alerts: alerts.await?,
    }))
}

impl Wanted {
    /// As Delfin's lists: of what comes twice the last holds, and what is not
    /// known is passed over.
    fn read(query: Vec<(String, String)>) -> Result<Self, ApiError> {
        let mut wanted = Self {
            storage_id: None,
            severity: None,
            limit: MOST,
            offset: 0,
        };
        for (key, value) in query {
            match key.as_str() {
                "storage_id" => wanted.storage_id = Some(value),
                "severity" => wanted.severity = Some(value),
                "limit" => wanted.limit = number("limit", &value)?.min(MOST),
                "offset" => wanted.offset = number("offset", &value)?,
                _ => {}
            }
        }
        if wanted.offset > LARGEST_OFFSET {
            let message = format!("offset must be <= {LARGEST_OFFSET}");
            return Err(ApiError::invalid(&message));
        }
        Ok(wanted)
    }

    fn includes(&self, alert: &TrackedAlert) -> bool {
        let storage_id = self.storage_id.as_deref();
        let severity = self.severity.as_deref();
        storage_id.is_none_or(|id| alert.identity.storage_id == id)
            && severity.is_none_or(|severity| alert.text("severity") == Some(severity))
    }
}

fn number(key: &str, value: &str) -> Result<usize, ApiError> {
    let message = format!("{key} must be a whole number from 0 on");
    value.parse().map_err(|_| ApiError::invalid(&message))
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
