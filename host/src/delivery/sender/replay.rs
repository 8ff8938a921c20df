//! Dead letters that are replayed, one request each.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use delfin_plugin_api::Origin;

use crate::{
    batch::{Header, codec},
    journal::{DeadLetterId, Journal, ReadError, StoredDeadLetter},
    plugin::{ExportRequest, RequestPart},
};

/// How often to look for dead letters to replay.
const INTERVAL: Duration = Duration::from_secs(1);

/// Goes through an exporter's dead letters that are being replayed, in rounds.
#[derive(Debug)]
pub(super) struct DeadLetterReplay {
    /// The last one that was committed in this round.
    after: DeadLetterId,
    due: Instant,
}

/// A dead letter on its way to the receiver.
#[derive(Debug)]
pub(in crate::delivery) struct ReplayedDeadLetter {
    pub(in crate::delivery) id: DeadLetterId,
    pub(super) rows: usize,
    /// Continues the attempts from before the rows became a dead letter.
    pub(in crate::delivery) attempt: u64,
}

impl DeadLetterReplay {
    pub(super) fn new() -> Self {
        Self {
            after: DeadLetterId::default(),
            due: Instant::now(),
        }
    }

    pub(super) fn is_due(&self) -> bool {
        self.due <= Instant::now()
    }

    /// Whether this round has sent a dead letter, whose result may be on its way into the journal.
    pub(super) fn has_sent(&self) -> bool {
        self.after > DeadLetterId::default()
    }

    /// The next dead letter of this round.
    ///
    /// # Errors
    ///
    /// The journal cannot be read now.
    pub(super) async fn next(
        &self,
        journal: &Arc<dyn Journal>,
        exporter: &str,
    ) -> Result<Option<StoredDeadLetter>, ReadError> {
        let (journal, exporter, after) = (Arc::clone(journal), exporter.to_owned(), self.after);
        let next = tokio::task::spawn_blocking(move || {
            journal.next_replayed_dead_letter(&exporter, after)
        });
        next.await.unwrap_or_else(|error| {
            Err(ReadError::Unavailable {
                reason: error.to_string(),
            })
        })
    }

    /// The result of a dead letter is committed: the round goes on after it.
    pub(super) fn on_committed(&mut self, id: DeadLetterId) {
        self.after = id;
    }

    /// Ends the round. The next round starts after the interval.
    pub(super) fn end_round(&mut self) {
        self.after = DeadLetterId::default();
        self.due = Instant::now() + INTERVAL;
    }

    /// Sends no dead letter before then.
    pub(super) fn postpone(&mut self, until: Instant) {
        self.due = until;
    }
}

/// The request with the rows of a dead letter.
///
/// # Errors
///
/// The rows do not decode.
pub(super) fn request(stored: &StoredDeadLetter) -> Result<ExportRequest, String> {
    let dead_letter = &stored.dead_letter;
    let arrow = codec::decode(&dead_letter.payload).map_err(|error| error.to_string())?;
    Ok(ExportRequest {
        items: dead_letter.header.items,
        origin: Origin::Replay,
        parts: vec![RequestPart {
            header: Header {
                origin: Origin::Replay,
                ..dead_letter.header.clone()
            },
            first_row: dead_letter.first_row,
            rows: arrow.num_rows() as u64,
        }],
        stored: None,
        arrow,
    })
}
