//! How dead letters are shown.

use delfin_plugin_abi::{Class, OutcomeCode};
use delfin_plugin_api::Kind;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{content, request::LetterName};
use crate::clock::rfc3339;
use crate::journal::StoredDeadLetter;

/// A dead letter. Times are in RFC 3339.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeadLetterView {
    /// Its journal, and its number there.
    #[schema(example = "performance-12")]
    id: String,
    /// Whose receiver did not take it.
    exporter: String,
    /// The version of the plugin that gave up on it.
    plugin_version: String,
    /// The batch that it is from.
    batch_id: Uuid,
    /// The first of its rows, counted in that batch.
    first_row: u64,
    /// How many rows it has.
    rows: u64,
    /// How many points or alerts.
    items: u64,
    /// Where the batch came from.
    #[schema(example = "collection")]
    origin: &'static str,
    /// The storage that the batch is about.
    storage_id: Option<String>,
    /// When the batch was accepted.
    accepted_at: String,
    /// What it was given up with.
    #[schema(example = "rejected")]
    outcome: &'static str,
    /// Why, in words.
    reason: String,
    /// How often it was tried.
    attempts: u64,
    /// When it was first tried.
    first_tried_at: String,
    /// When it was last tried.
    last_tried_at: String,
    /// How many bytes it takes.
    bytes: u64,
    /// Since when it is being replayed.
    replayed_at: Option<String>,
}

/// A dead letter, and what is in it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeadLetterWithItems {
    #[serde(flatten)]
    letter: DeadLetterView,
    /// Its series or alerts, in Delfin's JSON.
    #[schema(value_type = Vec<Object>)]
    content: Vec<Value>,
    /// Why there is no content, where it cannot be read.
    content_error: Option<String>,
}

impl DeadLetterView {
    pub(super) fn new(kind: Kind, stored: StoredDeadLetter) -> Self {
        let letter = stored.dead_letter;
        let id = LetterName {
            kind,
            id: stored.id,
        };
        Self {
            id: id.to_string(),
            exporter: stored.exporter,
            plugin_version: letter.plugin_version,
            batch_id: letter.batch_id,
            first_row: letter.first_row,
            rows: letter.rows,
            items: letter.items,
            origin: letter.origin.as_str(),
            storage_id: letter.storage_id,
            accepted_at: rfc3339(letter.accepted_ms),
            outcome: outcome(OutcomeCode(letter.code)),
            reason: letter.reason,
            attempts: letter.attempts,
            first_tried_at: rfc3339(letter.first_ms),
            last_tried_at: rfc3339(letter.last_ms),
            bytes: stored.bytes,
            replayed_at: stored.replayed_ms.map(rfc3339),
        }
    }
}

impl DeadLetterWithItems {
    pub(super) fn new(kind: Kind, mut stored: StoredDeadLetter) -> Self {
        let payload = std::mem::take(&mut stored.dead_letter.payload);
        let (content, content_error) = match content::decode(kind, &payload) {
            Ok(content) => (content, None),
            Err(reason) => (Vec::new(), Some(reason)),
        };
        Self {
            letter: DeadLetterView::new(kind, stored),
            content,
            content_error,
        }
    }
}

/// An outcome by its name in the handbook.
fn outcome(code: OutcomeCode) -> &'static str {
    match (code.class(), code) {
        (Some(Class::Delivered), _) => "delivered",
        (Some(Class::Partial), _) => "partial",
        (Some(Class::Retry), OutcomeCode::RETRY_THROTTLED) => "throttled",
        (Some(Class::Retry), _) => "retry",
        (Some(Class::Split), _) => "too_large",
        (Some(Class::Reject), _) => "rejected",
        (Some(Class::Pause), OutcomeCode::PAUSE_UNAUTHORIZED) => "unauthorized",
        (Some(Class::Pause), _) => "misconfigured",
        (Some(Class::Restart), OutcomeCode::RESTART_PANICKED) => "panicked",
        (Some(Class::Restart), _) => "fatal",
        (Some(Class::Uncertain), _) => "uncertain",
        (None, _) => "unknown",
    }
}
