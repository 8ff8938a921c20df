//! `GET /v1/plugins`: the plugin files, with those that are refused.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::Json;
use crate::{exporters::Reloader, plugin::PluginView};

/// The plugin files.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ListPluginsResponse {
    /// In the order in which the host found them.
    plugins: Vec<PluginView>,
}

/// Lists the plugin files, with those that are refused.
#[utoipa::path(
    get,
    path = "/v1/plugins",
    responses((status = 200, body = ListPluginsResponse, description = "The plugin files")),
)]
pub(super) async fn list_plugins(State(reloader): State<Reloader>) -> Json<ListPluginsResponse> {
    Json(ListPluginsResponse {
        plugins: reloader.plugins().borrow().to_vec(),
    })
}
