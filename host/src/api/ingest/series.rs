//! Series in the protocols of other monitoring systems, on their way into the journal.

use std::{borrow::Cow, sync::Arc, time::Instant};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderValue, request::Parts},
    response::Response,
};
use delfin_plugin_api::{Batch, Kind, Origin};

use utoipa::IntoParams;

use super::{
    ENCODED_COPIES,
    request::{ReceivedBody, encoding_schema, idempotency_key},
    response::IDEMPOTENCY_REPLAYED,
    storage_id,
};
use crate::{
    api::{blocking, error::ApiError, state::IngestState},
    batch::{AnyBatch, NewBatch, held_bytes},
    clock::now_ms,
    ingest::{BodyEncoding, IngestError, ParseGuard, ParsedItems, RejectedItems, decompress},
    inputs::{ParsedSeries, SeriesFormat, SeriesInput, SeriesMappings, SeriesWriter, SkipCounts},
    notification::MappingSet,
};

/// Headers of a request whose body can be compressed.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it is there for the OpenAPI document")]
pub(super) struct SeriesHeaders {
    /// `gzip`, `zstd` or `identity`.
    #[param(rename = "Content-Encoding", schema_with = encoding_schema, required = false)]
    encoding: Option<String>,
}

/// What became of the series of a request. Those that were accepted are durable.
#[derive(Debug)]
pub(super) struct SeriesAcceptance {
    pub(super) accepted_points: u64,
    pub(super) rejected_points: u64,
    pub(super) rejected: RejectedItems,
    pub(super) skipped: SkipCounts,
    /// Whether the points were accepted before, by a request with the same idempotency key.
    repeated: bool,
}

/// How the body of a request is read.
pub(super) struct SeriesBody {
    pub(super) encoding: BodyEncoding,
    pub(super) format: SeriesFormat,
}

/// Answers a request: `describe` says how to read its body, by its head, and `answer` has the form of the protocol.
pub(super) async fn accept(
    state: &IngestState,
    input: SeriesInput,
    request: Request,
    describe: impl FnOnce(&Parts) -> Result<SeriesBody, ApiError>,
    answer: impl FnOnce(Result<SeriesAcceptance, ApiError>) -> Response,
) -> Response {
    let started = Instant::now();
    let (head, mut content) = request.into_parts();
    let accepted = match describe(&head) {
        Ok(described) => store(state, input, &head, &mut content, described).await,
        Err(error) => Err(error),
    };
    let kind = Kind::Performance;
    match &accepted {
        Ok(_) => state
            .metrics
            .acknowledged(kind, "durable", started.elapsed()),
        Err(error) => state.metrics.refused(kind, error),
    }
    let repeated = accepted.as_ref().is_ok_and(|accepted| accepted.repeated);
    let mut response = answer(accepted.map_err(ApiError::for_input));
    if repeated {
        let replayed = HeaderValue::from_static("true");
        response
            .headers_mut()
            .insert(IDEMPOTENCY_REPLAYED, replayed);
    }
    state.metrics.answered(kind, response.status());
    state.input_metrics.answered(input, response.status());
    response
}

async fn store(
    state: &IngestState,
    input: SeriesInput,
    head: &Parts,
    content: &mut Body,
    described: SeriesBody,
) -> Result<SeriesAcceptance, ApiError> {
    let mappings = mappings(state, input)?;
    let key = idempotency_key(&head.headers)?;
    let kind = Kind::Performance;
    let body = ReceivedBody::read(state, kind, head, content).await?;
    state.metrics.received(kind, body.bytes.len());
    let queues = &state.permits.of(kind).queues;
    let place = queues.enter(body.sender, body.bytes.len()).await;
    let (limits, claim) = (state.limits, body.claim);
    let bytes = body.bytes;
    let parsed = blocking(move || {
        let mut guard = ParseGuard::start(&limits, claim).in_queue(place);
        let plain = decompress(Cow::Owned(bytes), described.encoding, &limits, &mut guard)?;
        guard.hold_body(plain.len())?;
        let mut writer = SeriesWriter::new(&mappings, &limits, now_ms(), guard);
        described.format.read(&plain, &mut writer)?;
        drop(plain);
        let mut parsed = writer.finish();
        let held = held_bytes(parsed.items.batch.as_arrow());
        parsed.items.claim.resize(ENCODED_COPIES * held)?;
        Ok::<_, IngestError>(parsed)
    });
    let ParsedSeries {
        items,
        rejected_points,
        skipped,
        reports: _,
    } = parsed.await??;
    let ParsedItems {
        batch,
        rejected,
        notes,
        claim,
        complete_for: _,
    } = items;
    let accepted_points = batch.items();
    let mut repeated = false;
    // A request without points, such as one with metadata only, makes no record.
    if batch.rows() > 0 {
        let rows = AnyBatch::from(batch);
        let storage_id = storage_id(&rows);
        let batch = NewBatch {
            storage_id: storage_id.clone(),
            origin: Origin::Ingest,
            complete: false,
            rows,
        };
        let receipt = state.journals.of(kind).accept(batch, key).await?;
        repeated = receipt.repeated;
        state.metrics.accepted(kind, &receipt);
        if !repeated {
            state.metrics.noted(kind, &notes);
            state.times.warn(kind, storage_id.as_deref(), &notes);
            state.input_metrics.accepted(input, accepted_points);
        }
    }
    drop(claim);
    state.metrics.rejected(kind, &rejected);
    state.input_metrics.rejected(input, &rejected);
    state.input_metrics.skipped(input, &skipped);
    Ok(SeriesAcceptance {
        accepted_points,
        rejected_points,
        rejected,
        skipped,
        repeated,
    })
}

/// The mappings of an input.
///
/// # Errors
///
/// The input is off.
pub(super) fn mappings(
    state: &IngestState,
    input: SeriesInput,
) -> Result<Arc<SeriesMappings>, ApiError> {
    let mappings = state.series_inputs.get(&input).map(MappingSet::get);
    mappings.ok_or(ApiError::InputDisabled {
        input: input.as_str(),
    })
}

impl SeriesAcceptance {
    /// What is wrong with the series that were refused; `None` if there are none.
    pub(super) fn refusal(&self) -> Option<String> {
        let first = self.rejected.named().next()?;
        let name = first.name.as_deref().unwrap_or_default();
        let place = match first.line {
            Some(line) => format!("line {line}"),
            None => format!("series {}", first.index),
        };
        let total = self.rejected.total();
        let noun = if total == 1 {
            "series was"
        } else {
            "series were"
        };
        Some(format!(
            "{total} {noun} refused, and {} points are stored; {place} `{name}`: {}",
            self.accepted_points, first.error
        ))
    }
}
