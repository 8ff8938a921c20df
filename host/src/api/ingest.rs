//! `POST /v1/ingest/…`: batches in.
//!
//! A body is kept whole or refused whole. A batch without items is kept like any
//! other: a script that found nothing to send has made no mistake.

use std::time::Instant;

use axum::{
    Json,
    body::Body,
    extract::{Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{CONTENT_ENCODING, CONTENT_TYPE, LOCATION},
    },
    response::{IntoResponse, Response},
};
use delfin_plugin_api::{Kind, Origin};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    ApiState, blocking, body,
    error::{ApiError, ErrorBody},
};
use crate::{
    clock::now_ms,
    delivery::Phase,
    ingest::{self, AnyBatch, Encoding, Format, Limits, Payload},
    journal::Receipt,
    lane::NewBatch,
};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const LONGEST_KEY: usize = 255;

/// A batch that is safe.
#[derive(Debug, Serialize, ToSchema)]
struct Accepted {
    /// Its name, by which `/v1/batches` knows it.
    batch_id: Uuid,
    /// How many points or alerts it holds.
    items: u64,
    /// Always `durable`.
    #[schema(example = "durable")]
    state: &'static str,
}

/// Takes series of points, and answers once they are durable.
#[utoipa::path(
    post,
    path = "/v1/ingest/performance",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters. A request under a key that was used before is answered with the first receipt, and keeps nothing."),
        ("Content-Encoding" = Option<String>, Header, description = "`gzip`, `zstd` or `identity`"),
    ),
    request_body(
        description = "Series, each as an object or as `[name, labels, values]`: one array, or one series a line. Values are keyed by milliseconds since 1970.",
        content(
            (Vec<serde_json::Value> = "application/json", example = json!([{
                "name": "iops",
                "labels": {"storage_id": "12345", "resource_type": "volume", "resource_id": "v1", "unit": "IOPS"},
                "values": {"1700000000000": 12.5}
            }])),
            ("application/x-ndjson"),
            ("application/vnd.apache.arrow.stream"),
        )
    ),
    responses(
        (status = 202, body = Accepted, description = "The batch is durable", headers(
            ("Location" = String, description = "Where to ask what became of it"),
            ("Idempotency-Replayed" = Option<bool>, description = "`true` if the key was used before"),
        )),
        (status = 400, body = ErrorBody, description = "Not such a batch"),
        (status = 408, body = ErrorBody, description = "The body did not arrive in time"),
        (status = 413, body = ErrorBody, description = "More than one request may hold"),
        (status = 415, body = ErrorBody, description = "A content type or encoding that is not read here"),
        (status = 503, body = ErrorBody, description = "The host is stopping, or its journal cannot be written"),
        (status = 507, body = ErrorBody, description = "The journal, or its disk, is full"),
    ),
)]
pub(super) async fn ingest_performance(State(api): State<ApiState>, request: Request) -> Response {
    ingest(api, Kind::Performance, request).await
}

/// Takes alerts, and answers once they are durable.
#[utoipa::path(
    post,
    path = "/v1/ingest/alerts",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters. A request under a key that was used before is answered with the first receipt, and keeps nothing."),
        ("Content-Encoding" = Option<String>, Header, description = "`gzip`, `zstd` or `identity`"),
    ),
    request_body(
        description = "Alerts in Delfin's alert model: one array, or one alert a line. Times are in milliseconds since 1970.",
        content(
            (Vec<serde_json::Value> = "application/json", example = json!([{
                "storage_id": "12345",
                "alert_id": "0x000001",
                "alert_name": "Disk failed",
                "severity": "Major",
                "category": "Fault",
                "occur_time": 1_700_000_000_000_i64
            }])),
            ("application/x-ndjson"),
            ("application/vnd.apache.arrow.stream"),
        )
    ),
    responses(
        (status = 202, body = Accepted, description = "The batch is durable", headers(
            ("Location" = String, description = "Where to ask what became of it"),
            ("Idempotency-Replayed" = Option<bool>, description = "`true` if the key was used before"),
        )),
        (status = 400, body = ErrorBody, description = "Not such a batch"),
        (status = 408, body = ErrorBody, description = "The body did not arrive in time"),
        (status = 413, body = ErrorBody, description = "More than one request may hold"),
        (status = 415, body = ErrorBody, description = "A content type or encoding that is not read here"),
        (status = 503, body = ErrorBody, description = "The host is stopping, or its journal cannot be written"),
        (status = 507, body = ErrorBody, description = "The journal, or its disk, is full"),
    ),
)]
pub(super) async fn ingest_alerts(State(api): State<ApiState>, request: Request) -> Response {
    ingest(api, Kind::Alert, request).await
}

async fn ingest(api: ApiState, kind: Kind, request: Request) -> Response {
    let began = Instant::now();
    let counted = &api.metrics().ingest;
    let response = match accept(&api, kind, request).await {
        Ok(receipt) => {
            counted.accepted(kind, &receipt, began.elapsed());
            answer(&receipt)
        }
        Err(error) => {
            counted.rejected(kind, &error);
            error.into_response()
        }
    };
    counted.answered(kind, response.status());
    response
}

async fn accept(api: &ApiState, kind: Kind, request: Request) -> Result<Receipt, ApiError> {
    let (head, mut body) = request.into_parts();
    let arrived = match arrive(api, &head.headers, &mut body).await {
        Ok(arrived) => arrived,
        Err(error) => {
            body::discard_later(&head.headers, body);
            return Err(error);
        }
    };
    api.metrics().ingest.received(kind, arrived.bytes.len());
    let key = arrived.key.clone();
    let batch = parse(api, kind, arrived).await?;
    Ok(api.parts().lanes.of(kind).accept(batch, key).await?)
}

/// A request that is here in full.
struct Arrived {
    format: Format,
    encoding: Encoding,
    key: Option<String>,
    bytes: Vec<u8>,
}

async fn arrive(api: &ApiState, headers: &HeaderMap, body: &mut Body) -> Result<Arrived, ApiError> {
    if api.phase() != Phase::Running {
        return Err(ApiError::stopping());
    }
    let content_type = header(headers, CONTENT_TYPE);
    let content_encoding = header(headers, CONTENT_ENCODING);
    Ok(Arrived {
        format: Format::from_content_type(content_type.as_deref())?,
        encoding: Encoding::from_content_encoding(content_encoding.as_deref())?,
        key: idempotency_key(headers)?,
        bytes: body::read(body, api.parts().config.max_body_bytes).await?,
    })
}

/// A header's value; of one that is there more than once, all values.
fn header(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let values = headers.get_all(name).into_iter();
    let texts = values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    texts.reduce(|all, next| all + ", " + &next)
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(key) = header(headers, IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let fits = (1..=LONGEST_KEY).contains(&key.len());
    if !fits || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ApiError::invalid(format!(
            "`Idempotency-Key` must be 1 to {LONGEST_KEY} visible ASCII characters"
        )));
    }
    Ok(Some(key))
}

async fn parse(api: &ApiState, kind: Kind, arrived: Arrived) -> Result<NewBatch, ApiError> {
    let config = &api.parts().config;
    let limits = Limits {
        max_decompressed_bytes: config.max_decompressed_bytes,
        max_rows: config.max_rows,
        max_string_bytes: config.max_string_bytes,
    };
    // Never closed, so never refused.
    let _turn = api.parsing().acquire().await;
    let parsed = blocking(move || {
        let payload = Payload {
            format: arrived.format,
            encoding: arrived.encoding,
            bytes: &arrived.bytes,
        };
        let batch = ingest::parse(kind, payload, &limits, now_ms())?;
        Ok::<_, ApiError>(NewBatch {
            items: batch.items(),
            origin: Origin::Ingest,
            storage_id: storage_id(&batch),
            // Nobody has said that nothing else is going on there.
            complete: false,
            arrow: batch.as_arrow().clone(),
        })
    });
    parsed.await?
}

/// The storage that every item speaks of, if it is the same one.
fn storage_id(batch: &AnyBatch) -> Option<String> {
    match batch {
        AnyBatch::Performance(batch) => only(
            batch
                .series()
                .map(|series| series.labels().get("storage_id")),
        ),
        AnyBatch::Alert(batch) => only(batch.alerts().map(|alert| alert.storage_id())),
    }
}

fn only<'a>(mut ids: impl Iterator<Item = Option<&'a str>>) -> Option<String> {
    let first = ids.next()??;
    ids.all(|id| id == Some(first)).then(|| first.to_owned())
}

fn answer(receipt: &Receipt) -> Response {
    let accepted = Accepted {
        batch_id: receipt.batch_id,
        items: receipt.items,
        state: "durable",
    };
    let mut response = (StatusCode::ACCEPTED, Json(accepted)).into_response();
    let headers = response.headers_mut();
    if let Ok(place) = HeaderValue::try_from(format!("/v1/batches/{}", receipt.batch_id)) {
        headers.insert(LOCATION, place);
    }
    if receipt.repeated {
        headers.insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(value: &str) -> Result<Option<String>, ApiError> {
        let mut headers = HeaderMap::new();
        headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_str(value).unwrap());
        idempotency_key(&headers)
    }

    #[test]
    fn a_key_is_1_to_255_visible_ascii_characters() {
        assert_eq!(idempotency_key(&HeaderMap::new()), Ok(None));
        assert_eq!(key("!~"), Ok(Some("!~".to_owned())));
        assert!(key(&"k".repeat(255)).is_ok());
        for wrong in ["", "a b", "é", &"k".repeat(256)] {
            assert!(key(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn two_keys_are_none() {
        let mut headers = HeaderMap::new();
        headers.append(IDEMPOTENCY_KEY, HeaderValue::from_static("a"));
        headers.append(IDEMPOTENCY_KEY, HeaderValue::from_static("b"));
        assert!(idempotency_key(&headers).is_err());
    }

    #[test]
    fn a_batch_has_the_storage_that_all_its_items_have() {
        let check = |ids: &[Option<&str>], wanted: Option<&str>| {
            assert_eq!(only(ids.iter().copied()).as_deref(), wanted);
        };
        check(&[Some("a"), Some("a")], Some("a"));
        check(&[Some("a"), Some("b")], None);
        check(&[Some("a"), None], None);
        check(&[None, Some("a")], None);
        check(&[], None);
    }
}
