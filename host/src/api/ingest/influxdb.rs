//! `POST /api/v2/write` and `POST /write`: the line protocol of InfluxDB.

#![expect(unused_qualifications, reason = "the macro for the route writes one")]

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header::CONTENT_ENCODING, request::Parts},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, IntoResponses, ToSchema, openapi::Object};

use super::{
    request::{IdempotencyHeader, header},
    series::{self, SeriesAcceptance, SeriesBody, SeriesHeaders},
};
use crate::{
    api::{
        error::{ApiError, ErrorBody},
        extract::DelfinQuery,
        page,
        state::IngestState,
    },
    ingest::BodyEncoding,
    inputs::{LinePrecision, SeriesFormat, SeriesInput},
};

/// Where the client wants to write. Other parameters are ignored.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Influxdb2Query {
    /// The bucket, for mappings.
    bucket: Option<String>,
    /// The unit of times: `ns`, `us`, `ms` or `s`.
    #[param(schema_with = precision_schema, required = false)]
    precision: Option<String>,
}

/// Where the client wants to write. Other parameters are ignored.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Influxdb1Query {
    /// The database, for mappings.
    db: Option<String>,
    /// The unit of times: `ns`, `us`, `ms`, `s`, `m` or `h`.
    #[param(schema_with = precision_schema, required = false)]
    precision: Option<String>,
}

/// An error as InfluxDB 1 and 2 have it.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct InfluxdbError {
    /// Of InfluxDB 2.
    #[schema(example = "invalid")]
    code: &'static str,
    /// What is wrong, as a sentence.
    message: String,
    /// The same, for InfluxDB 1.
    error: String,
    /// The first line that was refused, from 1; absent if the whole body was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    line: Option<usize>,
}

/// Responses to a write.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it is there for the OpenAPI document")]
enum LinesWritten {
    /// The lines are durable
    #[response(status = 204)]
    Written,

    /// A parameter is invalid, the body is not compressed as its header says, or lines were refused; the other lines are durable
    #[response(status = 400)]
    Invalid(InfluxdbError),

    /// A token is needed, and is missing or unknown
    #[response(status = 401)]
    Unauthorized(InfluxdbError),

    /// `inputs.influxdb.enabled` is not set, or the token does not have the scope `ingest`
    #[response(status = 403)]
    Forbidden(InfluxdbError),

    /// The body is larger, or holds more series, than the configuration allows
    #[response(status = 413)]
    TooLarge(InfluxdbError),

    /// The content encoding is not supported
    #[response(status = 415)]
    Encoding(InfluxdbError),

    /// The host cannot store the points now, or the body did not arrive in time; try again later
    #[response(status = 503, headers(("Retry-After" = u64, description = "Seconds after which to try again")))]
    Unavailable(InfluxdbError),
}

/// Accepts lines as InfluxDB 2 does, and answers when they are durable.
#[utoipa::path(
    post,
    path = "/api/v2/write",
    security(("token" = ["ingest"])),
    params(Influxdb2Query, SeriesHeaders, IdempotencyHeader),
    request_body(description = "Lines of the line protocol.", content(("text/plain"))),
    responses(LinesWritten),
)]
pub(super) async fn write_influxdb_2(
    State(state): State<Arc<IngestState>>,
    DelfinQuery(query): DelfinQuery<Influxdb2Query>,
    request: Request,
) -> Response {
    write(&state, query.bucket, query.precision, request).await
}

/// Accepts lines as InfluxDB 1 does, and answers when they are durable. A client that cannot send its token in a header
/// sends it in the query, as `p`.
#[utoipa::path(
    post,
    path = "/write",
    security(("token" = ["ingest"])),
    params(Influxdb1Query, SeriesHeaders, IdempotencyHeader),
    request_body(description = "Lines of the line protocol.", content(("text/plain"))),
    responses(LinesWritten),
)]
pub(super) async fn write_influxdb_1(
    State(state): State<Arc<IngestState>>,
    DelfinQuery(query): DelfinQuery<Influxdb1Query>,
    request: Request,
) -> Response {
    write(&state, query.db, query.precision, request).await
}

/// Answers clients of InfluxDB that look whether it runs.
#[utoipa::path(
    get,
    path = "/ping",
    security(()),
    responses(
        (status = 204, description = "The line protocol is accepted"),
        (status = 403, body = ErrorBody, description = "`inputs.influxdb.enabled` is not set"),
    ),
)]
pub(super) async fn ping_influxdb(
    State(state): State<Arc<IngestState>>,
) -> Result<StatusCode, ApiError> {
    series::mappings(&state, SeriesInput::Influxdb)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn write(
    state: &IngestState,
    bucket: Option<String>,
    precision: Option<String>,
    request: Request,
) -> Response {
    let describe = |head: &Parts| describe(&head.headers, bucket, precision);
    series::accept(state, SeriesInput::Influxdb, request, describe, answer).await
}

fn describe(
    headers: &HeaderMap,
    bucket: Option<String>,
    precision: Option<String>,
) -> Result<SeriesBody, ApiError> {
    let precision = LinePrecision::from_name(precision.as_deref().unwrap_or_default());
    let wrong = "`precision` must be `ns`, `us`, `ms`, `s`, `m` or `h`";
    let precision = precision.ok_or_else(|| ApiError::invalid(wrong))?;
    let compression = header(headers, CONTENT_ENCODING);
    Ok(SeriesBody {
        encoding: BodyEncoding::from_content_encoding(compression.as_deref())?,
        format: SeriesFormat::LineProtocol {
            precision,
            bucket: bucket.unwrap_or_default(),
        },
    })
}

fn answer(accepted: Result<SeriesAcceptance, ApiError>) -> Response {
    match accepted {
        Ok(acceptance) => match acceptance.rejected.named().next() {
            None => StatusCode::NO_CONTENT.into_response(),
            Some(first) => {
                let line = first.line.unwrap_or_default();
                let text = format!(
                    "partial write: line {line}: {} dropped={}",
                    first.error, acceptance.rejected_points
                );
                let body = InfluxdbError::new(StatusCode::BAD_REQUEST, text, first.line);
                (StatusCode::BAD_REQUEST, axum::Json(body)).into_response()
            }
        },
        Err(error) => failure(error),
    }
}

/// An error as InfluxDB has it.
pub(super) fn failure(error: ApiError) -> Response {
    let text = error.to_string();
    let mut response = error.into_response();
    let body = InfluxdbError::new(response.status(), text, None);
    let shaped = axum::Json(body).into_response();
    *response.body_mut() = shaped.into_body();
    response
}

impl InfluxdbError {
    fn new(status: StatusCode, text: String, line: Option<usize>) -> Self {
        let code = match status.as_u16() {
            401 => "unauthorized",
            403 => "forbidden",
            413 => "request too large",
            503 => "unavailable",
            400..=499 => "invalid",
            _ => "internal error",
        };
        Self {
            code,
            message: text.clone(),
            error: text,
            line,
        }
    }
}

fn precision_schema() -> Object {
    page::one_of(&["ns", "us", "ms", "s", "m", "h"])
}
