//! The tasks of an open journal, which its thread runs.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::append_queue::AppendQueue;
use super::client::{GroupClient, PartitionClient, PartitionName};
use super::commit_writer::{CommitCommand, CommitWriter, StateOwner};
use super::log_writer::{LogError, LogWriter};
use super::offsets::OffsetMirror;
use super::queries::StateQueries;
use super::reads::{self, JournalReads, ReadJob, delete_from_partition};
use super::shared::OwnerState;
use crate::clock::HostClock;
use crate::journal::JournalLimits;
use crate::postgres::DatabaseFailure;
use crate::write_guard::WriteGuard;

/// Where one journal is.
pub(super) struct JournalPlace {
    pub(super) owner: StateOwner,
    pub(super) name: PartitionName,
    pub(super) cluster: String,
    pub(super) replicas: i16,
    pub(super) guard: &'static WriteGuard,
}

/// The tasks of an open journal.
pub(super) struct JournalTasks {
    log: LogWriter,
    commits: CommitWriter,
    reads: JournalReads,
    trimmed: PartitionClient,
    offsets: OffsetMirror,
    pub(super) shared: Arc<OwnerState>,
}

/// What the thread gets from callers.
pub(super) struct JournalQueues {
    pub(super) appends: AppendQueue,
    pub(super) changes: mpsc::UnboundedReceiver<CommitCommand>,
    pub(super) reads: mpsc::UnboundedReceiver<ReadJob>,
}

/// Why a journal was not opened.
pub(super) struct OpenFailure {
    /// With the remedy.
    pub(super) reason: String,
    /// It may be opened later, with the same configuration.
    pub(super) may_pass: bool,
}

impl JournalTasks {
    /// Takes the journal, and reads its records.
    pub(super) async fn open(
        place: JournalPlace,
        limits: JournalLimits,
        clock: HostClock,
        commands: mpsc::UnboundedSender<CommitCommand>,
    ) -> Result<Self, OpenFailure> {
        let JournalPlace {
            owner,
            name,
            cluster,
            replicas,
            guard,
        } = place;
        let claimed = owner.claim().await;
        let (store, loaded) = claimed.map_err(|error| {
            let DatabaseFailure { reason, may_pass } = owner.database.explain(error);
            OpenFailure { reason, may_pass }
        })?;
        let (term, known_head) = (loaded.term, loaded.head);
        let shared = Arc::new(OwnerState::new(loaded, limits, clock));
        let queries = Arc::new(StateQueries::new(owner.clone()));
        let client = || PartitionClient::new(name.clone());
        let mut log = LogWriter::new(
            Arc::clone(&shared),
            client(),
            commands,
            Arc::clone(&queries),
            guard,
        );
        log.open(term, known_head, replicas).await?;
        let groups = GroupClient::new(client());
        Ok(Self {
            offsets: OffsetMirror::new(&cluster, groups, Arc::clone(&shared), guard),
            log,
            commits: CommitWriter::new(owner, store, Arc::clone(&shared), guard),
            reads: JournalReads::new(Arc::clone(&shared), queries, client()),
            trimmed: client(),
            shared,
        })
    }

    /// Runs until no caller is left, and what they wait for is durable.
    pub(super) async fn run(self, queues: JournalQueues) {
        let reads = tokio::task::spawn_local(reads::serve(self.reads, queues.reads));
        let trimming = tokio::task::spawn_local(delete_from_partition(self.trimmed, self.shared));
        let mirroring = tokio::task::spawn_local(self.offsets.run());
        // The writer of the log has commands for that of the commits, which ends after it.
        tokio::join!(
            self.log.run(queues.appends),
            self.commits.run(queues.changes)
        );
        reads.abort();
        trimming.abort();
        mirroring.abort();
    }
}

impl OpenFailure {
    pub(super) fn lasting(reason: impl std::fmt::Display) -> Self {
        Self {
            reason: reason.to_string(),
            may_pass: false,
        }
    }
}

impl From<LogError> for OpenFailure {
    fn from(error: LogError) -> Self {
        Self {
            may_pass: matches!(&error, LogError::Broker(failure) if failure.may_pass()),
            reason: error.to_string(),
        }
    }
}
