//! `GET /v1/plugins`: the plugin files that were found, refused ones too.

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::ApiState;

/// A plugin file. Of a refused one, what could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct PluginView {
    /// Where it is.
    pub file: String,
    /// Its content.
    pub sha256: Option<String>,
    /// The plugin's name.
    pub name: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Who made it.
    pub vendor: Option<String>,
    /// Under which terms.
    pub license: Option<String>,
    /// The interface that it was built for.
    pub abi: Option<String>,
    /// What it offers.
    pub exporters: Vec<PluginExporterView>,
    /// Why it is not used, if it is not.
    pub refused: Option<String>,
}

/// An exporter that a plugin offers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct PluginExporterView {
    /// Its name, for `plugin` in the configuration.
    pub name: String,
    /// What it receives.
    #[schema(example = "performance")]
    pub kind: String,
    /// What it does, in a line.
    pub description: String,
}

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
