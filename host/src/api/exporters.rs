//! `GET /v1/exporters`: state and counts of each exporter.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{blocking, error::ApiError, extract::Json, responses::JournalNotReadable};
use crate::{
    batch_journal::BatchJournals, clock::rfc3339, delivery::ExporterHandle, exporters::ExporterSet,
    history::History, journal::ReadError, plugin::Restarts,
};

/// The exporter of a call.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct ExporterPath {
    /// Name of the exporter in the configuration.
    pub(super) name: String,
}

/// The exporters.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ListExportersResponse {
    /// In the order of the configuration.
    exporters: Vec<ExporterView>,
    /// Exporters that were removed from the configuration in the last day, and whose
    /// cursors are kept; absent if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    removed: Vec<RemovedExporterView>,
}

/// An exporter that was removed from the configuration.
#[derive(Debug, Serialize, ToSchema)]
struct RemovedExporterView {
    name: String,
    /// `performance` or `alert`.
    #[schema(example = "performance")]
    kind: &'static str,
    /// Number of items that the exporter would have to deliver if it were added again.
    pending: u64,
    /// Bytes that they keep in the journal.
    pending_bytes: u64,
    /// When it was removed, in RFC 3339.
    #[schema(example = "2026-01-02T03:04:05.678Z")]
    removed_at: String,
}

/// State and counts of an exporter. The counts are of items: points or alerts.
#[derive(Debug, Serialize, ToSchema)]
struct ExporterView {
    /// Name in the configuration.
    name: String,
    /// Name that the plugin gives the exporter.
    plugin: String,
    /// `performance` or `alert`.
    #[schema(example = "performance")]
    kind: &'static str,
    /// `starting`, `running`, `retrying`, `paused`, `stuck`, `failed`, `quarantined` or `stopped`.
    #[schema(example = "running")]
    state: &'static str,
    /// Items that are not delivered yet.
    pending: u64,
    /// Items that the receiver has.
    delivered: u64,
    /// Items that the receiver refuses for good.
    dead_lettered: u64,
    /// Items that a limit dropped.
    dropped: u64,
    /// Items that the filter of the exporter leaves out.
    filtered: u64,
    /// Items that were accepted per second, over the last minute; null in the first seconds.
    accepted_per_second: Option<f64>,
    /// Items that were delivered per second, over the last minute; null in the first seconds.
    delivered_per_second: Option<f64>,
    /// Age of the oldest pending batch in seconds; 0 if none is pending.
    lag_seconds: f64,
    /// The last error; null if there was none. It is past if the state is `running`.
    last_error: Option<String>,
    /// When the last error occurred, in milliseconds since the Unix epoch; null if there was none.
    last_error_ms: Option<i64>,
    /// When an exporter that cannot deliver tries again, in milliseconds since the Unix epoch;
    /// null if it delivers, tries now or waits for a person.
    next_attempt_ms: Option<i64>,
    /// The last delivery, in RFC 3339; null if there was none.
    #[schema(example = "2026-01-02T03:04:05.678Z")]
    last_success: Option<String>,
    /// Where its plugin runs: in a `process` of its own or in a `thread` of the host.
    #[schema(example = "process")]
    isolation: &'static str,
    /// Number of its process; null if it has none.
    pid: Option<i32>,
    /// Resident memory of its process, in bytes; null if it has none.
    resident_bytes: Option<u64>,
    /// CPU time of its process, in seconds; null if it has none.
    cpu_seconds: Option<f64>,
    /// Instances that replaced another one since the start of the host, by how that one ended.
    restarts: Restarts,
}

/// Lists the exporters with their state and counts.
#[utoipa::path(
    get,
    path = "/v1/exporters",
    responses(
        (status = 200, body = ListExportersResponse, description = "The exporters"),
        JournalNotReadable,
    ),
)]
pub(super) async fn list_exporters(
    State(exporters): State<ExporterSet>,
    State(journals): State<BatchJournals>,
    State(history): State<History>,
) -> Result<Json<ListExportersResponse>, ApiError> {
    let response = blocking(move || {
        let exporters = exporters.list();
        let views = exporters.iter().map(|exporter| view(exporter, &history));
        Ok::<_, ReadError>(ListExportersResponse {
            exporters: views.collect::<Result<_, _>>()?,
            removed: removed(&journals)?,
        })
    });
    Ok(Json(response.await??))
}

fn removed(journals: &BatchJournals) -> Result<Vec<RemovedExporterView>, ReadError> {
    let mut removed = Vec::new();
    for journal in [&journals.performance, &journals.alerts] {
        for cursor in journal.backend().cursors()? {
            let Some(since_ms) = cursor.unused_since_ms else {
                continue;
            };
            let backlog = journal.backend().backlog(&cursor.exporter)?;
            let backlog = backlog.unwrap_or_default();
            removed.push(RemovedExporterView {
                name: cursor.exporter,
                kind: journal.kind().as_str(),
                pending: backlog.items,
                pending_bytes: backlog.bytes,
                removed_at: rfc3339(since_ms),
            });
        }
    }
    Ok(removed)
}

fn view(exporter: &ExporterHandle, history: &History) -> Result<ExporterView, ReadError> {
    let counts = exporter.counts()?;
    let status = exporter.status.view();
    let pending = counts.pending.max(0).cast_unsigned();
    let process = exporter.process.usage();
    let rates = history.rates(&exporter.name);
    Ok(ExporterView {
        name: exporter.name.clone(),
        plugin: exporter.plugin.clone(),
        kind: exporter.kind.as_str(),
        state: status.state.as_str(),
        pending,
        delivered: counts.delivered,
        dead_lettered: counts.dead_lettered,
        dropped: counts.dropped(),
        filtered: counts.filtered,
        accepted_per_second: rates.map(|rates| rates.accepted),
        delivered_per_second: rates.map(|rates| rates.delivered),
        lag_seconds: exporter.lag(pending).as_secs_f64(),
        last_error_ms: status.last_error_ms,
        next_attempt_ms: status.next_attempt_ms(),
        last_error: status.last_error,
        last_success: status.last_success_ms.map(rfc3339),
        isolation: exporter.isolation.as_str(),
        pid: process.map(|process| process.pid.cast_signed()),
        resident_bytes: process.map(|process| process.resident_bytes),
        cpu_seconds: process.map(|process| process.cpu_seconds),
        restarts: status.restarts,
    })
}
