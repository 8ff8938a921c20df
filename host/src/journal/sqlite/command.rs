//! What the writer thread is asked to do, and how each asker is answered.
//!
//! A command can be carried out again as long as it has not been answered: a
//! group that failed on a full disk is tried once more without its appends.

use tokio::sync::oneshot;

use super::super::cursor::{Cursor, Settlement, StartFrom};
use super::super::error::{AppendError, CursorError};
use super::super::record::{Receipt, Record};
use super::append::append;
use super::settle::{open_cursor, record_error, settle};
use super::work::Work;

/// Something for the writer thread.
pub(super) enum Command {
    Append {
        record: Record,
        key: Option<String>,
        answer: Answer<Receipt, AppendError>,
    },
    OpenCursor {
        exporter: String,
        start: StartFrom,
        answer: Answer<Cursor, CursorError>,
    },
    Settle {
        exporter: String,
        settlement: Settlement,
        answer: Answer<(), CursorError>,
    },
    RecordError {
        exporter: String,
        message: String,
        answer: Answer<(), CursorError>,
    },
    /// A reader found the file damaged.
    Damaged {
        generation: u64,
        error: rusqlite::Error,
    },
    /// Finish what came before, and end.
    Close,
}

/// The way back to the asker, and what it will be told once the group is durable.
pub(super) struct Answer<T, E> {
    asker: oneshot::Sender<Result<T, E>>,
    result: Option<Result<T, E>>,
}

impl<T, E> Answer<T, E> {
    pub(super) fn to(asker: oneshot::Sender<Result<T, E>>) -> Self {
        Self {
            asker,
            result: None,
        }
    }

    fn tell(self) {
        if let Some(result) = self.result {
            // Whoever no longer wants to know has dropped the other end.
            let _ = self.asker.send(result);
        }
    }

    fn refuse(self, error: E) {
        Self {
            result: Some(Err(error)),
            ..self
        }
        .tell();
    }
}

impl Command {
    /// How much it adds to the size of a commit.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Append { record, .. } => record.payload.len(),
            Self::Settle { settlement, .. } => settlement
                .dead_letters
                .iter()
                .map(|letter| letter.payload.len())
                .sum(),
            Self::OpenCursor { .. }
            | Self::RecordError { .. }
            | Self::Damaged { .. }
            | Self::Close => 0,
        }
    }

    /// Whether it may wait for others, to share their commit.
    pub(super) fn can_wait(&self) -> bool {
        match self {
            Self::Settle { settlement, .. } => settlement.can_wait(),
            Self::RecordError { .. } => true,
            Self::Append { .. } | Self::OpenCursor { .. } | Self::Damaged { .. } | Self::Close => {
                false
            }
        }
    }

    /// Carries it out in an open transaction, and keeps the result for [`Self::answer`].
    pub(super) fn carry_out(&mut self, work: &mut Work<'_>) -> rusqlite::Result<()> {
        match self {
            Self::Append {
                record,
                key,
                answer,
            } => answer.result = Some(append(work, record, key.as_deref())?),
            Self::OpenCursor {
                exporter,
                start,
                answer,
            } => {
                answer.result = Some(Ok(open_cursor(work, exporter, *start)?));
            }
            Self::Settle {
                exporter,
                settlement,
                answer,
            } => answer.result = Some(settle(work, exporter, settlement)?),
            Self::RecordError {
                exporter,
                message,
                answer,
            } => {
                answer.result = Some(record_error(work, exporter, message)?);
            }
            Self::Damaged { .. } | Self::Close => {}
        }
        Ok(())
    }

    /// Tells the asker the result.
    pub(super) fn answer(self) {
        match self {
            Self::Append { answer, .. } => answer.tell(),
            Self::OpenCursor { answer, .. } => answer.tell(),
            Self::Settle { answer, .. } | Self::RecordError { answer, .. } => answer.tell(),
            Self::Damaged { .. } | Self::Close => {}
        }
    }

    /// Tells the asker that the file could not be written.
    pub(super) fn fail(self, reason: &str) {
        let reason = reason.to_owned();
        match self {
            Self::Append { answer, .. } => answer.refuse(AppendError::Unavailable { reason }),
            Self::OpenCursor { answer, .. } => answer.refuse(CursorError::Unavailable { reason }),
            Self::Settle { answer, .. } | Self::RecordError { answer, .. } => {
                answer.refuse(CursorError::Unavailable { reason });
            }
            Self::Damaged { .. } | Self::Close => {}
        }
    }

    /// Refuses an append for want of room on the disk; gives any other command back.
    pub(super) fn refuse_append(self, free_bytes: u64, min_free_bytes: u64) -> Option<Self> {
        match self {
            Self::Append { answer, .. } => {
                answer.refuse(AppendError::NoSpace {
                    free_bytes,
                    min_free_bytes,
                });
                None
            }
            Self::OpenCursor { .. } | Self::Settle { .. } | Self::RecordError { .. } => Some(self),
            Self::Damaged { .. } | Self::Close => None,
        }
    }
}
