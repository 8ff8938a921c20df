//! A journal in a partition of a topic of Apache Kafka, with its state in PostgreSQL.
//!
//! The partition has the records. The database has everything else: cursors, counts, dead letters and idempotency keys.
//! The owner is the member that has the lease of the epoch with which the journal is opened. It keeps an index of the
//! records and the cursors in memory, which it builds when it opens the journal, and writes each change through.
//!
//! Promises: an append is acknowledged once every replica in sync has its record, and the record counts although the
//! owner changes; a former owner changes nothing, even if its writes arrive late. Sequence numbers are those of the host,
//! written with each record, so that they have no gaps although the offsets of Kafka do.
//!
//! A thread of its own runs everything, so that callers can wait for reads without a runtime.

mod append;
mod append_queue;
mod change;
mod client;
mod commit_writer;
mod cursors;
mod entry;
mod index;
mod log_writer;
mod offsets;
mod queries;
mod reads;
mod shared;
mod store;
mod tasks;

#[cfg(test)]
mod tests;

use std::future::ready;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc as blocking};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::ClientConfig;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::LocalSet;
use uuid::Uuid;

use super::{
    AppendError, AppendObserver, Backlog, BatchInfo, BatchState, Commit, Cursor, CursorError,
    DeadLetterCount, DeadLetterFilter, DeadLetterId, DeadLetterLimits, DeadLetterStore, Durable,
    ItemCounts, Journal, JournalLimits, JournalStats, NewRecord, OpenError, ReadError, ReadLimit,
    Receipt, Record, StartFrom, StoredDeadLetter, WINDOW_TTL, record::CollectedWindow,
};
use crate::batch::Seq;
use crate::clock::HostClock;
use crate::postgres::ClusterDatabase;
use crate::write_guard::WriteGuard;

use append::PendingAppend;
use append_queue::AppendQueue;
use change::{JournalChange, change};
use client::{PartitionClient, PartitionName};
use commit_writer::{CommitCommand, StateOwner};
use reads::{JournalReads, ReadJob};
use shared::OwnerState;
use store::{StateReader, StoreError};
use tasks::{JournalPlace, JournalQueues, JournalTasks, OpenFailure};

pub use client::{SaslLogin, SaslMechanism};
pub(crate) use store::{CursorSummary, summarize_cursors};

/// The topics of a cluster.
#[derive(Clone)]
pub struct KafkaTopics {
    /// `host:port` of some of the brokers.
    pub bootstrap_servers: Vec<String>,
    /// `None`: connections to the brokers without TLS.
    pub tls: Option<Arc<ClientConfig>>,
    /// `None`: without a login.
    pub sasl: Option<SaslLogin>,
    /// Of topics that the host creates.
    pub replicas: i16,
    /// The name of the cluster: the journals of different clusters have nothing in common.
    pub cluster: String,
}

/// Where the journals of a cluster are, and who opens them.
#[derive(Clone)]
pub struct KafkaJournals {
    pub topics: KafkaTopics,
    pub database: ClusterDatabase,
    /// The epoch of the lease that makes this process the owner.
    pub epoch: i64,
}

/// One journal: one partition, and one thread.
pub(super) struct KafkaJournal {
    topic: String,
    shared: Arc<OwnerState>,
    /// `None` once the journal is closed.
    callers: Mutex<Option<JournalCallers>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// The ways to the thread. It ends when they are closed.
#[derive(Clone)]
struct JournalCallers {
    appends: mpsc::UnboundedSender<PendingAppend>,
    changes: mpsc::UnboundedSender<CommitCommand>,
    reads: mpsc::UnboundedSender<ReadJob>,
}

impl KafkaTopics {
    /// Checks that these journals can be in their topics. Changes nothing.
    ///
    /// # Errors
    ///
    /// The first mistake, with its remedy.
    pub(super) async fn check(&self, journals: &[&str]) -> Result<(), String> {
        for journal in journals {
            let mut client = PartitionClient::new(self.partition(journal));
            let checked = client.check_topic(self.replicas).await;
            checked.map_err(|failure| failure.to_string())?;
        }
        Ok(())
    }

    fn partition(&self, journal: &str) -> PartitionName {
        PartitionName {
            brokers: self.bootstrap_servers.clone(),
            tls: self.tls.clone(),
            sasl: self.sasl.clone(),
            topic: format!("{}.{journal}", self.cluster),
            partition: 0,
        }
    }
}

impl KafkaJournal {
    /// Takes the journal for the epoch of this process, and reads its records.
    pub(super) fn open(
        journals: &KafkaJournals,
        journal: &str,
        guard: &'static WriteGuard,
        limits: JournalLimits,
        clock: &HostClock,
    ) -> Result<Self, OpenError> {
        let name = journals.topics.partition(journal);
        let topic = name.topic.clone();
        let place = JournalPlace {
            owner: StateOwner {
                journal: topic.clone(),
                database: journals.database.clone(),
                epoch: journals.epoch,
            },
            name,
            cluster: journals.topics.cluster.clone(),
            replicas: journals.topics.replicas,
            guard,
        };
        let failed = |failure: OpenFailure| OpenError::Remote {
            journal: topic.clone(),
            reason: failure.reason,
            may_pass: failure.may_pass,
        };
        let (opened, opening) = blocking::sync_channel(1);
        let (callers, queues) = JournalCallers::new();
        let clock = clock.clone();
        let commands = callers.changes.clone();
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => return drop(opened.send(Err(OpenFailure::lasting(error)))),
            };
            LocalSet::new().block_on(&runtime, async {
                match JournalTasks::open(place, limits, clock, commands).await {
                    Ok(tasks) => {
                        let shared = Arc::clone(&tasks.shared);
                        if opened.send(Ok(shared)).is_ok() {
                            tasks.run(queues).await;
                        }
                    }
                    // The caller that opened the journal waits for this.
                    Err(failure) => drop(opened.send(Err(failure))),
                }
            });
        };
        let thread = thread::Builder::new()
            .name(format!("journal-{topic}"))
            .spawn(run)
            .map_err(|error| failed(OpenFailure::lasting(error)))?;
        let ended = || Err(OpenFailure::lasting("its thread ended"));
        let shared = opening.recv().unwrap_or_else(|_| ended());
        Ok(Self {
            shared: shared.map_err(failed)?,
            topic: topic.clone(),
            callers: Mutex::new(Some(callers)),
            thread: Mutex::new(Some(thread)),
        })
    }

    fn callers(&self) -> Option<JournalCallers> {
        self.callers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn change<T, F>(&self, run: F) -> Durable<T, CursorError>
    where
        T: Send + 'static,
        F: AsyncFnMut(&mut JournalChange<'_>) -> Result<Result<T, CursorError>, StoreError>
            + Send
            + 'static,
    {
        let Some(callers) = self.callers() else {
            return Box::pin(ready(Err(CursorError::Closed)));
        };
        let (caller, reply) = oneshot::channel();
        // Once the thread has ended, the change is dropped, and with it the sender of the reply.
        let _ = callers
            .changes
            .send(CommitCommand::Change(change(caller, run)));
        Box::pin(async move { reply.await.unwrap_or(Err(CursorError::Closed)) })
    }

    /// Has the thread read something, and waits for it.
    fn read_with<T: Send + 'static>(
        &self,
        read: impl AsyncFnOnce(&JournalReads) -> Result<T, String> + Send + 'static,
    ) -> Result<T, ReadError> {
        let (result, reply) = blocking::sync_channel(1);
        let job: ReadJob = Box::new(move |reads| {
            Box::pin(async move {
                // The caller waits for this.
                let _ = result.send(read(&reads).await);
            })
        });
        if let Some(callers) = self.callers() {
            let _ = callers.reads.send(job);
        }
        let closed = || Err("the journal is closed".to_owned());
        let read = reply.recv().unwrap_or_else(|_| closed());
        read.map_err(|reason| ReadError::Unavailable { reason })
    }

    /// Has the thread ask the database, and waits for it.
    fn query<T: Send + 'static>(
        &self,
        query: impl AsyncFnOnce(&StateReader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, ReadError> {
        self.read_with(async move |reads| reads.queries.run(query).await)
    }
}

impl JournalCallers {
    fn new() -> (Self, JournalQueues) {
        let (append_sender, appends) = mpsc::unbounded_channel();
        let (change_sender, changes) = mpsc::unbounded_channel();
        let (read_sender, reads) = mpsc::unbounded_channel();
        let callers = Self {
            appends: append_sender,
            changes: change_sender,
            reads: read_sender,
        };
        let queues = JournalQueues {
            appends: AppendQueue::new(appends),
            changes,
            reads,
        };
        (callers, queues)
    }
}

impl Journal for KafkaJournal {
    fn append(
        &self,
        record: NewRecord,
        idempotency_key: Option<String>,
    ) -> Durable<Receipt, AppendError> {
        let Some(callers) = self.callers() else {
            return Box::pin(ready(Err(AppendError::Closed)));
        };
        let (caller, reply) = oneshot::channel();
        if let Some(append) = PendingAppend::new(record, idempotency_key, caller) {
            // Once the thread has ended, the append is dropped, and with it the sender of the reply.
            let _ = callers.appends.send(append);
        }
        Box::pin(async move { reply.await.unwrap_or(Err(AppendError::Closed)) })
    }

    fn open_cursor(&self, exporter: &str, start: StartFrom) -> Durable<Cursor, CursorError> {
        let exporter = exporter.to_owned();
        self.change(async move |change| Ok(Ok(change.open_cursor(&exporter, start))))
    }

    fn commit(&self, exporter: &str, commit: Commit) -> Durable<(), CursorError> {
        let exporter = exporter.to_owned();
        self.change(async move |change| change.commit(&exporter, &commit).await)
    }

    fn drop_before(&self, exporter: &str, end: Seq, limit: &str) -> Durable<u64, CursorError> {
        let (exporter, limit) = (exporter.to_owned(), limit.to_owned());
        self.change(async move |change| change.drop_before(&exporter, end, &limit).await)
    }

    fn replay(&self, exporter: &str, since_ms: i64) -> Durable<u64, CursorError> {
        let exporter = exporter.to_owned();
        self.change(async move |change| Ok(change.replay(&exporter, since_ms)))
    }

    fn set_configured(&self, exporters: Vec<String>) -> Durable<(), CursorError> {
        self.change(async move |change| {
            change.set_configured(&exporters);
            Ok(Ok(()))
        })
    }

    fn remove_cursor(&self, exporter: &str) -> Durable<bool, CursorError> {
        let exporter = exporter.to_owned();
        self.change(async move |change| change.remove_cursor(&exporter).await.map(Ok))
    }

    fn rename_cursor(&self, exporter: &str, to: &str) -> Durable<bool, CursorError> {
        let (exporter, to) = (exporter.to_owned(), to.to_owned());
        self.change(async move |change| change.rename_cursor(&exporter, &to).await.map(Ok))
    }

    fn record_error(&self, exporter: &str, message: &str) -> Durable<(), CursorError> {
        let (exporter, message) = (exporter.to_owned(), message.to_owned());
        self.change(async move |change| Ok(change.record_error(&exporter, &message)))
    }

    fn answer(&self) -> Durable<(), CursorError> {
        self.change(async |_| Ok(Ok(())))
    }

    fn read_many(&self, from: Seq, limit: ReadLimit) -> Result<Vec<Record>, ReadError> {
        // Exporters that keep up are at the end most of the time.
        if from > *self.shared.head.borrow() {
            return Ok(Vec::new());
        }
        self.read_with(async move |reads| reads.records(|index| index.locate(from, limit)).await)
    }

    fn read_back(
        &self,
        range: RangeInclusive<Seq>,
        storage_id: &str,
    ) -> Result<Option<Record>, ReadError> {
        let storage_id = storage_id.to_owned();
        let read = self.read_with(async move |reads| {
            reads
                .records(|index| index.newest_of(&range, &storage_id))
                .await
        });
        Ok(read?.pop())
    }

    fn counts(&self, exporter: &str) -> Result<Option<ItemCounts>, ReadError> {
        let contents = self.shared.contents();
        let state = contents.cursors.get(exporter);
        Ok(state.map(|state| state.counts(&contents.index)))
    }

    fn backlog(&self, exporter: &str) -> Result<Option<Backlog>, ReadError> {
        let contents = self.shared.contents();
        let state = contents.cursors.get(exporter);
        Ok(state.map(|state| state.backlog(&contents.index)))
    }

    fn seq_after_bytes(&self, bytes: u64) -> Result<Seq, ReadError> {
        Ok(self.shared.contents().index.seq_after_bytes(bytes))
    }

    fn seq_within(&self, age: Duration) -> Result<Seq, ReadError> {
        let is_within = |accepted_ms| self.shared.clock.age(accepted_ms) <= age;
        Ok(self.shared.contents().index.first_accepted(is_within))
    }

    fn cursors(&self) -> Result<Vec<Cursor>, ReadError> {
        let contents = self.shared.contents();
        let cursors = contents.cursors.of_exporters();
        Ok(cursors.map(|state| state.cursor.clone()).collect())
    }

    fn collected_until(&self, storage_id: &str) -> Result<Option<i64>, ReadError> {
        let contents = self.shared.contents();
        let last = contents.windows.get(storage_id);
        let is_remembered =
            |last: &&CollectedWindow| self.shared.clock.age(last.accepted_ms) < WINDOW_TTL;
        Ok(last.filter(is_remembered).map(|last| last.until_ms))
    }

    fn batch(&self, batch_id: Uuid) -> Result<Option<BatchInfo>, ReadError> {
        if self.shared.contents().index.find(batch_id).is_none() {
            return Ok(None);
        }
        let dead = self.query(async move |reader| reader.dead_items_of(batch_id).await)?;
        let contents = self.shared.contents();
        let index = &contents.index;
        let Some(seq) = index.find(batch_id) else {
            return Ok(None);
        };
        let (Some(shape), Some(accepted_ms)) = (index.shape(seq), index.accepted_ms(seq)) else {
            return Ok(None);
        };
        let states = contents.cursors.of_exporters();
        let states =
            states.filter(|state| state.start_seq <= seq && state.cursor.unused_since_ms.is_none());
        let exporters = states.map(|state| {
            let exporter = &state.cursor.exporter;
            let dead = dead.iter().find(|(name, _)| name == exporter);
            BatchState {
                exporter: exporter.clone(),
                committed: state.has_committed(&shape),
                dead_lettered: dead.map_or(0, |(_, items)| *items),
            }
        });
        Ok(Some(BatchInfo {
            seq,
            rows: shape.rows,
            items: shape.items,
            accepted_ms,
            exporters: exporters.collect(),
        }))
    }

    fn stats(&self) -> Result<JournalStats, ReadError> {
        let activity = self.shared.activity();
        Ok(JournalStats {
            max_bytes: self.shared.limits.max_bytes,
            ..self.shared.contents().stats(activity)
        })
    }

    fn verify(&self) -> Result<(), ReadError> {
        self.read_with(async |reads| reads.verify().await)
    }

    fn clock(&self) -> &HostClock {
        &self.shared.clock
    }

    fn head(&self) -> watch::Receiver<Seq> {
        self.shared.head.subscribe()
    }

    fn commits(&self) -> watch::Receiver<u64> {
        self.shared.commits.subscribe()
    }

    fn observe(&self, observer: Weak<dyn AppendObserver>) {
        self.shared.observer.set(observer);
    }

    fn close(&self) {
        let callers = &self.callers;
        drop(
            callers
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            log::error!(topic = self.topic; "the thread of the journal panicked");
        }
    }
}

impl DeadLetterStore for KafkaJournal {
    fn dead_letters(&self, which: &DeadLetterFilter) -> Result<Vec<StoredDeadLetter>, ReadError> {
        let which = which.clone();
        self.query(async move |reader| reader.dead_letters(&which).await)
    }

    fn count_dead_letters(&self, which: &DeadLetterFilter) -> Result<u64, ReadError> {
        let which = which.clone();
        self.query(async move |reader| reader.count_dead_letters(&which).await)
    }

    fn dead_letter(&self, id: DeadLetterId) -> Result<Option<StoredDeadLetter>, ReadError> {
        self.query(async move |reader| reader.dead_letter(id).await)
    }

    fn replay_dead_letters(
        &self,
        which: &DeadLetterFilter,
    ) -> Durable<DeadLetterCount, CursorError> {
        let which = which.clone();
        self.change(async move |change| change.replay_dead_letters(&which).await.map(Ok))
    }

    fn purge_dead_letters(
        &self,
        which: &DeadLetterFilter,
    ) -> Durable<DeadLetterCount, CursorError> {
        let which = which.clone();
        self.change(async move |change| change.purge_dead_letters(&which).await.map(Ok))
    }

    fn trim_dead_letters(
        &self,
        exporter: &str,
        limits: &DeadLetterLimits,
    ) -> Durable<DeadLetterCount, CursorError> {
        let (exporter, limits) = (exporter.to_owned(), *limits);
        self.change(async move |change| change.trim_dead_letters(&exporter, &limits).await.map(Ok))
    }

    fn next_replayed_dead_letter(
        &self,
        exporter: &str,
        after: DeadLetterId,
    ) -> Result<Option<StoredDeadLetter>, ReadError> {
        let exporter = exporter.to_owned();
        self.query(async move |reader| reader.next_in_replay(&exporter, after).await)
    }

    fn dead_letter_totals(&self, exporter: &str) -> Result<DeadLetterCount, ReadError> {
        let exporter = exporter.to_owned();
        self.query(async move |reader| reader.dead_letter_totals(&exporter).await)
    }
}

impl Drop for KafkaJournal {
    fn drop(&mut self) {
        self.close();
    }
}
