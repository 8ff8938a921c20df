//! Writes cursors and dead letters to the database.
//!
//! Every change that has arrived shares a transaction with the others. When one fails, every caller of the group
//! gets the error, and a new term begins with what the database has.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::change::{CallerChange, ChangedState, DeleteReason, JournalChange, has_garbage};
use super::entry::Term;
use super::index::JournalHead;
use super::shared::OwnerState;
use super::store::{LoadedState, StateStore, StoreError};
use crate::journal::reopen;
use crate::postgres::ClusterDatabase;
use crate::write_guard::{LEASE_OVER, WriteGuard};

const MAX_GROUP: usize = 256;
/// How often records are checked for their retention.
const CLEANUP_INTERVAL: Duration = Duration::from_secs(1);
/// The longest time that the database may take for a change.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) enum CommitCommand {
    Change(Box<dyn CallerChange>),
    /// Delete records that no cursor needs.
    Delete {
        reason: DeleteReason,
        done: oneshot::Sender<()>,
    },
    /// Begin a new term of this owner, for its log.
    NextTerm {
        reply: oneshot::Sender<Result<Term, String>>,
    },
}

/// Where the state of a journal is, and whose it is.
#[derive(Clone)]
pub(super) struct StateOwner {
    pub(super) database: ClusterDatabase,
    pub(super) journal: String,
    pub(super) epoch: i64,
}

pub(super) struct CommitWriter {
    owner: StateOwner,
    shared: Arc<OwnerState>,
    guard: &'static WriteGuard,
    link: StoreLink,
    reopen_delay: Duration,
    cleaned_up: Instant,
    /// The newest record, as the database has it.
    noted: Option<JournalHead>,
    /// The configured exporters were set since the journal was opened.
    knows_configured: bool,
}

enum StoreLink {
    Open(StateStore),
    Closed { reason: String, retry_at: Instant },
}

impl StateOwner {
    /// Takes the state for this owner, and reads it.
    pub(super) async fn claim(&self) -> Result<(StateStore, LoadedState), StoreError> {
        let client = self.database.connect().await?;
        StateStore::claim(client, &self.journal, self.epoch).await
    }
}

impl CommitWriter {
    pub(super) fn new(
        owner: StateOwner,
        store: StateStore,
        shared: Arc<OwnerState>,
        guard: &'static WriteGuard,
    ) -> Self {
        Self {
            owner,
            shared,
            guard,
            link: StoreLink::Open(store),
            reopen_delay: Duration::ZERO,
            cleaned_up: Instant::now(),
            noted: None,
            knows_configured: false,
        }
    }

    /// Makes changes until no caller is left.
    pub(super) async fn run(mut self, mut commands: mpsc::UnboundedReceiver<CommitCommand>) {
        loop {
            match timeout(CLEANUP_INTERVAL, commands.recv()).await {
                Err(_) => self.idle().await,
                Ok(None) => return,
                Ok(Some(command)) => {
                    let mut next = Some(command);
                    while let Some(command) = next {
                        next = self.handle(command, &mut commands).await;
                    }
                }
            }
        }
    }

    /// Carries a command out, a change with those that have arrived. Returns the command after these.
    async fn handle(
        &mut self,
        command: CommitCommand,
        commands: &mut mpsc::UnboundedReceiver<CommitCommand>,
    ) -> Option<CommitCommand> {
        match command {
            CommitCommand::Change(first) => {
                let (changes, next) = group(first, commands);
                self.serve(changes).await;
                return next;
            }
            CommitCommand::Delete { reason, done } => {
                self.delete(reason).await;
                // The writer of the log may have ended.
                let _ = done.send(());
            }
            CommitCommand::NextTerm { reply } => {
                let term = self.next_term().await;
                let _ = reply.send(term);
            }
        }
        None
    }

    /// While no change arrives, deletes what is due, and notes the newest record, so that the database tells what is pending.
    async fn idle(&mut self) {
        let head = JournalHead::of(&self.shared.contents().index);
        if self.noted == Some(head) {
            self.delete(DeleteReason::Age).await;
        } else {
            self.cleaned_up = Instant::now();
            // A failure is logged, and tried again.
            let _ = self.transact(&mut [], Some(DeleteReason::Age)).await;
        }
    }

    async fn delete(&mut self, reason: DeleteReason) {
        self.cleaned_up = Instant::now();
        if has_garbage(&self.shared, reason) {
            // A failure is logged, and tried again.
            let _ = self.transact(&mut [], Some(reason)).await;
        }
    }

    async fn serve(&mut self, mut changes: Vec<Box<dyn CallerChange>>) {
        let due =
            self.shared.limits.retention.is_zero() || self.cleaned_up.elapsed() >= CLEANUP_INTERVAL;
        if due {
            self.cleaned_up = Instant::now();
        }
        let cleanup = due.then_some(DeleteReason::Age);
        match self.transact(&mut changes, cleanup).await {
            Ok(()) => changes.into_iter().for_each(CallerChange::reply),
            Err(reason) => {
                for change in changes {
                    change.fail(reason.clone());
                }
            }
        }
    }

    /// Makes changes, and deletes what a reason allows to delete.
    async fn transact(
        &mut self,
        changes: &mut [Box<dyn CallerChange>],
        cleanup: Option<DeleteReason>,
    ) -> Result<(), String> {
        if !self.guard.is_open() {
            return Err(LEASE_OVER.to_owned());
        }
        let started = Instant::now();
        let (shared, guard) = (Arc::clone(&self.shared), self.guard);
        let knows_configured = self.knows_configured;
        let store = self.store().await?;
        let head = JournalHead::of(&shared.contents().index);
        let work = StateWork {
            shared: &shared,
            guard,
            head,
            removes_orphans: cleanup.is_some() && knows_configured,
            cleanup,
        };
        let ended = timeout(CHANGE_TIMEOUT, work.run(store, changes)).await;
        let result = self.owner.database.result(ended);
        self.shared.update_activity(|stats| {
            stats.transactions += 1;
            stats.transaction_time += started.elapsed();
            stats.failed_transactions += u64::from(result.is_err());
        });
        let (changed, configured) = result.inspect_err(|reason| self.close(reason.clone()))?;
        self.knows_configured |= configured;
        self.noted = Some(head);
        changed.apply(&self.shared);
        Ok(())
    }

    async fn next_term(&mut self) -> Result<Term, String> {
        let store = self.store().await?;
        let ended = timeout(CHANGE_TIMEOUT, store.next_term()).await;
        let next = self.owner.database.result(ended);
        next.inspect_err(|reason| self.close(reason.clone()))
    }

    /// The connection. After a failure, the outcome of the last change is unknown, so that a new one reads the state
    /// again.
    async fn store(&mut self) -> Result<&mut StateStore, String> {
        if let StoreLink::Closed { reason, retry_at } = &self.link {
            if Instant::now() < *retry_at {
                return Err(reason.clone());
            }
            let claimed = timeout(CHANGE_TIMEOUT, self.owner.claim()).await;
            match self.owner.database.result(claimed) {
                Ok((store, loaded)) => {
                    log::info!(database = self.owner.database.name(); "state of the journal can be written again");
                    self.shared.reload(loaded);
                    self.reopen_delay = Duration::ZERO;
                    self.link = StoreLink::Open(store);
                }
                Err(reason) => self.close(reason),
            }
        }
        match &mut self.link {
            StoreLink::Open(store) => Ok(store),
            StoreLink::Closed { reason, .. } => Err(reason.clone()),
        }
    }

    fn close(&mut self, reason: String) {
        if matches!(self.link, StoreLink::Open(_)) {
            log::error!(database = self.owner.database.name(); "state of the journal cannot be written, trying again: {reason}");
        }
        self.link = StoreLink::Closed {
            reason,
            retry_at: Instant::now() + self.reopen_delay,
        };
        self.reopen_delay = reopen::longer(self.reopen_delay);
    }
}

/// What one transaction does.
struct StateWork<'a> {
    shared: &'a OwnerState,
    guard: &'static WriteGuard,
    head: JournalHead,
    removes_orphans: bool,
    cleanup: Option<DeleteReason>,
}

impl StateWork<'_> {
    async fn run(
        &self,
        store: &mut StateStore,
        changes: &mut [Box<dyn CallerChange>],
    ) -> Result<(ChangedState, bool), StoreError> {
        let mut change = JournalChange::new(store.begin(self.head).await?, self.shared);
        for caller in changes {
            caller.run(&mut change).await?;
        }
        if self.removes_orphans {
            change.remove_orphans().await?;
        }
        let configured = change.configured;
        let (tx, changed) = change.finish(self.cleanup).await?;
        if !self.guard.is_open() {
            return Err(StoreError::Late);
        }
        tx.commit().await?;
        Ok((changed, configured))
    }
}

/// The changes that have arrived, and the first other command.
fn group(
    first: Box<dyn CallerChange>,
    commands: &mut mpsc::UnboundedReceiver<CommitCommand>,
) -> (Vec<Box<dyn CallerChange>>, Option<CommitCommand>) {
    let mut group = vec![first];
    while group.len() < MAX_GROUP {
        match commands.try_recv() {
            Ok(CommitCommand::Change(change)) => group.push(change),
            Ok(other) => return (group, Some(other)),
            Err(_) => break,
        }
    }
    (group, None)
}
