//! Dead letters, as the API shows them.

use delfin_plugin_abi::{Class, OutcomeCode};
use delfin_plugin_api::Kind;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{content, request::DeadLetterRef};
use crate::clock::rfc3339;
use crate::journal::StoredDeadLetter;

/// A dead letter: rows that a receiver never takes. Times are in RFC 3339.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeadLetterView {
    /// Kind, and number in the journal.
    #[schema(example = "performance-12")]
    id: String,
    /// Name of the exporter whose receiver refused the rows.
    exporter: String,
    /// Version of the exporter's plugin.
    plugin_version: String,
    /// Batch of the rows.
    batch_id: Uuid,
    /// Position of the first row in the batch, from 0.
    first_row: u64,
    /// Number of series or alerts.
    rows: u64,
    /// Number of points or alerts.
    items: u64,
    /// Source of the batch: `collection`, `sync`, `ingest`, `resend` or `replay`.
    #[schema(example = "collection")]
    origin: &'static str,
    /// Storage of the batch; null if the batch is of several storages, or of none.
    storage_id: Option<String>,
    /// When the batch was accepted.
    accepted_at: String,
    /// Outcome of the last attempt.
    #[schema(example = "rejected")]
    outcome: &'static str,
    /// Reason that the plugin gave.
    reason: String,
    /// Number of attempts.
    attempts: u64,
    /// First attempt.
    first_tried_at: String,
    /// Last attempt.
    last_tried_at: String,
    /// Size of the content in bytes.
    bytes: u64,
    /// Start of the current replay; null if the dead letter is not being replayed.
    replayed_at: Option<String>,
}

/// A dead letter with its content.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeadLetterContentView {
    #[serde(flatten)]
    dead_letter: DeadLetterView,
    /// The series or alerts in Delfin's JSON, which `/v1/ingest` accepts; empty if the
    /// content cannot be read.
    #[schema(value_type = Vec<Object>)]
    content: Vec<Value>,
    /// Why the content cannot be read; null if it can.
    content_error: Option<String>,
}

impl DeadLetterView {
    pub(super) fn new(kind: Kind, stored: StoredDeadLetter) -> Self {
        let dead_letter = stored.dead_letter;
        let id = DeadLetterRef {
            kind,
            number: stored.id,
        };
        Self {
            id: id.to_string(),
            exporter: stored.exporter,
            plugin_version: dead_letter.plugin_version,
            batch_id: dead_letter.header.batch_id,
            first_row: dead_letter.first_row,
            rows: dead_letter.rows,
            items: dead_letter.header.items,
            origin: dead_letter.header.origin.as_str(),
            storage_id: dead_letter.header.storage_id,
            accepted_at: rfc3339(dead_letter.header.accepted_ms),
            outcome: outcome(OutcomeCode(dead_letter.code)),
            reason: dead_letter.reason,
            attempts: dead_letter.attempts,
            first_tried_at: rfc3339(dead_letter.first_ms),
            last_tried_at: rfc3339(dead_letter.last_ms),
            bytes: stored.bytes,
            replayed_at: stored.replayed_ms.map(rfc3339),
        }
    }
}

impl DeadLetterContentView {
    pub(super) fn new(kind: Kind, mut stored: StoredDeadLetter) -> Self {
        let payload = std::mem::take(&mut stored.dead_letter.payload);
        let (content, content_error) = match content::decode(kind, &payload) {
            Ok(content) => (content, None),
            Err(reason) => (Vec::new(), Some(reason)),
        };
        Self {
            dead_letter: DeadLetterView::new(kind, stored),
            content,
            content_error,
        }
    }
}

/// The name of an outcome in the exporter developer guide.
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
