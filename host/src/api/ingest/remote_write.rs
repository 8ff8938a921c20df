//! `POST /api/v1/write`: remote write of Prometheus.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, HeaderName, StatusCode,
        header::{CONTENT_ENCODING, CONTENT_TYPE},
        request::Parts,
    },
    response::{IntoResponse, Response},
};
use utoipa::IntoResponses;

use super::{
    request::{IdempotencyHeader, header},
    series::{self, SeriesAcceptance, SeriesBody},
};
use crate::{
    api::{
        error::{ApiError, ErrorBody},
        responses::InputRefused,
        state::IngestState,
    },
    ingest::{BodyEncoding, excerpt},
    inputs::{RemoteWriteMessage, SeriesFormat, SeriesInput},
};

const SAMPLES_WRITTEN: HeaderName =
    HeaderName::from_static("x-prometheus-remote-write-samples-written");
const HISTOGRAMS_WRITTEN: HeaderName =
    HeaderName::from_static("x-prometheus-remote-write-histograms-written");
const EXEMPLARS_WRITTEN: HeaderName =
    HeaderName::from_static("x-prometheus-remote-write-exemplars-written");

/// Responses to a request whose series were all accepted.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it is there for the OpenAPI document")]
enum RemoteWritten {
    /// The series are durable, and need not be sent again
    #[response(status = 204, headers(
        ("X-Prometheus-Remote-Write-Samples-Written" = u64, description = "Samples that are stored, or that were left out as the mapping files say or because they have no number"),
        ("X-Prometheus-Remote-Write-Histograms-Written" = u64, description = "Always 0"),
        ("X-Prometheus-Remote-Write-Exemplars-Written" = u64, description = "Always 0"),
    ))]
    Written,
}

/// Accepts series by remote write of Prometheus, version 1.0 or 2.0, and answers when they are durable. If some series
/// are refused, the answer is 400, and the others are durable all the same.
#[utoipa::path(
    post,
    path = "/api/v1/write",
    security(("token" = ["ingest"])),
    params(
        IdempotencyHeader,
        ("Content-Encoding" = Option<String>, Header, description = "`snappy`"),
    ),
    request_body(
        description = "`prometheus.WriteRequest` or `io.prometheus.write.v2.Request`, as a block of Snappy.",
        content(
            ("application/x-protobuf"),
            ("application/x-protobuf;proto=io.prometheus.write.v2.Request"),
        )
    ),
    responses(
        RemoteWritten,
        InputRefused,
        (status = 403, body = ErrorBody, description = "`inputs.remote_write.enabled` is not set"),
    ),
)]
pub(super) async fn write_remote(
    State(state): State<Arc<IngestState>>,
    request: Request,
) -> Response {
    let describe = |head: &Parts| {
        let message = message(&head.headers)?;
        require_snappy(&head.headers)?;
        Ok(SeriesBody {
            encoding: BodyEncoding::Snappy,
            format: SeriesFormat::RemoteWrite(message),
        })
    };
    series::accept(&state, SeriesInput::RemoteWrite, request, describe, answer).await
}

fn message(headers: &HeaderMap) -> Result<RemoteWriteMessage, ApiError> {
    let value = header(headers, CONTENT_TYPE).unwrap_or_default();
    let message = RemoteWriteMessage::from_content_type(&value);
    message.ok_or_else(|| ApiError::InvalidContentType {
        detail: format!(
            "content type `{}` is not accepted (send `application/x-protobuf`, with \
             `proto={}` or `proto={}`)",
            excerpt(&value),
            RemoteWriteMessage::WriteRequest.as_str(),
            RemoteWriteMessage::Request.as_str(),
        ),
    })
}

/// Without the header, the body is a block of Snappy, too: version 0.1.0 knew no other.
fn require_snappy(headers: &HeaderMap) -> Result<(), ApiError> {
    match header(headers, CONTENT_ENCODING) {
        Some(value) if !value.trim().eq_ignore_ascii_case("snappy") => {
            Err(ApiError::InvalidContentEncoding {
                detail: format!(
                    "content encoding `{}` is not accepted (send `snappy`)",
                    excerpt(&value)
                ),
            })
        }
        Some(_) | None => Ok(()),
    }
}

fn answer(accepted: Result<SeriesAcceptance, ApiError>) -> Response {
    let acceptance = match accepted {
        Ok(acceptance) => acceptance,
        Err(error) => return error.into_response(),
    };
    // Prometheus takes an answer without any sample for an error.
    let samples = acceptance.accepted_points + acceptance.skipped.total();
    let mut response = match acceptance.refusal() {
        None => StatusCode::NO_CONTENT.into_response(),
        // The sender does not send these series again, and need not send the others again.
        Some(refusal) => ApiError::invalid(refusal).into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(SAMPLES_WRITTEN, samples.into());
    headers.insert(HISTOGRAMS_WRITTEN, 0.into());
    headers.insert(EXEMPLARS_WRITTEN, 0.into());
    response
}
