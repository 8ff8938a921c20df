//! What the writer thread is asked to do, and how each asker is answered.
//!
//! A command can be carried out again as long as it has not been answered: a
//! group that failed on a full disk is tried once more without its appends.

use tokio::sync::oneshot;

use super::super::cursor::Commit;
use super::super::error::{AppendError, CursorError};
use super::super::record::{NewRecord, Receipt};
use super::append::append;
use super::change::Change;
use super::settle::settle;
use super::work::Work;

/// Something for the writer thread.
pub(super) enum Command {
    Append {
        record: NewRecord,
        key: Option<String>,
        answer: Answer<Receipt, AppendError>,
    },
    Commit {
        exporter: String,
        commit: Commit,
        answer: Answer<(), CursorError>,
    },
    /// Anything else that changes the file.
    Change {
        change: Box<dyn Change>,
        /// Whether it may wait for others, to share their commit.
        can_wait: bool,
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
    pub(super) result: Option<Result<T, E>>,
}

impl<T, E> Answer<T, E> {
    pub(super) fn to(asker: oneshot::Sender<Result<T, E>>) -> Self {
        Self {
            asker,
            result: None,
        }
    }

    pub(super) fn tell(self) {
        if let Some(result) = self.result {
            // Whoever no longer wants to know has dropped the other end.
            let _ = self.asker.send(result);
        }
    }

    pub(super) fn refuse(self, error: E) {
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
            Self::Commit { commit, .. } => commit
                .dead_letters
                .iter()
                .map(|letter| letter.payload.len())
                .sum(),
            Self::Change { .. } | Self::Damaged { .. } | Self::Close => 0,
        }
    }

    /// Whether it adds dead letters to the file.
    pub(super) fn keeps_letters(&self) -> bool {
        matches!(self, Self::Commit { commit, .. } if !commit.dead_letters.is_empty())
    }

    /// Whether it may wait for others, to share their commit.
    pub(super) fn can_wait(&self) -> bool {
        match self {
            Self::Commit { commit, .. } => commit.can_wait(),
            Self::Change { can_wait, .. } => *can_wait,
            Self::Append { .. } | Self::Damaged { .. } | Self::Close => false,
        }
    }

    /// Whether it may be carried out before others that wait.
    pub(super) fn overtakes(&self) -> bool {
        matches!(self, Self::Append { .. })
    }

    /// Carries it out in an open transaction, and keeps the result for [`Self::answer`].
    pub(super) fn carry_out(&mut self, work: &mut Work<'_>) -> rusqlite::Result<()> {
        match self {
            Self::Append {
                record,
                key,
                answer,
            } => answer.result = Some(append(work, record, key.as_deref())?),
            Self::Commit {
                exporter,
                commit,
                answer,
            } => answer.result = Some(settle(work, exporter, commit)?),
            Self::Change { change, .. } => change.carry_out(work)?,
            Self::Damaged { .. } | Self::Close => {}
        }
        Ok(())
    }

    /// Tells the asker the result.
    pub(super) fn answer(self) {
        match self {
            Self::Append { answer, .. } => answer.tell(),
            Self::Commit { answer, .. } => answer.tell(),
            Self::Change { change, .. } => change.answer(),
            Self::Damaged { .. } | Self::Close => {}
        }
    }

    /// Tells the asker that the file could not be written.
    pub(super) fn fail(self, reason: &str) {
        let reason = reason.to_owned();
        match self {
            Self::Append { answer, .. } => answer.refuse(AppendError::Unavailable { reason }),
            Self::Commit { answer, .. } => answer.refuse(CursorError::Unavailable { reason }),
            Self::Change { change, .. } => change.fail(reason),
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
            Self::Commit { .. } | Self::Change { .. } => Some(self),
            Self::Damaged { .. } | Self::Close => None,
        }
    }
}
