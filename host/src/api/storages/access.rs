//! How storages were registered, without passwords.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{StoragePath, request::ChangeAccessRequest, view::time};
use crate::{
    api::{
        error::{ApiError, ErrorBody},
        extract::{Json, Path},
        responses::{
            InvalidBody, InventoryUnavailable, RegisteredStoragesUnknown, StorageCallFailed,
            StorageIsDeclared,
        },
        state::HostPhase,
    },
    collect::EXTRA,
    inventory::{Access, Registration},
    storages::{StorageError, Storages},
};

/// Replaces a value that may be secret.
pub(super) const HIDDEN: &str = "***";

/// How a storage was registered. Times are in UTC.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AccessInfoView {
    #[schema(example = "2026-01-02T03:04:05.678901")]
    created_at: String,
    /// Last change; null if there was none.
    updated_at: Option<String>,
    /// Id of the storage.
    storage_id: String,
    /// Name in the registration; null if it has none.
    storage_name: Option<String>,
    /// Vendor in the registration, which with the model selects the driver.
    vendor: String,
    /// Model in the registration, which with the vendor selects the driver.
    model: String,
    /// Access over REST, without the password; empty if not used.
    rest: Map<String, Value>,
    /// Access over SSH, without the password; empty if not used.
    ssh: Map<String, Value>,
    /// Access over the command line, without the password; empty if not used.
    cli: Map<String, Value>,
    /// Access over SMI-S, without the password; empty if not used.
    smis: Map<String, Value>,
    /// Names of the driver's settings, each with `***` as its value: only the driver knows which
    /// of them are secret. Empty if there are none.
    extra_attributes: Map<String, Value>,
}

/// How all storages were registered.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ListAccessInfosResponse {
    /// The newest first.
    access_infos: Vec<AccessInfoView>,
}

/// Shows how a storage was registered, without its password.
#[utoipa::path(
    get,
    path = "/v1/storages/{id}/access-info",
    params(StoragePath),
    responses(
        (status = 200, body = AccessInfoView, description = "How the storage was registered"),
        (status = 404, body = ErrorBody, description = "No registered storage has this id"),
        RegisteredStoragesUnknown,
    ),
)]
pub(super) async fn show_access_info(
    State(storages): State<Arc<Storages>>,
    Path(StoragePath { id }): Path<StoragePath>,
) -> Result<Json<AccessInfoView>, ApiError> {
    let registration = storages.registration(&id).map_err(access_error)?;
    Ok(Json(view(registration)))
}

/// Changes how a storage is reached: its credentials, its address or its driver's settings. The
/// fields that are given replace the stored ones, and apply at once. The storage keeps its id;
/// the access data must lead to the storage with the same serial number.
#[utoipa::path(
    put,
    path = "/v1/storages/{id}/access-info",
    params(StoragePath),
    request_body(
        content = ChangeAccessRequest,
        content_type = "application/json",
        example = json!({
            "rest": {"host": "127.0.0.1", "port": 8080, "username": "admin", "password": "…"}
        })
    ),
    responses(
        (status = 200, body = AccessInfoView, description = "The change applies"),
        InvalidBody,
        (status = 400, body = ErrorBody, description = "The body is invalid, the access data leads to another storage, or the storage refuses the driver's login or options"),
        (status = 404, body = ErrorBody, description = "No registered storage has this id"),
        StorageIsDeclared,
        StorageCallFailed,
        InventoryUnavailable,
    ),
)]
pub(super) async fn change_access_info(
    State(storages): State<Arc<Storages>>,
    State(phase): State<HostPhase>,
    Path(StoragePath { id }): Path<StoragePath>,
    Json(request): Json<ChangeAccessRequest>,
) -> Result<Json<AccessInfoView>, ApiError> {
    let change = request.into_access()?;
    phase.require_running()?;
    let registration = storages.change_access(&id, change).await;
    Ok(Json(view(registration.map_err(access_error)?)))
}

/// Lists how the storages were registered, without passwords.
#[utoipa::path(
    get,
    path = "/v1/access-infos",
    responses(
        (status = 200, body = ListAccessInfosResponse, description = "How the storages were registered"),
        RegisteredStoragesUnknown,
    ),
)]
pub(super) async fn list_access_infos(
    State(storages): State<Arc<Storages>>,
) -> Result<Json<ListAccessInfosResponse>, ApiError> {
    let registrations = storages.registrations()?.into_iter();
    Ok(Json(ListAccessInfosResponse {
        access_infos: registrations.map(view).collect(),
    }))
}

fn access_error(error: StorageError) -> ApiError {
    match error {
        StorageError::NotFound { id } => ApiError::AccessInfoNotFound { id },
        error => error.into(),
    }
}

fn view(registration: Registration) -> AccessInfoView {
    let part = |name| without_password(&registration.access, name);
    AccessInfoView {
        created_at: time(registration.created_us),
        updated_at: registration.updated_us.map(time),
        storage_id: registration.id.to_string(),
        storage_name: registration.storage_name.clone(),
        rest: part("rest"),
        ssh: part("ssh"),
        cli: part("cli"),
        smis: part("smis"),
        extra_attributes: names_only(&registration.access, EXTRA),
        vendor: registration.vendor,
        model: registration.model,
    }
}

fn without_password(access: &Access, name: &str) -> Map<String, Value> {
    let mut part = access.get(name).and_then(Value::as_object).cloned();
    let part = part.get_or_insert_default();
    part.remove("password");
    std::mem::take(part)
}

fn names_only(access: &Access, name: &str) -> Map<String, Value> {
    let part = access.get(name).and_then(Value::as_object);
    let names = part.into_iter().flat_map(Map::keys);
    names.map(|name| (name.clone(), HIDDEN.into())).collect()
}
