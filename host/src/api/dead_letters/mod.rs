//! `/v1/dead-letters`: list, show, replay and purge dead letters.
//!
//! A replay or a purge has to select dead letters, or say `all`: an empty
//! selection is refused.

mod content;
mod request;
mod view;

use std::sync::Arc;

use axum::extract::State;
use delfin_plugin_api::Kind;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use self::{
    request::{DeadLetterRef, DeadLetterSelection, ListDeadLettersQuery, SelectDeadLettersRequest},
    view::{DeadLetterContentView, DeadLetterView},
};
use super::{
    blocking,
    error::{ApiError, ErrorBody},
    extract::{Json, Path, Query},
    responses::{InvalidBody, InvalidQuery, JournalNotReadable, JournalNotWritable},
    state::ApiState,
};
use crate::{
    batch_journal::BatchJournals,
    journal::{DeadLetterCount, DeadLetterFilter, Journal, ReadError},
};

const KINDS: [Kind; 2] = [Kind::Performance, Kind::Alert];

/// The dead letter of a call.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
struct DeadLetterPath {
    /// Id of the dead letter.
    #[param(example = "performance-12")]
    id: String,
}

/// Dead letters.
#[derive(Debug, Serialize, ToSchema)]
struct ListDeadLettersResponse {
    /// Performance first, then alerts; the oldest first in each.
    dead_letters: Vec<DeadLetterView>,
    /// Number of dead letters that the query matches; at most `limit` of them are listed.
    total: u64,
}

/// How much was replayed or purged, or would be.
#[derive(Debug, Default, Serialize, ToSchema)]
struct SelectDeadLettersResponse {
    /// Number of dead letters.
    letters: u64,
    /// Number of points or alerts in them.
    items: u64,
    /// Size of their content in bytes.
    bytes: u64,
    /// Whether this was a dry run, which changes nothing.
    dry_run: bool,
}

#[derive(Clone, Copy, Debug)]
enum Action {
    Replay,
    Purge,
}

pub(super) fn routed(router: OpenApiRouter<ApiState>) -> OpenApiRouter<ApiState> {
    router
        .routes(routes!(list_dead_letters))
        .routes(routes!(show_dead_letter))
        .routes(routes!(replay_dead_letters))
        .routes(routes!(purge_dead_letters))
}

/// Lists dead letters, without their content.
#[utoipa::path(
    get,
    path = "/v1/dead-letters",
    params(ListDeadLettersQuery),
    responses(
        (status = 200, body = ListDeadLettersResponse, description = "The dead letters"),
        InvalidQuery,
        JournalNotReadable,
    ),
)]
async fn list_dead_letters(
    State(journals): State<BatchJournals>,
    Query(query): Query<ListDeadLettersQuery>,
) -> Result<Json<ListDeadLettersResponse>, ApiError> {
    let selection = query.into_selection();
    let listed = blocking(move || list(&journals, &selection)).await??;
    Ok(Json(listed))
}

/// Shows a dead letter with its content.
#[utoipa::path(
    get,
    path = "/v1/dead-letters/{id}",
    params(DeadLetterPath),
    responses(
        (status = 200, body = DeadLetterContentView, description = "The dead letter"),
        (status = 404, body = ErrorBody, description = "No dead letter has this id, or it was delivered or purged"),
        JournalNotReadable,
    ),
)]
async fn show_dead_letter(
    State(journals): State<BatchJournals>,
    Path(DeadLetterPath { id }): Path<DeadLetterPath>,
) -> Result<Json<DeadLetterContentView>, ApiError> {
    let not_found = || ApiError::DeadLetterNotFound { id: id.clone() };
    let DeadLetterRef { kind, number } = DeadLetterRef::parse(&id).ok_or_else(not_found)?;
    let found = blocking(move || {
        let stored = journals.of(kind).backend().dead_letter(number)?;
        Ok::<_, ReadError>(stored.map(|stored| DeadLetterContentView::new(kind, stored)))
    });
    found.await??.map(Json).ok_or_else(not_found)
}

/// Delivers dead letters again. Dead letters that are being replayed are left out.
#[utoipa::path(
    post,
    path = "/v1/dead-letters/replay",
    request_body(content = SelectDeadLettersRequest, content_type = "application/json"),
    responses(
        (status = 200, body = SelectDeadLettersResponse, description = "The dead letters wait for their exporters"),
        InvalidBody,
        JournalNotWritable,
    ),
)]
async fn replay_dead_letters(
    State(journals): State<BatchJournals>,
    Json(request): Json<SelectDeadLettersRequest>,
) -> Result<Json<SelectDeadLettersResponse>, ApiError> {
    act(&journals, request, Action::Replay).await
}

/// Deletes dead letters. Dead letters that are being replayed are left out.
#[utoipa::path(
    post,
    path = "/v1/dead-letters/purge",
    request_body(content = SelectDeadLettersRequest, content_type = "application/json"),
    responses(
        (status = 200, body = SelectDeadLettersResponse, description = "The dead letters are deleted"),
        InvalidBody,
        JournalNotWritable,
    ),
)]
async fn purge_dead_letters(
    State(journals): State<BatchJournals>,
    Json(request): Json<SelectDeadLettersRequest>,
) -> Result<Json<SelectDeadLettersResponse>, ApiError> {
    act(&journals, request, Action::Purge).await
}

async fn act(
    journals: &BatchJournals,
    request: SelectDeadLettersRequest,
    action: Action,
) -> Result<Json<SelectDeadLettersResponse>, ApiError> {
    let dry_run = request.dry_run;
    let selection = request.into_selection()?;
    let mut response = SelectDeadLettersResponse {
        dry_run,
        ..SelectDeadLettersResponse::default()
    };
    for kind in KINDS {
        let limit = selection.limit.map(|limit| limit - response.letters);
        let Some(filter) = selection.filter(kind, limit) else {
            continue;
        };
        let journal = Arc::clone(journals.of(kind).backend());
        let count = if dry_run {
            blocking(move || count(&*journal, filter)).await??
        } else {
            match action {
                Action::Replay => journal.replay_dead_letters(&filter).await?,
                Action::Purge => journal.purge_dead_letters(&filter).await?,
            }
        };
        response.add(count);
    }
    if !dry_run && response.letters > 0 {
        let SelectDeadLettersResponse { letters, items, .. } = response;
        match action {
            Action::Replay => log::info!(letters, items; "dead letters are replayed"),
            Action::Purge => log::warn!(letters, items; "dead letters were purged"),
        }
    }
    Ok(Json(response))
}

fn list(
    journals: &BatchJournals,
    selection: &DeadLetterSelection,
) -> Result<ListDeadLettersResponse, ReadError> {
    let (mut dead_letters, mut total) = (Vec::new(), 0);
    for kind in KINDS {
        let limit = selection
            .limit
            .map(|limit| limit - dead_letters.len() as u64);
        if let Some(filter) = selection.filter(kind, limit) {
            let journal = journals.of(kind).backend();
            let stored = journal.dead_letters(&filter)?;
            let listed = stored.len() as u64;
            total += match limit {
                Some(limit) if listed >= limit => journal.count_dead_letters(&filter)?.max(listed),
                Some(_) | None => listed,
            };
            let views = stored.into_iter();
            dead_letters.extend(views.map(|stored| DeadLetterView::new(kind, stored)));
        }
    }
    Ok(ListDeadLettersResponse {
        dead_letters,
        total,
    })
}

/// How much a replay or a purge would take.
fn count(journal: &dyn Journal, filter: DeadLetterFilter) -> Result<DeadLetterCount, ReadError> {
    // The limit counts only dead letters that are not being replayed, so the journal
    // must not apply it.
    let limit = filter.limit.unwrap_or(u64::MAX);
    let unlimited = DeadLetterFilter {
        limit: None,
        ..filter
    };
    let mut count = DeadLetterCount::default();
    for stored in journal.dead_letters(&unlimited)? {
        if stored.replayed_ms.is_none() && count.dead_letters < limit {
            count.dead_letters += 1;
            count.items += stored.dead_letter.header.items;
            count.bytes += stored.bytes;
        }
    }
    Ok(count)
}

impl SelectDeadLettersResponse {
    fn add(&mut self, count: DeadLetterCount) {
        self.letters += count.dead_letters;
        self.items += count.items;
        self.bytes += count.bytes;
    }
}
