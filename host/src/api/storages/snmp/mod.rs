//! `/v1/storages/{id}/snmp-config`: from where a storage sends SNMP traps.
//!
//! No answer contains a credential.

mod request;
mod view;

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::StoragePath;
use crate::{
    api::{
        error::{ApiError, ErrorBody},
        extract::{Json, Path},
        responses::{
            InvalidBody, InventoryUnavailable, RegisteredStoragesUnknown, StorageNotFound,
        },
        state::HostPhase,
    },
    storages::Storages,
};
pub(super) use request::SetSnmpConfigRequest;
use view::SnmpConfigView;

/// The SNMP configurations of all storages.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ListSnmpConfigsResponse {
    /// The newest first.
    snmp_configs: Vec<SnmpConfigView>,
}

/// Shows from where a storage sends SNMP traps, without credentials.
#[utoipa::path(
    get,
    path = "/v1/storages/{id}/snmp-config",
    params(StoragePath),
    responses(
        (status = 200, body = SnmpConfigView, description = "The SNMP configuration of the storage"),
        (status = 404, body = ErrorBody, description = "The storage has no SNMP configuration, or does not exist"),
        RegisteredStoragesUnknown,
    ),
)]
pub(super) async fn show_snmp_config(
    State(storages): State<Arc<Storages>>,
    Path(StoragePath { id }): Path<StoragePath>,
) -> Result<Json<SnmpConfigView>, ApiError> {
    Ok(Json(storages.alert_source(&id)?.into()))
}

/// Sets from where a storage sends SNMP traps, and with which credentials. An earlier
/// configuration is replaced, but its `port`, `context_name`, `retry_num`, `expiration` and
/// `engine_id` stay unless they are given.
#[utoipa::path(
    put,
    path = "/v1/storages/{id}/snmp-config",
    params(StoragePath),
    request_body(
        content = SetSnmpConfigRequest,
        content_type = "application/json",
        example = json!({"host": "192.0.2.10", "version": "SNMPv2c", "community_string": "…"})
    ),
    responses(
        (status = 200, body = SnmpConfigView, description = "The SNMP configuration applies"),
        InvalidBody,
        StorageNotFound,
        InventoryUnavailable,
    ),
)]
pub(super) async fn set_snmp_config(
    State(storages): State<Arc<Storages>>,
    State(phase): State<HostPhase>,
    Path(StoragePath { id }): Path<StoragePath>,
    Json(request): Json<SetSnmpConfigRequest>,
) -> Result<Json<SnmpConfigView>, ApiError> {
    let snmp = request.into_config()?;
    phase.require_running()?;
    Ok(Json(storages.set_alert_source(&id, snmp).await?.into()))
}

/// Removes the SNMP configuration of a storage: its traps are no longer accepted.
#[utoipa::path(
    delete,
    path = "/v1/storages/{id}/snmp-config",
    params(StoragePath),
    responses(
        (status = 200, description = "The SNMP configuration is removed"),
        (status = 404, body = ErrorBody, description = "The storage has no SNMP configuration, or does not exist"),
        InventoryUnavailable,
    ),
)]
pub(super) async fn remove_snmp_config(
    State(storages): State<Arc<Storages>>,
    Path(StoragePath { id }): Path<StoragePath>,
) -> Result<StatusCode, ApiError> {
    storages.remove_alert_source(&id).await?;
    Ok(StatusCode::OK)
}

/// Lists from where the storages send SNMP traps, without credentials.
#[utoipa::path(
    get,
    path = "/v1/snmp-configs",
    responses(
        (status = 200, body = ListSnmpConfigsResponse, description = "The SNMP configurations"),
        RegisteredStoragesUnknown,
    ),
)]
pub(super) async fn list_snmp_configs(
    State(storages): State<Arc<Storages>>,
) -> Result<Json<ListSnmpConfigsResponse>, ApiError> {
    let sources = storages.alert_sources()?.into_iter();
    Ok(Json(ListSnmpConfigsResponse {
        snmp_configs: sources.map(SnmpConfigView::from).collect(),
    }))
}
