//! `/healthz`: the process works. `/readyz`: it takes batches.
//!
//! An exporter that is not well is named, and makes nothing unready: batches are
//! kept for it, and the others receive theirs.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    ApiState, blocking,
    error::{ApiError, come_back_after},
};
use crate::{
    batch_journal::BatchJournal,
    delivery::{ExporterHandle, State as ExporterState},
    lifecycle::Phase,
};

/// The process works.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// Always `ok`.
    #[schema(example = "ok")]
    status: &'static str,
}

/// Whether the host takes batches.
#[derive(Debug, Serialize, ToSchema)]
struct Readiness {
    /// Whether it does.
    ready: bool,
    /// Why it does not.
    reasons: Vec<String>,
    /// The exporters that are not well, each with its state.
    exporters: Vec<UnwellExporter>,
}

/// An exporter that is not well.
#[derive(Debug, Serialize, ToSchema)]
struct UnwellExporter {
    /// Its name.
    name: String,
    /// `retrying`, `stuck` or `failed`.
    #[schema(example = "retrying")]
    state: &'static str,
}

/// Answers while the process works.
#[utoipa::path(get, path = "/healthz", responses((status = 200, body = Health, description = "It works")))]
pub(super) async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Tells whether the host takes batches.
#[utoipa::path(
    get,
    path = "/readyz",
    responses(
        (status = 200, body = Readiness, description = "It takes batches"),
        (status = 503, body = Readiness, description = "It takes none"),
    ),
)]
pub(super) async fn readyz(State(api): State<ApiState>) -> Result<Response, ApiError> {
    let readiness = blocking(move || readiness(&api)).await?;
    if readiness.ready {
        return Ok(Json(readiness).into_response());
    }
    let come_back = [(RETRY_AFTER, come_back_after())];
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Ok((status, come_back, Json(readiness)).into_response())
}

fn readiness(api: &ApiState) -> Readiness {
    let parts = api.parts();
    let journals = [&parts.journals.performance, &parts.journals.alerts].into_iter();
    let min_free_bytes = parts.journal.min_free_bytes;
    let reasons: Vec<String> = stopping(api.phase())
        .into_iter()
        .chain(journals.filter_map(|journal| fault(journal, min_free_bytes)))
        .collect();
    Readiness {
        ready: reasons.is_empty(),
        reasons,
        exporters: parts.exporters.list().iter().filter_map(unwell).collect(),
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

/// Why a journal takes no batch, whichever. One that its journal has no room for is
/// refused alone: a smaller one may fit, and any may once exporters have caught up.
fn fault(journal: &BatchJournal, min_free_bytes: u64) -> Option<String> {
    let kind = journal.kind();
    match journal.backend().stats() {
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

fn unwell(exporter: &ExporterHandle) -> Option<UnwellExporter> {
    let state = exporter.status.view().state;
    match state {
        ExporterState::Starting | ExporterState::Running | ExporterState::Stopped => None,
        ExporterState::Retrying
        | ExporterState::Paused
        | ExporterState::Stuck
        | ExporterState::Failed
        | ExporterState::Quarantined => Some(UnwellExporter {
            name: exporter.name.clone(),
            state: state.as_str(),
        }),
    }
}
