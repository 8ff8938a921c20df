//! Access data, without what is secret in it.

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    super::{
        ApiState,
        error::{ApiError, ErrorBody},
    },
    view::time,
};
use crate::{
    collect::EXTRA,
    inventory::{Access, Registration},
    storages::StorageError,
};

/// How a storage was registered.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AccessInfo {
    /// When it was registered.
    created_at: String,
    /// When it was changed last.
    updated_at: Option<String>,
    /// Which storage.
    storage_id: String,
    /// The name that it was registered with.
    storage_name: Option<String>,
    /// The vendor that chose the driver.
    vendor: String,
    /// The model that chose the driver.
    model: String,
    /// How it is reached over REST; empty if not.
    rest: Map<String, Value>,
    /// How it is reached over SSH.
    ssh: Map<String, Value>,
    /// How it is reached by its command line.
    cli: Map<String, Value>,
    /// How it is reached over SMI-S.
    smis: Map<String, Value>,
    /// What its driver was told beside.
    extra_attributes: Map<String, Value>,
}

/// How storages were registered.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AccessInfos {
    /// The newest first.
    access_infos: Vec<AccessInfo>,
}

/// Shows how a storage was registered; never its password.
#[utoipa::path(
    get,
    path = "/v1/storages/{id}/access-info",
    params(("id" = String, Path, description = "The storage's id")),
    responses(
        (status = 200, body = AccessInfo, description = "How it was registered"),
        (status = 404, body = ErrorBody, description = "No such storage is registered"),
    ),
)]
pub(super) async fn show_access_info(
    State(api): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Json<AccessInfo>, ApiError> {
    let registration = api.storages().registration(&id);
    let registration = registration.map_err(|_| StorageError::AccessNotFound { id })?;
    Ok(Json(view(registration)))
}

/// Lists how the storages were registered; never a password.
#[utoipa::path(
    get,
    path = "/v1/access-infos",
    responses((status = 200, body = AccessInfos, description = "How they were registered")),
)]
pub(super) async fn list_access_infos(State(api): State<ApiState>) -> Json<AccessInfos> {
    let registrations = api.storages().registrations().into_iter();
    Json(AccessInfos {
        access_infos: registrations.map(view).collect(),
    })
}

fn view(registration: Registration) -> AccessInfo {
    let part = |name| shown(&registration.access, name);
    AccessInfo {
        created_at: time(registration.created_us),
        updated_at: registration.updated_us.map(time),
        storage_id: registration.id.to_string(),
        storage_name: registration.storage_name.clone(),
        rest: part("rest"),
        ssh: part("ssh"),
        cli: part("cli"),
        smis: part("smis"),
        extra_attributes: part(EXTRA),
        vendor: registration.vendor,
        model: registration.model,
    }
}

fn shown(access: &Access, name: &str) -> Map<String, Value> {
    let mut part = access.get(name).and_then(Value::as_object).cloned();
    let part = part.get_or_insert_default();
    part.remove("password");
    std::mem::take(part)
}
