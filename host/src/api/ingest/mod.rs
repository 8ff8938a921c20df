//! `POST /v1/ingest/…`: batches in.
//!
//! The valid items of a body are kept, and the others named in the answer; a body
//! in which none is valid is refused. A batch without items is kept like any
//! other: a script that found nothing to send has made no mistake.

mod request;
mod response;
mod wait;

use std::time::Duration;

use axum::{
    body::Body,
    extract::{Request, State},
    http::{
        HeaderMap, HeaderName, Uri,
        header::{CONTENT_ENCODING, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use delfin_plugin_api::{Kind, Origin};
use tokio::time::Instant;

use self::{
    request::{Ack, Asked},
    response::{Accepted, Kept},
};
use super::{
    ApiState, blocking,
    error::{ApiError, ErrorBody},
    extract::body,
};
use crate::{
    batch::{AnyBatch, NewBatch},
    clock::now_ms,
    ingest::{self, Encoding, Format, Limits, Payload, Rejected, Sifted},
    lifecycle::Phase,
};

/// Takes series of points, and answers once they are durable.
#[utoipa::path(
    post,
    path = "/v1/ingest/performance",
    params(
        ("ack" = Option<String>, Query, description = "When to answer: `durable`, or `delivered` once every exporter is done with the batch or the time to wait is over"),
        ("strict" = Option<bool>, Query, description = "Whether to keep nothing unless every item is valid"),
        ("Prefer" = Option<String>, Header, description = "`wait=SECONDS`: as `ack=delivered`, for that long; 30 s if left out, and never more than 50 s"),
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
        (status = 200, body = Accepted, description = "Every exporter is done with the batch", headers(
            ("Location" = String, description = "Where to ask what became of it"),
            ("Idempotency-Replayed" = Option<bool>, description = "`true` if the key was used before"),
            ("Preference-Applied" = Option<String>, description = "For how long the answer could be waited for, if that was asked"),
        )),
        (status = 202, body = Accepted, description = "The batch is durable, and need not be sent again", headers(
            ("Location" = String, description = "Where to ask what became of it"),
            ("Idempotency-Replayed" = Option<bool>, description = "`true` if the key was used before"),
            ("Preference-Applied" = Option<String>, description = "For how long the answer could be waited for, if that was asked"),
        )),
        (status = 400, body = ErrorBody, description = "No item is valid, or with `strict` not each"),
        (status = 408, body = ErrorBody, description = "The body did not arrive in time"),
        (status = 413, body = ErrorBody, description = "More than one request may hold"),
        (status = 415, body = ErrorBody, description = "A content type or encoding that is not read here"),
        (status = 429, body = ErrorBody, description = "A required exporter is behind", headers(
            ("Retry-After" = u64, description = "In seconds"),
        )),
        (status = 503, body = ErrorBody, description = "The host is stopping, or its journal cannot be written", headers(
            ("Retry-After" = u64, description = "In seconds"),
        )),
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
        ("ack" = Option<String>, Query, description = "When to answer: `durable`, or `delivered` once every exporter is done with the batch or the time to wait is over"),
        ("strict" = Option<bool>, Query, description = "Whether to keep nothing unless every item is valid"),
        ("Prefer" = Option<String>, Header, description = "`wait=SECONDS`: as `ack=delivered`, for that long; 30 s if left out, and never more than 50 s"),
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
        (status = 200, body = Accepted, description = "Every exporter is done with the batch", headers(
            ("Location" = String, description = "Where to ask what became of it"),
            ("Idempotency-Replayed" = Option<bool>, description = "`true` if the key was used before"),
            ("Preference-Applied" = Option<String>, description = "For how long the answer could be waited for, if that was asked"),
        )),
        (status = 202, body = Accepted, description = "The batch is durable, and need not be sent again", headers(
            ("Location" = String, description = "Where to ask what became of it"),
            ("Idempotency-Replayed" = Option<bool>, description = "`true` if the key was used before"),
            ("Preference-Applied" = Option<String>, description = "For how long the answer could be waited for, if that was asked"),
        )),
        (status = 400, body = ErrorBody, description = "No item is valid, or with `strict` not each"),
        (status = 408, body = ErrorBody, description = "The body did not arrive in time"),
        (status = 413, body = ErrorBody, description = "More than one request may hold"),
        (status = 415, body = ErrorBody, description = "A content type or encoding that is not read here"),
        (status = 429, body = ErrorBody, description = "A required exporter is behind", headers(
            ("Retry-After" = u64, description = "In seconds"),
        )),
        (status = 503, body = ErrorBody, description = "The host is stopping, or its journal cannot be written", headers(
            ("Retry-After" = u64, description = "In seconds"),
        )),
        (status = 507, body = ErrorBody, description = "The journal, or its disk, is full"),
    ),
)]
pub(super) async fn ingest_alerts(State(api): State<ApiState>, request: Request) -> Response {
    ingest(api, Kind::Alert, request).await
}

async fn ingest(api: ApiState, kind: Kind, request: Request) -> Response {
    let counted = &api.metrics().ingest;
    let response = match accept(&api, kind, request).await {
        Ok(kept) => kept.into_response(),
        Err(error) => {
            counted.refused(kind, &error);
            error.into_response()
        }
    };
    counted.answered(kind, response.status());
    response
}

async fn accept(api: &ApiState, kind: Kind, request: Request) -> Result<Kept, ApiError> {
    let began = Instant::now();
    let counted = &api.metrics().ingest;
    let (head, mut body) = request.into_parts();
    let arrived = match arrive(api, &head.uri, &head.headers, &mut body).await {
        Ok(arrived) => arrived,
        Err(error) => {
            body::discard_later(&head.headers, body);
            return Err(error);
        }
    };
    counted.received(kind, arrived.bytes.len());
    let Asked { key, ack, .. } = arrived.asked.clone();
    let (batch, rejected) = parse(api, kind, arrived).await?;
    let journal = api.parts().journals.of(kind);
    let receipt = journal.accept(batch, key).await?;
    counted.kept(kind, &receipt);
    let (mut waited, mut applied) = (None, None);
    if let Ack::Delivered { wait, preferred } = ack {
        // A sender that has hung up still waits here: it is not the connections that
        // bound how many do.
        let turn = api.waiting().try_acquire().ok();
        let wait = turn.as_ref().map_or(Duration::ZERO, |_| wait);
        waited = Some(wait::until_settled(api, journal, &receipt, began + wait).await);
        applied = preferred.then_some(wait);
    }
    counted.acknowledged(kind, ack.as_str(), began.elapsed());
    Ok(Kept {
        receipt,
        rejected,
        waited,
        preferred: applied,
    })
}

/// A request that is here in full.
struct Arrived {
    asked: Asked,
    format: Format,
    encoding: Encoding,
    bytes: Vec<u8>,
}

async fn arrive(
    api: &ApiState,
    uri: &Uri,
    headers: &HeaderMap,
    body: &mut Body,
) -> Result<Arrived, ApiError> {
    if api.phase() != Phase::Running {
        return Err(ApiError::stopping());
    }
    let content_type = header(headers, CONTENT_TYPE);
    let content_encoding = header(headers, CONTENT_ENCODING);
    Ok(Arrived {
        asked: Asked::read(uri, headers)?,
        format: Format::from_content_type(content_type.as_deref())?,
        encoding: Encoding::from_content_encoding(content_encoding.as_deref())?,
        bytes: body::read(body, api.parts().config.max_body_bytes).await?,
    })
}

/// A header's value; of one that is there more than once, all values.
fn header(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let values = headers.get_all(name).into_iter();
    let texts = values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    texts.reduce(|all, next| all + ", " + &next)
}

/// The batch to keep, and what of the body is not in it.
async fn parse(
    api: &ApiState,
    kind: Kind,
    arrived: Arrived,
) -> Result<(NewBatch, Rejected), ApiError> {
    let config = &api.parts().config;
    let limits = Limits::from(config);
    let counted = api.metrics().ingest.clone();
    // Never closed, so never refused.
    let _turn = api.parsing().acquire().await;
    let parsed = blocking(move || {
        let payload = Payload {
            format: arrived.format,
            encoding: arrived.encoding,
            bytes: &arrived.bytes,
        };
        let Sifted { batch, rejected } = ingest::sift(kind, payload, &limits, now_ms())?;
        counted.rejected(kind, &rejected);
        let (batch, rejected) = if arrived.asked.strict || batch.row_count() == 0 {
            (rejected.whole(batch)?, Rejected::default())
        } else {
            (batch, rejected)
        };
        let batch = NewBatch {
            storage_id: storage_id(&batch),
            origin: Origin::Ingest,
            // A client cannot say that these are all alerts of the storage.
            complete: false,
            rows: batch,
        };
        Ok::<_, ApiError>((batch, rejected))
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
        AnyBatch::Alerts(batch) => only(batch.alerts().map(|alert| alert.storage_id())),
    }
}

fn only<'a>(mut ids: impl Iterator<Item = Option<&'a str>>) -> Option<String> {
    let first = ids.next()??;
    ids.all(|id| id == Some(first)).then(|| first.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

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
