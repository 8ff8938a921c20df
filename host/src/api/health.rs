//! `/healthz`: the process works. `/readyz`: the host accepts batches, and knows its storages.
//!
//! An exporter that is not well is named, and does not make the host unready: its
//! batches are kept, and the other exporters get theirs.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::{IntoResponses, ToSchema};

use super::{
    blocking,
    error::{ApiError, retry_after},
    extract::Json,
    state::{HostPhase, MinFreeBytes},
};
use crate::{
    batch_journal::{BatchJournal, BatchJournals},
    delivery::{ExporterHandle, State as ExporterState},
    exporters::ExporterSet,
    journal::JournalStats,
    lifecycle::Phase,
    storages::Storages,
};

/// The process works.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HealthResponse {
    /// Always `ok`.
    #[schema(example = "ok")]
    status: &'static str,
}

/// Whether the host accepts batches and knows its storages.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReadinessResponse {
    ready: bool,
    /// Why the host is not ready; empty if it is ready.
    reasons: Vec<String>,
    /// The exporters that are not well. They do not make the host unready.
    exporters: Vec<UnwellExporterView>,
}

impl ReadinessResponse {
    /// For a host that has no exporters yet.
    pub(super) fn not_ready(reasons: Vec<String>) -> Self {
        Self {
            ready: false,
            reasons,
            exporters: Vec::new(),
        }
    }
}

/// An exporter that is not well.
#[derive(Debug, Serialize, ToSchema)]
struct UnwellExporterView {
    name: String,
    /// `retrying`, `paused`, `stuck`, `failed` or `quarantined`.
    #[schema(example = "retrying")]
    state: &'static str,
}

/// Answers of `/readyz`.
#[derive(IntoResponses)]
pub(super) enum ReadyzResponse {
    /// The host accepts batches. A single batch may still be refused, if the journal has no room for it
    #[response(status = 200)]
    Ready(ReadinessResponse),

    /// The host is not ready: it is standby, it is stopping, the registered storages are unknown, a journal cannot be read or written or its file was removed, or the disk of a journal has less free than `journal.min_free_bytes`
    #[response(status = 503, headers(("Retry-After" = u64, description = "Seconds after which to try again")))]
    NotReady(ReadinessResponse),
}

/// Answers as long as the process works.
#[utoipa::path(
    get,
    path = "/healthz",
    security(()),
    responses((status = 200, body = HealthResponse, description = "The process works")),
)]
pub(super) async fn healthz() -> Json<HealthResponse> {
    Json(HealthResponse { status: "ok" })
}

/// Tells whether the host accepts batches, and which exporters are not well.
#[utoipa::path(get, path = "/readyz", security(()), responses(ReadyzResponse))]
pub(super) async fn readyz(
    State(journals): State<BatchJournals>,
    State(exporters): State<ExporterSet>,
    State(phase): State<HostPhase>,
    State(min_free_bytes): State<MinFreeBytes>,
    State(storages): State<Arc<Storages>>,
) -> Result<ReadyzResponse, ApiError> {
    blocking(move || {
        let faults = [&journals.performance, &journals.alerts].into_iter();
        let faults = faults.filter_map(|journal| fault(journal, min_free_bytes));
        let unknown = storages
            .fault()
            .map(|fault| format!("the registered storages are unknown, because {fault}"));
        let stopping = stopping(phase.get()).into_iter();
        let reasons: Vec<String> = stopping.chain(unknown).chain(faults).collect();
        let response = ReadinessResponse {
            ready: reasons.is_empty(),
            reasons,
            exporters: exporters.list().iter().filter_map(unwell).collect(),
        };
        if response.ready {
            ReadyzResponse::Ready(response)
        } else {
            ReadyzResponse::NotReady(response)
        }
    })
    .await
}

impl IntoResponse for ReadyzResponse {
    fn into_response(self) -> Response {
        match self {
            Self::Ready(response) => Json(response).into_response(),
            Self::NotReady(response) => {
                let headers = [(RETRY_AFTER, retry_after())];
                let status = StatusCode::SERVICE_UNAVAILABLE;
                (status, headers, Json(response)).into_response()
            }
        }
    }
}

fn stopping(phase: Phase) -> Option<String> {
    match phase {
        Phase::Running => None,
        Phase::Draining | Phase::Stopping | Phase::Aborting => {
            Some("the host is stopping".to_owned())
        }
    }
}

/// Why a journal accepts no batch at all. A full journal is no fault: a smaller batch
/// may fit, and any batch may once the exporters have caught up.
fn fault(journal: &BatchJournal, MinFreeBytes(min_free_bytes): MinFreeBytes) -> Option<String> {
    let kind = journal.kind();
    match journal.backend().stats() {
        Ok(JournalStats {
            fault: Some(fault), ..
        }) => Some(format!("the {kind} journal accepts no batch: {fault}")),
        Ok(stats) if stats.free_disk_bytes? < min_free_bytes => Some(format!(
            "the disk of the {kind} journal has less free than `journal.min_free_bytes`"
        )),
        Ok(_) => None,
        Err(error) => {
            log::warn!(journal:% = kind; "the host is not ready: {error}");
            Some(format!("the {kind} journal cannot be read"))
        }
    }
}

fn unwell(exporter: &ExporterHandle) -> Option<UnwellExporterView> {
    let state = exporter.status.view().state;
    match state {
        ExporterState::Starting | ExporterState::Running | ExporterState::Stopped => None,
        ExporterState::Retrying
        | ExporterState::Paused
        | ExporterState::Stuck
        | ExporterState::Failed
        | ExporterState::Quarantined => Some(UnwellExporterView {
            name: exporter.name.clone(),
            state: state.as_str(),
        }),
    }
}
