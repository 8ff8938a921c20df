//! Commands to the writer thread.
//!
//! A command can run again until its caller has the reply: after an error, the
//! writer runs the rest of a group a second time.

use super::super::commit::Commit;
use super::super::error::{AppendError, CursorError};
use super::super::record::{NewRecord, Receipt};
use super::append::append;
use super::change::Change;
use super::commit::commit;
use super::reply::PendingReply;
use super::transaction::WriteTransaction;
use crate::batch::codec::RecordPayload;

pub(super) enum WriterCommand {
    Append {
        record: NewRecord,
        key: Option<String>,
        reply: PendingReply<Receipt, AppendError>,
    },
    Commit {
        exporter: String,
        commit: Commit,
        reply: PendingReply<(), CursorError>,
    },
    Change {
        change: Box<dyn Change>,
        /// Whether it may be delayed to share a transaction.
        can_wait: bool,
    },
    /// A reader found the file damaged.
    Damaged {
        /// The generation of the file, as the reader pool counts.
        generation: u64,
        error: rusqlite::Error,
    },
    /// Finish the commands before this one, and stop.
    Close,
}

impl WriterCommand {
    /// What the command adds to the size of a transaction.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Append { record, .. } => record.payload.bytes() as usize,
            Self::Commit { commit, .. } => {
                let payloads = commit.dead_letters.iter().map(|dead| dead.payload.len());
                payloads.sum()
            }
            Self::Change { .. } | Self::Damaged { .. } | Self::Close => 0,
        }
    }

    /// Bytes of an append that was encoded by itself.
    pub(super) fn separate_bytes(&self) -> usize {
        match self {
            Self::Append { record, .. } => match &record.payload {
                RecordPayload::Encoded(bytes) => bytes.len(),
                RecordPayload::Rows(_) => 0,
            },
            Self::Commit { .. } | Self::Change { .. } | Self::Damaged { .. } | Self::Close => 0,
        }
    }

    pub(super) fn adds_dead_letters(&self) -> bool {
        matches!(self, Self::Commit { commit, .. } if !commit.dead_letters.is_empty())
    }

    /// Whether the command may be delayed to share a transaction.
    pub(super) fn can_wait(&self) -> bool {
        match self {
            Self::Commit { commit, .. } => commit.can_wait(),
            Self::Change { can_wait, .. } => *can_wait,
            Self::Append { .. } | Self::Damaged { .. } | Self::Close => false,
        }
    }

    /// Whether the command may run before earlier ones that wait. An append touches
    /// no cursor, and no caller expects an order between appends and commits.
    pub(super) fn overtakes(&self) -> bool {
        self.is_append()
    }

    pub(super) fn is_append(&self) -> bool {
        matches!(self, Self::Append { .. })
    }

    /// Runs the command in an open transaction, and keeps the result for [`Self::reply`].
    pub(super) fn run(&mut self, tx: &mut WriteTransaction<'_>) -> rusqlite::Result<()> {
        match self {
            Self::Append { record, key, reply } => {
                reply.result = Some(append(tx, record, key.as_deref())?);
            }
            Self::Commit {
                exporter,
                commit: rows,
                reply,
            } => reply.result = Some(commit(tx, exporter, rows)?),
            Self::Change { change, .. } => change.run(tx)?,
            Self::Damaged { .. } | Self::Close => {}
        }
        Ok(())
    }

    /// The result of an append that succeeded.
    pub(super) fn receipt(&self) -> Option<&Receipt> {
        match self {
            Self::Append { reply, .. } => reply.result.as_ref()?.as_ref().ok(),
            Self::Commit { .. } | Self::Change { .. } | Self::Damaged { .. } | Self::Close => None,
        }
    }

    /// Sends the result to the caller.
    pub(super) fn reply(self) {
        match self {
            Self::Append { reply, .. } => reply.send(),
            Self::Commit { reply, .. } => reply.send(),
            Self::Change { change, .. } => change.reply(),
            Self::Damaged { .. } | Self::Close => {}
        }
    }

    /// Tells the caller that the file cannot be written.
    pub(super) fn fail(self, reason: &str) {
        let reason = reason.to_owned();
        match self {
            Self::Append { reply, .. } => reply.send_error(AppendError::Unavailable { reason }),
            Self::Commit { reply, .. } => reply.send_error(CursorError::Unavailable { reason }),
            Self::Change { change, .. } => change.fail(reason),
            Self::Damaged { .. } | Self::Close => {}
        }
    }

    /// Refuses an append; returns any other command.
    pub(super) fn refuse_append(self, error: &AppendError) -> Option<Self> {
        match self {
            Self::Append { reply, .. } => {
                reply.send_error(error.clone());
                None
            }
            Self::Commit { .. } | Self::Change { .. } => Some(self),
            Self::Damaged { .. } | Self::Close => None,
        }
    }
}

/// Refuses the appends of a group; returns its other commands.
pub(super) fn refuse_appends(commands: Vec<WriterCommand>, reason: String) -> Vec<WriterCommand> {
    let refused = AppendError::Unavailable { reason };
    let refuse = |command: WriterCommand| command.refuse_append(&refused);
    commands.into_iter().filter_map(refuse).collect()
}
