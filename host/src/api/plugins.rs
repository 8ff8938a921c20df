//! `GET /v1/plugins`: the plugin files that were found, refused ones too.

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::ApiState;
use crate::plugin::PluginView;

/// The plugin files.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Plugins {
    /// In the order in which they were found.
    plugins: Vec<PluginView>,
}

/// Lists the plugin files.
#[utoipa::path(get, path = "/v1/plugins", responses((status = 200, body = Plugins, description = "The plugin files")))]
pub(super) async fn list_plugins(State(api): State<ApiState>) -> Json<Plugins> {
    Json(Plugins {
        plugins: api.parts().reloader.plugins().borrow().to_vec(),
    })
}
