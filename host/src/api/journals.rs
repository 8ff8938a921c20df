//! `GET /v1/journals`: how full the journals are.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::{blocking, error::ApiError, extract::Json, responses::JournalNotReadable};
use crate::{
    batch_journal::{BatchJournal, BatchJournals},
    history::History,
    journal::ReadError,
};

/// The journals.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JournalsResponse {
    journals: Vec<JournalView>,
}

/// A journal.
#[derive(Debug, Serialize, ToSchema)]
struct JournalView {
    /// `performance` or `alert`.
    #[schema(example = "performance")]
    kind: &'static str,
    /// Number of records.
    records: u64,
    /// Size of the records.
    bytes: u64,
    /// Size of the records that some exporter has not committed. The others give way when room
    /// is needed.
    needed_bytes: u64,
    /// Maximum size of the records.
    max_bytes: u64,
    /// Size of the file.
    file_bytes: u64,
    /// Free space on the disk; null if the system does not report it.
    free_disk_bytes: Option<u64>,
    /// Age of the oldest record in seconds; null without records.
    oldest_record_seconds: Option<f64>,
    /// Seconds until `needed_bytes` reaches `max_bytes` at the rate of the last minutes; null
    /// if it does not grow.
    full_in_seconds: Option<f64>,
    /// Why no batch is accepted; null if batches are accepted.
    fault: Option<String>,
}

/// Shows how full the journals are.
#[utoipa::path(
    get,
    path = "/v1/journals",
    responses(
        (status = 200, body = JournalsResponse, description = "The journals"),
        JournalNotReadable,
    ),
)]
pub(super) async fn show_journals(
    State(journals): State<BatchJournals>,
    State(history): State<History>,
) -> Result<Json<JournalsResponse>, ApiError> {
    let views = blocking(move || {
        let journals = [&journals.performance, &journals.alerts];
        let views = journals.into_iter().map(|journal| view(journal, &history));
        views.collect::<Result<_, ReadError>>()
    });
    Ok(Json(JournalsResponse {
        journals: views.await??,
    }))
}

fn view(journal: &BatchJournal, history: &History) -> Result<JournalView, ReadError> {
    let stats = journal.backend().stats()?;
    let age = |accepted_ms| journal.clock().age(accepted_ms).as_secs_f64();
    let full_in = history.time_to(journal.kind(), stats.max_bytes);
    Ok(JournalView {
        kind: journal.kind().as_str(),
        records: stats.records,
        bytes: stats.bytes,
        needed_bytes: stats.needed_bytes,
        max_bytes: stats.max_bytes,
        file_bytes: stats.file_bytes,
        free_disk_bytes: stats.free_disk_bytes,
        oldest_record_seconds: stats.oldest_accepted_ms.map(age),
        full_in_seconds: full_in.map(|duration| duration.as_secs_f64()),
        fault: stats.fault,
    })
}
