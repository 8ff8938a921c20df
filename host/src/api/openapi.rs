//! `GET /openapi.json`: what the interface says of itself.

use std::sync::Arc;

use axum::{
    Extension,
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use super::ApiState;

/// The document, written once.
#[derive(Clone, Debug)]
pub(super) struct Document(Arc<str>);

impl Document {
    pub(super) fn new(document: &utoipa::openapi::OpenApi) -> Self {
        let text = document.to_json();
        // Made of nothing but texts and lists, it can always be written.
        Self(text.unwrap_or_default().into())
    }
}

/// A router without routes, and what there is to say of them all.
pub(super) fn described() -> OpenApiRouter<ApiState> {
    #[derive(OpenApi)]
    #[openapi(info(
        title = "delfin-host",
        description = "Takes performance and alert batches, and delivers them to every exporter. \
                       Every answer has an `X-Compute-Request-Id`."
    ))]
    struct Description;
    OpenApiRouter::with_openapi(Description::openapi())
}

/// Describes this interface.
#[utoipa::path(
    get,
    path = "/openapi.json",
    responses((status = 200, content_type = "application/json", description = "OpenAPI 3.1")),
)]
pub(super) async fn openapi(Extension(Document(text)): Extension<Document>) -> Response {
    let headers = [(CONTENT_TYPE, "application/json")];
    (headers, text.to_string()).into_response()
}
