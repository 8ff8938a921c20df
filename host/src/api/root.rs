//! `/v1` itself, as Delfin has it.

use axum::{
    http::{StatusCode, header::LOCATION},
    response::{IntoResponse, Response},
};

/// Leads to `/v1/`, which does not exist: as in Delfin, no document lists the versions of the API.
#[utoipa::path(
    get,
    path = "/v1",
    security(()),
    responses((status = 302, description = "`Location` is `/v1/`")),
)]
pub(super) async fn redirect() -> Response {
    (StatusCode::FOUND, [(LOCATION, "/v1/")]).into_response()
}
