//! `POST /v1/ingest/…`: batches from clients.
//!
//! The valid items of a body are kept, and the answer names the others. A body
//! without a valid item is refused. A body without items is kept like any other:
//! a script that found nothing to send made no mistake.

mod complete;
mod delivered;
mod influxdb;
mod match_key;
mod otlp;
mod remote_write;
mod request;
mod response;
mod series;
mod webhook;

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use delfin_plugin_api::{Kind, Origin};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) use self::{influxdb::InfluxdbError, response::IngestResponse};
use self::{
    request::{Ack, IdempotencyHeader, IngestHeaders, IngestPayload, IngestQuery, IngestRequest},
    response::{Acceptance, BatchAccepted},
    webhook::WebhookTarget,
};
use super::{
    blocking,
    error::ApiError,
    responses::BatchRefused,
    state::{ApiState, IngestState},
};
use crate::{
    batch::{AnyBatch, NewBatch},
    clock::now_ms,
    ingest::{self, BodyEncoding, ParseGuard, ParsedItems, QueuePlace, RejectedItems, RequestBody},
};

/// A batch on its way into the journal is in memory as it is, as a stream, and compressed.
const ENCODED_COPIES: u64 = 3;

/// Bodies up to this size are parsed at once: to hand one to another thread would take about as long.
const SMALL_BYTES: usize = 64 << 10;

pub(super) fn routed(router: OpenApiRouter<ApiState>) -> OpenApiRouter<ApiState> {
    router
        .routes(routes!(ingest_performance))
        .routes(routes!(ingest_alerts))
        .routes(routes!(webhook::ingest_webhook))
        .routes(routes!(webhook::ingest_alertmanager))
        .routes(routes!(remote_write::write_remote))
        .routes(routes!(otlp::write_otlp))
        .routes(routes!(influxdb::write_influxdb_2))
        .routes(routes!(influxdb::write_influxdb_1))
        .routes(routes!(influxdb::ping_influxdb))
}

/// The answer to a request that is refused, in the form of the protocol of its route.
pub(super) fn refusal(route: &str, headers: &HeaderMap, error: ApiError) -> Response {
    match route {
        "/v1/metrics" => otlp::failure(otlp::encoding(headers), error),
        "/api/v2/write" | "/write" => influxdb::failure(error),
        _ => error.into_response(),
    }
}

/// Accepts series of points, and answers when they are durable.
#[utoipa::path(
    post,
    path = "/v1/ingest/performance",
    security(("token" = ["ingest"])),
    params(IngestQuery, IngestHeaders, IdempotencyHeader),
    request_body(
        description = "Series, each as an object or as `[name, labels, values]`: one array, or one series per line. The keys of `values` are times in milliseconds since the Unix epoch.",
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
    responses(BatchAccepted, BatchRefused),
)]
async fn ingest_performance(State(state): State<Arc<IngestState>>, request: Request) -> Response {
    ingest(&state, Kind::Performance, request, None).await
}

/// Accepts alerts, and answers when they are durable.
#[utoipa::path(
    post,
    path = "/v1/ingest/alerts",
    security(("token" = ["ingest"])),
    params(IngestQuery, IngestHeaders, IdempotencyHeader),
    request_body(
        description = "Alerts in Delfin's alert model: one array, one alert per line, or an object with the array in `alerts` and `complete_for` as in the query. Times are in milliseconds since the Unix epoch.",
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
    responses(BatchAccepted, BatchRefused),
)]
async fn ingest_alerts(State(state): State<Arc<IngestState>>, request: Request) -> Response {
    ingest(&state, Kind::Alert, request, None).await
}

/// Answers a request with items, or with a webhook.
async fn ingest(
    state: &Arc<IngestState>,
    kind: Kind,
    request: Request,
    webhook: Option<WebhookTarget>,
) -> Response {
    let is_input = webhook.is_some();
    let accepted = match IngestRequest::read(state, kind, request).await {
        Ok(request) => accept(state, kind, request, webhook).await,
        Err(error) => Err(error),
    };
    let response = match accepted {
        Ok(acceptance) => acceptance.into_response(),
        Err(error) => {
            state.metrics.refused(kind, &error);
            let error = if is_input { error.for_input() } else { error };
            error.into_response()
        }
    };
    state.metrics.answered(kind, response.status());
    response
}

async fn accept(
    state: &Arc<IngestState>,
    kind: Kind,
    request: IngestRequest,
    webhook: Option<WebhookTarget>,
) -> Result<Acceptance, ApiError> {
    let metrics = &state.metrics;
    let IngestRequest {
        received,
        idempotency_key,
        ack,
        forwarded,
        payload,
        _permit,
    } = request;
    metrics.received(kind, payload.bytes.len());
    let ParsedItems {
        mut batch,
        rejected,
        notes,
        complete_for,
        claim,
    } = parse(state, kind, payload, webhook).await?;
    let journal = state.journals.of(kind);
    let storage_id = batch.storage_id.clone();
    let receipt = match forwarded {
        None => journal.accept(batch, idempotency_key).await?,
        Some(origin) => {
            batch.origin = origin;
            journal.accept_forwarded(batch, idempotency_key).await?
        }
    };
    drop(claim);
    metrics.accepted(kind, &receipt);
    if !receipt.repeated {
        metrics.noted(kind, &notes);
        state.times.warn(kind, storage_id.as_deref(), &notes);
    }
    let (mut delivery, mut applied_wait) = (None, None);
    if let Ack::Delivered { wait, preferred } = ack {
        // A client that has hung up still occupies its permit here, so the limit of
        // connections does not bound how many wait.
        let permit = state.permits.of(kind).begin_waiting();
        let wait = permit.as_ref().map_or(Duration::ZERO, |_| wait);
        let deadline = received + wait;
        delivery = Some(delivered::wait(journal, &receipt, deadline, state.phase.watch()).await);
        applied_wait = preferred.then_some(wait);
    }
    metrics.acknowledged(kind, ack.as_str(), received.elapsed());
    Ok(Acceptance {
        receipt,
        rejected,
        notes,
        complete_for,
        delivery,
        applied_wait,
    })
}

/// The batch to keep, and the items of the body that are not in it.
async fn parse(
    state: &Arc<IngestState>,
    kind: Kind,
    payload: IngestPayload,
    webhook: Option<WebhookTarget>,
) -> Result<ParsedItems<NewBatch>, ApiError> {
    let place = state
        .permits
        .of(kind)
        .queues
        .enter(payload.sender, payload.bytes.len())
        .await;
    // A small compressed body can become a large one, and only another thread can wait for memory.
    let is_small = payload.encoding == BodyEncoding::Identity
        && payload.bytes.len() <= SMALL_BYTES
        && payload.claim.is_plentiful();
    let state = Arc::clone(state);
    let parse = move |queued: Option<QueuePlace>| {
        let limits = &state.limits;
        let guard = ParseGuard::start(limits, payload.claim);
        let guard = match queued {
            Some(place) => guard.in_queue(place),
            None => guard,
        };
        let body = RequestBody {
            format: payload.format,
            encoding: payload.encoding,
            bytes: payload.bytes.into(),
        };
        let ParsedItems {
            batch,
            rejected,
            notes,
            complete_for,
            mut claim,
        } = match webhook {
            Some(target) => target.parse(body, limits, guard)?,
            None => ingest::parse(kind, body, limits, now_ms(), guard)?,
        };
        state.metrics.rejected(kind, &rejected);
        let mut complete_for = complete::storage(payload.complete_for, complete_for)?;
        let batch = match &complete_for {
            Some(storage_id) => complete::alerts_of(batch, storage_id)?,
            None => batch,
        };
        let batch = match &batch {
            AnyBatch::Alerts(alerts) => {
                match_key::from_sequence_numbers(alerts, &state.unique_sequence_numbers)
                    .map_or(batch, AnyBatch::from)
            }
            AnyBatch::Performance(_) => batch,
        };
        let (batch, rejected) = if payload.strict || batch.row_count() == 0 {
            (rejected.require_empty(batch)?, RejectedItems::default())
        } else {
            (batch, rejected)
        };
        if rejected.total() > 0 {
            // The rejected alerts may be active.
            complete_for = None;
        }
        let batch = NewBatch {
            storage_id: complete_for.clone().or_else(|| storage_id(&batch)),
            origin: Origin::Ingest,
            complete: complete_for.is_some(),
            rows: batch,
        };
        claim.resize(ENCODED_COPIES * batch.rows.held_bytes())?;
        Ok::<_, ApiError>(ParsedItems {
            batch,
            rejected,
            notes,
            complete_for,
            claim,
        })
    };
    if is_small {
        let parsed = parse(None);
        drop(place);
        return parsed;
    }
    blocking(move || parse(Some(place))).await?
}

/// The storage that every item belongs to, if it is one.
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
