//! `POST /v1/metrics`: metrics of OpenTelemetry, by OTLP over HTTP.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CONTENT_ENCODING, CONTENT_TYPE},
        request::Parts,
    },
    response::{IntoResponse, Response},
};
use delfin_plugin_api::protobuf::ProtobufWriter;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{
    request::{IdempotencyHeader, header},
    series::{self, SeriesAcceptance, SeriesBody, SeriesHeaders},
};
use crate::{
    api::{error::ApiError, state::IngestState},
    ingest::{BodyEncoding, excerpt},
    inputs::{OtlpEncoding, SeriesFormat, SeriesInput},
};

const PROTOBUF: &str = "application/x-protobuf";

/// An error as OTLP has it.
#[derive(Debug, Serialize, ToSchema)]
struct OtlpStatus {
    /// The code of gRPC.
    #[schema(example = 3)]
    code: u64,
    /// What is wrong, as a sentence.
    message: String,
}

/// Accepts metrics by OTLP, and answers when they are durable. Errors have the form of OTLP, `Status`, in the encoding
/// of the request.
#[utoipa::path(
    post,
    path = "/v1/metrics",
    security(("token" = ["ingest"])),
    params(SeriesHeaders, IdempotencyHeader),
    request_body(
        description = "`ExportMetricsServiceRequest`.",
        content(
            ("application/x-protobuf"),
            (serde_json::Value = "application/json", example = json!({"resourceMetrics": []})),
        )
    ),
    responses(
        (status = 200, description = "`ExportMetricsServiceResponse`: the points are durable, apart from those that `partial_success` counts",
            content((serde_json::Value = "application/json"), (serde_json::Value = "application/x-protobuf"))),
        (status = 400, description = "The body cannot be read, or is not compressed as its header says",
            content((OtlpStatus = "application/json"), (OtlpStatus = "application/x-protobuf"))),
        (status = 413, description = "The body is larger, or holds more points, than the configuration allows",
            content((OtlpStatus = "application/json"), (OtlpStatus = "application/x-protobuf"))),
        (status = 415, description = "The content type or encoding is not supported",
            content((OtlpStatus = "application/json"), (OtlpStatus = "application/x-protobuf"))),
        (status = 503, description = "The host cannot store the points now, or the body did not arrive in time; try again later",
            headers(("Retry-After" = u64, description = "Seconds after which to try again")),
            content((OtlpStatus = "application/json"), (OtlpStatus = "application/x-protobuf"))),
        (status = 401, description = "A token is needed, and is missing or unknown",
            content((OtlpStatus = "application/json"), (OtlpStatus = "application/x-protobuf"))),
        (status = 403, description = "`inputs.otlp.enabled` is not set, or the token does not have the scope `ingest`",
            content((OtlpStatus = "application/json"), (OtlpStatus = "application/x-protobuf"))),
    ),
)]
pub(super) async fn write_otlp(
    State(state): State<Arc<IngestState>>,
    request: Request,
) -> Response {
    let encoding = encoding(request.headers());
    let describe = |head: &Parts| {
        let Some(encoding) = encoding else {
            return Err(ApiError::InvalidContentType {
                detail: format!(
                    "content type `{}` is not accepted (send `{PROTOBUF}` or `application/json`)",
                    excerpt(&header(&head.headers, CONTENT_TYPE).unwrap_or_default())
                ),
            });
        };
        let compression = header(&head.headers, CONTENT_ENCODING);
        Ok(SeriesBody {
            encoding: BodyEncoding::from_content_encoding(compression.as_deref())?,
            format: SeriesFormat::Otlp(encoding),
        })
    };
    let answer = |accepted| match accepted {
        Ok(acceptance) => success(encoding, &acceptance),
        Err(error) => failure(encoding, error),
    };
    series::accept(&state, SeriesInput::Otlp, request, describe, answer).await
}

/// The encoding of a request, and of its answer.
pub(super) fn encoding(headers: &HeaderMap) -> Option<OtlpEncoding> {
    OtlpEncoding::from_content_type(&header(headers, CONTENT_TYPE)?)
}

fn success(encoding: Option<OtlpEncoding>, acceptance: &SeriesAcceptance) -> Response {
    let rejected = acceptance.rejected_points;
    let message = acceptance.refusal();
    match (encoding, message) {
        (Some(OtlpEncoding::Protobuf), message) => {
            let mut response = ProtobufWriter::default();
            if let Some(text) = message {
                response.message(1, |partial| {
                    partial.uint(1, rejected);
                    partial.text(2, &text);
                });
            }
            protobuf(StatusCode::OK, &response)
        }
        (Some(OtlpEncoding::Json) | None, None) => axum::Json(json!({})).into_response(),
        (Some(OtlpEncoding::Json) | None, Some(text)) => axum::Json(json!({
            "partialSuccess": {"rejectedDataPoints": rejected.to_string(), "errorMessage": text}
        }))
        .into_response(),
    }
}

pub(super) fn failure(encoding: Option<OtlpEncoding>, error: ApiError) -> Response {
    let message = error.to_string();
    let mut response = error.into_response();
    let code = grpc_code(response.status());
    let body = match encoding {
        Some(OtlpEncoding::Protobuf) => {
            let mut status = ProtobufWriter::default();
            status.uint(1, code);
            status.text(2, &message);
            let content_type = HeaderValue::from_static(PROTOBUF);
            response.headers_mut().insert(CONTENT_TYPE, content_type);
            Body::from(status.as_bytes().to_vec())
        }
        Some(OtlpEncoding::Json) | None => axum::Json(OtlpStatus { code, message })
            .into_response()
            .into_body(),
    };
    *response.body_mut() = body;
    response
}

fn protobuf(status: StatusCode, message: &ProtobufWriter) -> Response {
    let body = message.as_bytes().to_vec();
    (status, [(CONTENT_TYPE, PROTOBUF)], body).into_response()
}

/// The code of gRPC that means what a status means.
fn grpc_code(status: StatusCode) -> u64 {
    match status.as_u16() {
        401 => 16,
        403 => 7,
        503 => 14,
        400..=499 => 3,
        _ => 13,
    }
}
