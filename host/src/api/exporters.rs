//! `GET /v1/exporters`: how each exporter fares, and what became of its items.

use std::time::Duration;

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    ApiState, blocking,
    error::{ApiError, ErrorBody},
};
use crate::{
    batch_journal::BatchJournals,
    clock::{from_millis, now_ms, rfc3339},
    delivery::ExporterHandle,
    journal::ReadError,
};

/// The exporters.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Exporters {
    /// In the order of the configuration.
    exporters: Vec<ExporterView>,
    /// Those that are no longer configured, and whose place is kept for a day.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    removed: Vec<RemovedView>,
}

/// An exporter that is no longer configured.
#[derive(Debug, Serialize, ToSchema)]
struct RemovedView {
    /// Its name.
    name: String,
    /// `performance` or `alert`.
    #[schema(example = "performance")]
    kind: &'static str,
    /// Items that would wait for it, if it came back.
    pending: u64,
    /// Since when it is not configured, in RFC 3339.
    removed_at: String,
}

/// How an exporter fares. Counts are of items: points, or alerts.
#[derive(Debug, Serialize, ToSchema)]
struct ExporterView {
    /// Its name in the configuration.
    name: String,
    /// The plugin's name for it.
    plugin: String,
    /// `performance` or `alert`.
    #[schema(example = "performance")]
    kind: &'static str,
    /// `starting`, `running`, `retrying`, `paused`, `stuck`, `failed`, `quarantined` or `stopped`.
    #[schema(example = "running")]
    state: &'static str,
    /// Items that wait for it.
    pending: u64,
    /// Items that its receiver has.
    delivered: u64,
    /// Items that its receiver will never take.
    dead_lettered: u64,
    /// Items that a limit cost.
    dropped: u64,
    /// Items that its filter keeps from it.
    filtered: u64,
    /// How long ago the oldest batch that waits was accepted; 0 if none does.
    lag_seconds: f64,
    /// What went wrong last.
    last_error: Option<String>,
    /// When it last delivered, in RFC 3339.
    last_success: Option<String>,
}

/// Lists the exporters.
#[utoipa::path(
    get,
    path = "/v1/exporters",
    responses(
        (status = 200, body = Exporters, description = "The exporters"),
        (status = 503, body = ErrorBody, description = "The journal cannot be read"),
    ),
)]
pub(super) async fn list_exporters(
    State(api): State<ApiState>,
) -> Result<Json<Exporters>, ApiError> {
    let viewed = blocking(move || {
        let now = now_ms();
        let exporters = api.parts().exporters.list();
        let views = exporters.iter().map(|exporter| view(exporter, now));
        Ok::<_, ReadError>(Exporters {
            exporters: views.collect::<Result<_, _>>()?,
            removed: removed(&api.parts().journals)?,
        })
    });
    Ok(Json(viewed.await??))
}

fn removed(journals: &BatchJournals) -> Result<Vec<RemovedView>, ReadError> {
    let mut removed = Vec::new();
    for journal in [&journals.performance, &journals.alerts] {
        for cursor in journal.backend().cursors()? {
            let Some(since_ms) = cursor.unused_since_ms else {
                continue;
            };
            let counts = journal
                .backend()
                .counts(&cursor.exporter)?
                .unwrap_or_default();
            removed.push(RemovedView {
                name: cursor.exporter,
                kind: journal.kind().as_str(),
                pending: counts.pending.max(0).cast_unsigned(),
                removed_at: rfc3339(since_ms),
            });
        }
    }
    Ok(removed)
}

fn view(exporter: &ExporterHandle, now: i64) -> Result<ExporterView, ReadError> {
    let counts = exporter.counts()?;
    let status = exporter.status.view();
    let pending = counts.pending.max(0).cast_unsigned();
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
        lag_seconds: lag(pending, status.oldest_pending_ms, now).as_secs_f64(),
        last_error: status.last_error,
        last_success: status.last_success_ms.map(rfc3339),
    })
}

/// How far behind an exporter is.
pub(super) fn lag(pending: u64, oldest_pending_ms: Option<i64>, now: i64) -> Duration {
    let waited = oldest_pending_ms
        .filter(|_| pending > 0)
        .map_or(0, |oldest| now - oldest);
    from_millis(waited)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_lags_behind_nothing() {
        assert_eq!(lag(0, Some(1_000), 3_500), Duration::ZERO);
        assert_eq!(lag(1, None, 3_500), Duration::ZERO);
        assert_eq!(lag(1, Some(1_000), 3_500), Duration::from_millis(2_500));
    }

    #[test]
    fn a_clock_set_back_is_no_lag() {
        assert_eq!(lag(1, Some(5_000), 3_500), Duration::ZERO);
    }
}
