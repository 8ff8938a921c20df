//! `GET /openapi.json`: the description of the API.

use std::sync::Arc;

use axum::{
    Extension,
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use serde_json::Value;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use super::{
    error::ErrorBody,
    health::ReadinessResponse,
    ingest::{InfluxdbError, IngestResponse},
};

/// The text of the document, written once.
#[derive(Clone, Debug)]
pub(super) struct OpenApiDocument(Arc<str>);

impl OpenApiDocument {
    pub(super) fn new(document: &utoipa::openapi::OpenApi) -> Self {
        // The document consists of texts, lists and maps, so writing it cannot fail.
        let mut document = serde_json::to_value(document).unwrap_or_default();
        state_bounds(&mut document);
        Self(document.to_string().into())
    }
}

/// States the largest value of each unsigned integer: few clients derive it from the format.
fn state_bounds(value: &mut Value) {
    match value {
        Value::Object(schema) => {
            let largest = match schema.get("format").and_then(Value::as_str) {
                Some("uint16") => Some(u64::from(u16::MAX)),
                Some("uint32") => Some(u64::from(u32::MAX)),
                Some("uint64") => Some(u64::MAX),
                _ => None,
            };
            if let Some(largest) = largest {
                schema.entry("maximum").or_insert_with(|| largest.into());
            }
            schema.values_mut().for_each(state_bounds);
        }
        Value::Array(items) => items.iter_mut().for_each(state_bounds),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A router without routes, with the general part of the document.
pub(super) fn described<S: Clone + Send + Sync + 'static>() -> OpenApiRouter<S> {
    // Types that derive `IntoResponses` refer to the schemas of their bodies, and do not
    // add them to the document.
    #[derive(OpenApi)]
    #[openapi(
        info(
            title = "delfin-host",
            description = "Accepts performance and alert batches, and delivers them to every \
                           exporter. Every answer has an `X-Compute-Request-Id`. Errors have the \
                           format of `ErrorBody`. Requests \
                           that web pages of other sites make are answered 403.\n\nCalls on `/v1/storages` ignore unknown query \
                           parameters and use the last value of a repeated one, as Delfin does. \
                           All other calls refuse both."
        ),
        components(schemas(ErrorBody, InfluxdbError, IngestResponse, ReadinessResponse))
    )]
    struct Description;
    OpenApiRouter::with_openapi(Description::openapi())
}

/// Describes this API.
#[utoipa::path(
    get,
    path = "/openapi.json",
    security(()),
    responses((status = 200, content_type = "application/json", description = "An OpenAPI 3.1 document")),
)]
pub(super) async fn openapi(
    Extension(OpenApiDocument(text)): Extension<OpenApiDocument>,
) -> Response {
    let headers = [(CONTENT_TYPE, "application/json")];
    (headers, text.to_string()).into_response()
}
