//! Dead letters: made of rows that are given up, and delivered once more when
//! somebody asks for it.

use std::time::{Duration, Instant};

use delfin_plugin_abi::OutcomeCode;
use delfin_plugin_api::Origin;

use super::window::GivenUp;
use crate::{
    batch::{Header, codec},
    clock::now_ms,
    journal::{DeadLetter, DeadLetterId, Record, StoredDeadLetter},
    plugin::{ExportRequest, RequestPart},
};

/// How often it is looked for letters to be delivered once more.
const LOOK: Duration = Duration::from_secs(1);

/// Where an exporter is with the letters that it delivers once more.
#[derive(Debug)]
pub(super) struct Letters {
    /// The last one that was settled in this round.
    pub(super) after: DeadLetterId,
    /// When to look next.
    pub(super) due: Instant,
    /// Whether there are as many as there may be, so that nothing is sent.
    pub(super) are_full: bool,
}

/// A letter on its way to the receiver.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) id: DeadLetterId,
    pub(super) rows: usize,
    /// Which try of this letter it is, those before it was given up included.
    pub(super) attempt: u64,
}

impl Letters {
    pub(super) fn new() -> Self {
        Self {
            after: DeadLetterId::default(),
            due: Instant::now(),
            are_full: false,
        }
    }

    /// There are no more: another round begins later.
    pub(super) fn rest(&mut self) {
        self.after = DeadLetterId::default();
        self.due = Instant::now() + LOOK;
    }
}

/// The letter of rows that are given up.
///
/// # Errors
///
/// They cannot be encoded.
pub(super) fn of(given_up: &GivenUp, plugin_version: &str) -> Result<DeadLetter, String> {
    let arrow = given_up.part.arrow().map_err(|error| error.to_string())?;
    let payload = codec::encode(&arrow).map_err(|error| error.to_string())?;
    let batch = &given_up.part.record.batch;
    Ok(DeadLetter {
        plugin_version: plugin_version.to_owned(),
        batch_id: batch.header.batch_id,
        seq: batch.seq,
        first_row: given_up.part.rows.start as u64,
        rows: arrow.num_rows() as u64,
        items: given_up.items,
        origin: batch.header.origin,
        storage_id: batch.header.storage_id.clone(),
        accepted_ms: batch.header.accepted_ms,
        code: given_up.code,
        reason: given_up.reason.clone(),
        attempts: u64::from(given_up.tried.attempts),
        first_ms: given_up.tried.first_ms,
        last_ms: now_ms(),
        payload,
    })
}

/// A record that cannot be read as a batch any more: kept as it is, so that it
/// does not stand in the way of what comes after it.
pub(super) fn of_damaged(record: Record, reason: &str, plugin_version: &str) -> DeadLetter {
    let header = record.header;
    let now = now_ms();
    DeadLetter {
        plugin_version: plugin_version.to_owned(),
        batch_id: header.batch_id,
        seq: record.seq,
        first_row: 0,
        rows: record.rows,
        items: header.items,
        origin: header.origin,
        storage_id: header.storage_id,
        accepted_ms: header.accepted_ms,
        code: OutcomeCode::REJECT.0,
        reason: format!("the record cannot be read: {reason}"),
        attempts: 0,
        first_ms: now,
        last_ms: now,
        payload: record.payload,
    }
}

/// What the plugin is handed of a letter.
///
/// # Errors
///
/// It cannot be read as a batch.
pub(super) fn outgoing(stored: &StoredDeadLetter) -> Result<ExportRequest, String> {
    let letter = &stored.dead_letter;
    let arrow = codec::decode(&letter.payload).map_err(|error| error.to_string())?;
    Ok(ExportRequest {
        items: letter.items,
        origin: Origin::Replay,
        parts: vec![RequestPart {
            header: Header {
                batch_id: letter.batch_id,
                origin: Origin::Replay,
                storage_id: letter.storage_id.clone(),
                complete: false,
                accepted_ms: letter.accepted_ms,
                items: letter.items,
            },
            first_row: letter.first_row,
            rows: arrow.num_rows() as u64,
        }],
        arrow,
    })
}
