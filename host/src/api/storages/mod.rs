//! `/v1/storages`: registering storages, showing and forgetting them.
//!
//! Shapes, statuses and names of errors are Delfin's.

mod access;
mod alerts;
mod capabilities;
pub(super) mod error;
mod metrics_config;
mod query;
pub(super) mod request;
mod view;

use axum::{
    Json,
    extract::{Path, Query, Request, State, rejection::QueryRejection},
    http::StatusCode,
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    ApiState, blocking,
    error::{ApiError, ErrorBody},
};
use crate::{lifecycle::Phase, storages::StorageError};
use query::Page;
use view::StorageView;

/// Parameters of a query, in their order.
type Params = Result<Query<Vec<(String, String)>>, QueryRejection>;

/// Storages.
#[derive(Debug, Serialize, ToSchema)]
struct Storages {
    /// As the query has sorted them, the newest first without one.
    storages: Vec<StorageView>,
}

pub(super) fn routed(router: OpenApiRouter<ApiState>) -> OpenApiRouter<ApiState> {
    router
        .routes(routes!(list_storages, create_storage))
        .routes(routes!(show_storage, delete_storage))
        .routes(routes!(
            metrics_config::show_metrics_config,
            metrics_config::set_metrics_config
        ))
        .routes(routes!(alerts::list_alerts))
        .routes(routes!(alerts::sync_alerts))
        .routes(routes!(capabilities::show_capabilities))
        .routes(routes!(access::show_access_info))
        .routes(routes!(access::list_access_infos))
}

/// Registers a storage, and begins to collect from it.
#[utoipa::path(
    post,
    path = "/v1/storages",
    request_body(
        content_type = "application/json",
        description = "`vendor`, `model` and one or more of `rest`, `ssh`, `cli` and `smis`; `storage_name` and `extra_attributes` if wanted.",
        content = serde_json::Value,
        example = json!({
            "vendor": "fake_storage",
            "model": "fake_driver",
            "rest": {"host": "127.0.0.1", "port": 8080, "username": "admin", "password": "…"},
            "extra_attributes": {"volumes": "20"}
        })
    ),
    responses(
        (status = 201, body = StorageView, description = "It is registered"),
        (status = 400, body = ErrorBody, description = "The body is not as it must be, the storage is registered already, or it refuses its driver"),
        (status = 404, body = ErrorBody, description = "There is no driver for it"),
        (status = 500, body = ErrorBody, description = "The storage does not answer"),
    ),
)]
async fn create_storage(
    State(api): State<ApiState>,
    request: Request,
) -> Result<(StatusCode, Json<StorageView>), ApiError> {
    let new = request::storage(&request::json(&api, request).await?)?;
    if api.phase() != Phase::Running {
        return Err(ApiError::stopping());
    }
    let known = api.storages().register(new).await?;
    Ok((StatusCode::CREATED, Json(StorageView::new(&known))))
}

/// Lists the storages, declared and registered ones.
#[utoipa::path(
    get,
    path = "/v1/storages",
    params(
        ("limit" = Option<u64>, Query, description = "How many at most; 1000 if not given, and never more"),
        ("offset" = Option<u64>, Query, description = "How many to leave out"),
        ("marker" = Option<String>, Query, description = "The id of the last storage that was seen"),
        ("sort" = Option<String>, Query, description = "`key[:asc|desc],…`; or `sort_key` and `sort_dir`"),
        ("name" = Option<String>, Query, description = "Only those of that name; so `vendor`, `model`, `status` and `serial_number`"),
    ),
    responses(
        (status = 200, body = Storages, description = "The storages"),
        (status = 400, body = ErrorBody, description = "A parameter is not as it must be"),
        (status = 404, body = ErrorBody, description = "The marker is no storage"),
    ),
)]
async fn list_storages(
    State(api): State<ApiState>,
    params: Params,
) -> Result<Json<Storages>, ApiError> {
    let page = Page::read(&request::params(params)?)?;
    let views = api.storages().list();
    let views = views.iter().map(StorageView::new).collect();
    Ok(Json(Storages {
        storages: page.of(views)?,
    }))
}

/// Shows a storage.
#[utoipa::path(
    get,
    path = "/v1/storages/{id}",
    params(("id" = String, Path, description = "Its id")),
    responses(
        (status = 200, body = StorageView, description = "The storage"),
        (status = 404, body = ErrorBody, description = "There is none"),
    ),
)]
async fn show_storage(
    State(api): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Json<StorageView>, ApiError> {
    Ok(Json(StorageView::new(&api.storages().get(&id)?)))
}

/// Forgets a registered storage: it is collected from no more.
#[utoipa::path(
    delete,
    path = "/v1/storages/{id}",
    params(("id" = String, Path, description = "Its id")),
    responses(
        (status = 202, description = "It is forgotten"),
        (status = 404, body = ErrorBody, description = "There is none"),
        (status = 409, body = ErrorBody, description = "It is declared in the configuration"),
    ),
)]
async fn delete_storage(
    State(api): State<ApiState>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let removed: Result<(), StorageError> = blocking(move || api.storages().remove(&id)).await?;
    removed?;
    Ok(StatusCode::ACCEPTED)
}
