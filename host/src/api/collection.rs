//! `GET /v1/collection`: how the collection from each storage is doing.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::{blocking, error::ApiError, extract::Json, responses::RegisteredStoragesUnknown};
use crate::{
    batch_journal::BatchJournals,
    clock::now_ms,
    collect::{CollectState, CollectStats},
    exporters::Reloader,
    plugin::{DriverProcessView, Restarts},
    storages::{StorageError, StorageView, Storages},
};

/// The collection from all storages.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CollectionResponse {
    /// By the time at which they were registered.
    storages: Vec<StorageCollectionView>,
}

/// The collection from one storage. Counts start with the host.
#[derive(Debug, Serialize, ToSchema)]
struct StorageCollectionView {
    id: String,
    name: String,
    vendor: String,
    model: String,
    /// Whether the configuration declares it. Others were registered over the API.
    declared: bool,
    /// `normal`, `offline` or `unknown`.
    #[schema(example = "normal")]
    status: &'static str,
    /// `waiting`, `calling`, `failed` or `stopped`.
    #[schema(example = "waiting")]
    state: &'static str,
    /// When the last call succeeded, in milliseconds since the Unix epoch; null if none did.
    last_success_ms: Option<i64>,
    /// Seconds since the end of the last collected window of performance; null if none was
    /// collected, if the driver measures the present only, or if the journal cannot be read.
    window_age_seconds: Option<f64>,
    /// Duration of the last call in seconds; null if none has returned.
    last_duration_seconds: Option<f64>,
    /// Why the last call failed; null if it succeeded.
    last_error: Option<String>,
    /// Calls that succeeded.
    succeeded: u64,
    /// Calls that failed.
    failed: u64,
    /// Intervals that ended during an earlier call.
    skipped: u64,
    /// Collected points.
    points: u64,
    /// Collected alerts.
    alerts: u64,
    /// Number of the process of its driver; null if it has none.
    pid: Option<i32>,
    /// Resident memory of the process of its driver, in bytes; null if it has none.
    resident_bytes: Option<u64>,
    /// CPU time of the process of its driver, in seconds; null if it has none.
    cpu_seconds: Option<f64>,
    /// Processes of its driver that were replaced, by how they ended.
    restarts: Restarts,
}

/// Lists the storages with the state of their collection.
#[utoipa::path(
    get,
    path = "/v1/collection",
    responses(
        (status = 200, body = CollectionResponse, description = "The collection from each storage"),
        RegisteredStoragesUnknown,
    ),
)]
pub(super) async fn show_collection(
    State(storages): State<Arc<Storages>>,
    State(reloader): State<Reloader>,
    State(journals): State<BatchJournals>,
) -> Result<Json<CollectionResponse>, ApiError> {
    let listed = blocking(move || {
        let stats = storages.monitor().stats();
        let journal = journals.performance.backend();
        let processes = reloader.drivers().processes();
        let processes = processes.views(|id| stats.contains_key(id));
        let view = |storage: StorageView| {
            let id = storage.id.to_string();
            let stats = stats.get(&id).cloned().unwrap_or_default();
            // The state of the journal is shown elsewhere.
            let until_ms = journal.collected_until(&id).unwrap_or_default();
            let declared = storages.is_declared(&id);
            let mut view = StorageCollectionView::new(storage, declared, stats, until_ms);
            if let Some(process) = processes.get(&id) {
                view.set_process(process);
            }
            view
        };
        let views = storages.list()?.into_iter().map(view);
        Ok::<_, StorageError>(views.collect())
    });
    Ok(Json(CollectionResponse {
        storages: listed.await??,
    }))
}

impl StorageCollectionView {
    fn new(
        storage: StorageView,
        declared: bool,
        stats: CollectStats,
        until_ms: Option<i64>,
    ) -> Self {
        let age_seconds = |until_ms: i64| (now_ms() - until_ms).max(0) as f64 / 1000.0;
        Self {
            id: storage.id.to_string(),
            name: storage.info.name,
            vendor: storage.info.vendor,
            model: storage.info.model,
            declared,
            status: storage.status.as_str(),
            state: match stats.state {
                CollectState::Waiting => "waiting",
                CollectState::Calling { .. } => "calling",
                CollectState::Failed => "failed",
                CollectState::Stopped => "stopped",
            },
            last_success_ms: stats.last_success_ms,
            window_age_seconds: until_ms.map(age_seconds),
            last_duration_seconds: stats.last_duration.map(|duration| duration.as_secs_f64()),
            last_error: stats.last_error,
            succeeded: stats.succeeded,
            failed: stats.failed,
            skipped: stats.skipped,
            points: stats.points,
            alerts: stats.alerts,
            pid: None,
            resident_bytes: None,
            cpu_seconds: None,
            restarts: Restarts::default(),
        }
    }

    fn set_process(&mut self, process: &DriverProcessView) {
        self.pid = process.usage.map(|usage| usage.pid.cast_signed());
        self.resident_bytes = process.usage.map(|usage| usage.resident_bytes);
        self.cpu_seconds = process.usage.map(|usage| usage.cpu_seconds);
        self.restarts = process.restarts;
    }
}
