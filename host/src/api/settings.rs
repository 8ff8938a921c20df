//! `GET /v1/config`: the configuration in force.

use axum::extract::State;

use super::extract::Json;
use crate::exporters::{AppliedSettings, Reloader};

/// Shows the configuration in force, without secrets.
#[utoipa::path(
    get,
    path = "/v1/config",
    responses((status = 200, body = AppliedSettings, description = "The settings of the configuration file")),
)]
pub(super) async fn show_config(State(reloader): State<Reloader>) -> Json<AppliedSettings> {
    let settings = AppliedSettings::clone(&reloader.settings().borrow());
    Json(settings)
}
