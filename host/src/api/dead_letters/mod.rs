//! `/v1/dead-letters`: what receivers will never take, to be seen, replayed or
//! purged.
//!
//! A letter goes by one text, its journal and its number there. What a purge or a
//! replay is to take is said: nothing said is refused, and `all` must be asked for.

mod content;
mod request;
mod view;

use axum::{
    Json,
    extract::{Path, Query, Request, State, rejection::QueryRejection},
};
use delfin_plugin_api::Kind;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use self::{
    request::{Asked, LetterName},
    view::{DeadLetterView, DeadLetterWithItems},
};
use super::{
    ApiState, blocking,
    error::{ApiError, ErrorBody},
};
use crate::{
    batch_journal::BatchJournals,
    clock::now_ms,
    journal::{DeadLetterCount, ReadError},
};

const KINDS: [Kind; 2] = [Kind::Performance, Kind::Alert];

/// Dead letters.
#[derive(Debug, Serialize, ToSchema)]
struct DeadLetters {
    /// Each journal's in the order in which they were given up.
    dead_letters: Vec<DeadLetterView>,
}

/// What was done, or would be.
#[derive(Debug, Default, Serialize, ToSchema)]
struct Taken {
    /// How many letters.
    letters: u64,
    /// How many points or alerts are in them.
    items: u64,
    /// How many bytes they take.
    bytes: u64,
    /// Whether nothing was done.
    dry_run: bool,
}

/// What is to be done with letters.
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

/// Lists dead letters, the oldest first.
#[utoipa::path(
    get,
    path = "/v1/dead-letters",
    params(
        ("exporter" = Option<String>, Query, description = "Only those of that exporter"),
        ("since" = Option<String>, Query, description = "Only those given up since then: how long ago, as in `2h`, or a time in RFC 3339"),
        ("reason" = Option<String>, Query, description = "Only those with this in their reason"),
        ("limit" = Option<u64>, Query, description = "How many at most; 100 if left out, and 100000 at the most"),
    ),
    responses(
        (status = 200, body = DeadLetters, description = "The dead letters"),
        (status = 400, body = ErrorBody, description = "A parameter is not as it must be"),
        (status = 503, body = ErrorBody, description = "The journal cannot be read"),
    ),
)]
async fn list_dead_letters(
    State(api): State<ApiState>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Json<DeadLetters>, ApiError> {
    let Query(query) = query.map_err(|_| ApiError::invalid("the query cannot be read"))?;
    let asked = Asked::of_query(query, now_ms())?;
    let found = blocking(move || list(&api.parts().journals, &asked)).await?;
    Ok(Json(DeadLetters {
        dead_letters: found?,
    }))
}

/// Shows a dead letter with what is in it.
#[utoipa::path(
    get,
    path = "/v1/dead-letters/{id}",
    params(("id" = String, Path, description = "Its id", example = "performance-12")),
    responses(
        (status = 200, body = DeadLetterWithItems, description = "The dead letter"),
        (status = 404, body = ErrorBody, description = "There is none"),
        (status = 503, body = ErrorBody, description = "The journal cannot be read"),
    ),
)]
async fn show_dead_letter(
    State(api): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Json<DeadLetterWithItems>, ApiError> {
    let not_found = || ApiError::DeadLetterNotFound { id: id.clone() };
    let name = LetterName::read(&id).ok_or_else(not_found)?;
    let found = blocking(move || {
        let journal = api.parts().journals.of(name.kind).backend();
        let letter = journal.dead_letter(name.id)?;
        Ok::<_, ReadError>(letter.map(|letter| DeadLetterWithItems::new(name.kind, letter)))
    });
    found.await??.map(Json).ok_or_else(not_found)
}

/// Delivers dead letters once more.
///
/// Those that are on their way already are not among them.
#[utoipa::path(
    post,
    path = "/v1/dead-letters/replay",
    request_body(content_type = "application/json", content = Asked, description = "Which; or `all`"),
    responses(
        (status = 200, body = Taken, description = "They wait for their exporters"),
        (status = 400, body = ErrorBody, description = "It does not say which, or not as it must"),
        (status = 503, body = ErrorBody, description = "The journal cannot be written"),
    ),
)]
async fn replay_dead_letters(
    State(api): State<ApiState>,
    request: Request,
) -> Result<Json<Taken>, ApiError> {
    take(api, request, Action::Replay).await
}

/// Forgets dead letters for good.
///
/// Those that are on their way to their exporter stay.
#[utoipa::path(
    post,
    path = "/v1/dead-letters/purge",
    request_body(content_type = "application/json", content = Asked, description = "Which; or `all`"),
    responses(
        (status = 200, body = Taken, description = "They are gone"),
        (status = 400, body = ErrorBody, description = "It does not say which, or not as it must"),
        (status = 503, body = ErrorBody, description = "The journal cannot be written"),
    ),
)]
async fn purge_dead_letters(
    State(api): State<ApiState>,
    request: Request,
) -> Result<Json<Taken>, ApiError> {
    take(api, request, Action::Purge).await
}

async fn take(api: ApiState, request: Request, action: Action) -> Result<Json<Taken>, ApiError> {
    let asked = Asked::of_request(&api, request).await?;
    let mut taken = Taken {
        dry_run: asked.dry_run,
        ..Taken::default()
    };
    for kind in KINDS {
        let left = asked.limit.map(|limit| limit - taken.letters);
        let Some(which) = asked.filter(kind, left, now_ms())? else {
            continue;
        };
        let journal = api.parts().journals.of(kind).backend();
        let count = if asked.dry_run {
            let journal = std::sync::Arc::clone(journal);
            blocking(move || request::count(&*journal, which)).await??
        } else {
            match action {
                Action::Replay => journal.replay_dead_letters(&which).await?,
                Action::Purge => journal.purge_dead_letters(&which).await?,
            }
        };
        taken.add(count);
    }
    if !taken.dry_run && taken.letters > 0 {
        let (letters, items) = (taken.letters, taken.items);
        match action {
            Action::Replay => log::info!(letters, items; "dead letters are replayed"),
            Action::Purge => log::warn!(letters, items; "dead letters were purged"),
        }
    }
    Ok(Json(taken))
}

fn list(journals: &BatchJournals, asked: &Asked) -> Result<Vec<DeadLetterView>, ApiError> {
    let mut views = Vec::new();
    for kind in KINDS {
        let left = asked.limit.map(|limit| limit - views.len() as u64);
        if let Some(which) = asked.filter(kind, left, now_ms())? {
            let letters = journals.of(kind).backend().dead_letters(&which)?;
            views.extend(
                letters
                    .into_iter()
                    .map(|letter| DeadLetterView::new(kind, letter)),
            );
        }
    }
    Ok(views)
}

impl Taken {
    fn add(&mut self, count: DeadLetterCount) {
        self.letters += count.dead_letters;
        self.items += count.items;
        self.bytes += count.bytes;
    }
}
