//! The journal: a durable log of batches, written once for all exporters.
//!
//! A journal is a sequence of numbered records, and each exporter has a cursor in
//! one journal. `append` completes when the batch is durable. A cursor advances only
//! by a commit, which gives a disposition to every item that it passes. A record is
//! deleted only after every cursor has passed it. At every moment, each accepted
//! item of an exporter is exactly one of delivered, dead-lettered, dropped, filtered
//! or pending.
//!
//! Knows nothing of plugins, Arrow or the network. [`Journal`] does not show the
//! types of SQLite, so that another store can implement it.

mod commit;
mod commit_check;
mod commit_queue;
#[cfg(test)]
mod conformance;
mod counts;
mod cursor;
mod dead_letters;
mod error;
mod kafka;
mod lock;
mod observer;
mod record;
mod reopen;
mod sqlite;
mod state_dir;

use std::ops::RangeInclusive;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use delfin_plugin_api::Kind;
use tokio::sync::watch;
use uuid::Uuid;

use crate::batch::Seq;
use crate::clock::{ClockKeeper, DatabaseHistory, HistoryFile, HistoryStore, HostClock};
use crate::platform::sync_folder;
use crate::postgres::FencedDatabase;
use crate::write_guard::WRITE_GUARD;

pub use commit::Commit;
pub use commit_queue::CommitQueue;
pub use counts::{Backlog, DroppedItems, ItemCounts};
pub use cursor::{Cursor, Position, RowSpan, StartFrom};
pub use dead_letters::{
    DeadLetter, DeadLetterCommit, DeadLetterCount, DeadLetterDisposition, DeadLetterFilter,
    DeadLetterId, DeadLetterLimits, DeadLetterStore, StoredDeadLetter,
};
pub use error::{AppendError, CursorError, OpenError, ReadError};
pub(crate) use kafka::{CursorSummary, summarize_cursors};
pub use kafka::{KafkaJournals, KafkaTopics, SaslLogin, SaslMechanism};
pub use lock::StateLock;
pub use observer::AppendObserver;
pub use record::{BatchInfo, BatchState, NewRecord, ReadLimit, Receipt, Record};
pub(crate) use sqlite::{JOURNAL, JournalCheck};

/// The result of a change, available once the change is durable.
///
/// The change is in progress when the call returns, and dropping the future does not
/// cancel it. Changes of one caller are made in the order of the calls, except that an
/// append may be made before earlier commits.
pub type Durable<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

/// How long an idempotency key is remembered.
const KEY_TTL: Duration = Duration::from_hours(24);

/// How long the last window of a storage is remembered while the host runs and does not collect from it: longer than any
/// time that is collected afterwards, so that only storages that are gone are forgotten.
const WINDOW_TTL: Duration = Duration::from_hours(30 * 24);

/// Names of the journals: `alerts.db` is the file of the first.
const ALERTS: &str = "alerts";
const PERFORMANCE: &str = "performance";

/// One journal.
///
/// A cursor whose name begins with `:` belongs to the host, not to an exporter. It
/// holds records like any other cursor. Lists of exporters do not include it, and a
/// journal with no other cursor keeps records for the first exporter to come.
///
/// Reads block while the disk is read, and hold nothing after they return.
pub trait Journal: DeadLetterStore {
    /// Appends a batch. If the journal has the batch id or the key already, or if the last window of
    /// the storage has the same end, the result is the receipt of the first append.
    fn append(
        &self,
        record: NewRecord,
        idempotency_key: Option<String>,
    ) -> Durable<Receipt, AppendError>;

    /// Opens the cursor of an exporter, and creates a missing one.
    ///
    /// Records that no cursor needs are deleted soon. Open the cursors that start at
    /// the earliest record before the others.
    fn open_cursor(&self, exporter: &str, start: StartFrom) -> Durable<Cursor, CursorError>;

    /// Advances a cursor: position, counts and dead letters change together or not
    /// at all.
    ///
    /// The journal may delay the commit to share a transaction with others. Continue
    /// to deliver meanwhile.
    fn commit(&self, exporter: &str, commit: Commit) -> Durable<(), CursorError>;

    /// Advances a cursor to a record, and drops the items without a disposition
    /// before it because of a limit. The result is the number of dropped items.
    fn drop_before(&self, exporter: &str, end: Seq, limit: &str) -> Durable<u64, CursorError>;

    /// Moves a cursor back to the first record that was accepted at or after a time.
    /// The result is the number of items that become pending again. Rows that were
    /// committed ahead of the cursor stay committed.
    fn replay(&self, exporter: &str, since_ms: i64) -> Durable<u64, CursorError>;

    /// Sets the configured exporters. Cursors of other exporters become unused, and
    /// are removed after [`JournalLimits::orphan_ttl`]. Before the first call, no
    /// cursor is removed.
    fn set_configured(&self, exporters: Vec<String>) -> Durable<(), CursorError>;

    /// Removes a cursor with its counts and dead letters. False: no such cursor.
    fn remove_cursor(&self, exporter: &str) -> Durable<bool, CursorError>;

    /// Gives a cursor another name, with its counts and dead letters. A cursor that has the
    /// name is removed. False: no such cursor.
    fn rename_cursor(&self, exporter: &str, to: &str) -> Durable<bool, CursorError>;

    /// Stores the last error of an exporter.
    fn record_error(&self, exporter: &str, message: &str) -> Durable<(), CursorError>;

    /// Completes when the journal has answered, with or without success: it works.
    fn answer(&self) -> Durable<(), CursorError>;

    /// The records at or after a sequence number, up to a limit, or one that is larger.
    fn read_many(&self, from: Seq, limit: ReadLimit) -> Result<Vec<Record>, ReadError>;

    /// The first record at or after a sequence number.
    fn read(&self, from: Seq) -> Result<Option<Record>, ReadError> {
        let one = ReadLimit {
            records: 1,
            bytes: 1,
        };
        Ok(self.read_many(from, one)?.pop())
    }

    /// The newest record in a range that is of a storage, or of more than one storage.
    fn read_back(
        &self,
        range: RangeInclusive<Seq>,
        storage_id: &str,
    ) -> Result<Option<Record>, ReadError>;

    /// The counts of an exporter; `None` without a cursor.
    fn counts(&self, exporter: &str) -> Result<Option<ItemCounts>, ReadError>;

    /// The backlog of an exporter; `None` without a cursor. Cheap enough to ask for
    /// every second.
    fn backlog(&self, exporter: &str) -> Result<Option<Backlog>, ReadError>;

    /// The first record with at least `bytes` bytes of records before it: when every
    /// cursor is there, that many bytes can be deleted.
    fn seq_after_bytes(&self, bytes: u64) -> Result<Seq, ReadError>;

    /// The first record that is at most so old, or the next record to come.
    fn seq_within(&self, age: Duration) -> Result<Seq, ReadError>;

    /// The cursors of exporters by name, including those of exporters that are no
    /// longer configured.
    fn cursors(&self) -> Result<Vec<Cursor>, ReadError>;

    /// Until when a storage is collected: the end of the window of the last batch of it that has one, in
    /// milliseconds since the Unix epoch. It is durable with the batch, and outlives it.
    fn collected_until(&self, storage_id: &str) -> Result<Option<i64>, ReadError>;

    /// A batch and its state at each exporter; `None` after it was pruned.
    fn batch(&self, batch_id: Uuid) -> Result<Option<BatchInfo>, ReadError>;

    fn stats(&self) -> Result<JournalStats, ReadError>;

    /// Checks the whole file, and has a damaged one replaced. On Kafka, asks the broker for the partition only.
    fn verify(&self) -> Result<(), ReadError>;

    /// The clock that measures the age of the times that the journal holds.
    fn clock(&self) -> &HostClock;

    /// The sequence number of the newest record. It changes after each transaction
    /// that appended records.
    fn head(&self) -> watch::Receiver<Seq>;

    /// A number that changes after each transaction that changed a cursor.
    fn commits(&self) -> watch::Receiver<u64>;

    /// Tells `observer` of each append, before [`Self::head`] shows it. A journal has one observer.
    fn observe(&self, observer: Weak<dyn AppendObserver>);

    /// Finishes the changes in progress, and rejects later ones. Blocks until they
    /// are durable.
    fn close(&self);
}

/// What a journal holds, and its activity since the host started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalStats {
    pub records: u64,
    /// Size of the payloads of these records.
    pub bytes: u64,
    /// The part of `bytes` that a cursor has still to pass. The other records are
    /// deleted as soon as their room is needed.
    pub needed_bytes: u64,
    pub max_bytes: u64,
    /// Size of the file, including free pages; on Kafka, that of the payloads.
    pub file_bytes: u64,
    /// When the oldest record was accepted, in milliseconds since the Unix epoch.
    pub oldest_accepted_ms: Option<i64>,
    /// Free space on the disk, if the system reports it.
    pub free_disk_bytes: Option<u64>,
    /// Transactions that made changes durable. On Kafka: writes to the partition, and transactions of the database.
    pub transactions: u64,
    pub transaction_time: Duration,
    pub failed_transactions: u64,
    /// Appended batches.
    pub appended: u64,
    /// Batches rejected because the journal or the disk was full.
    pub refused: u64,
    /// Deleted records.
    pub pruned: u64,
    /// Acknowledged items that were lost with a damaged or missing file: those that some
    /// exporter had not committed, or all while no exporter has a cursor.
    pub lost: u64,
    /// Why no batch is accepted now. The disk being full is not among the reasons.
    pub fault: Option<String>,
}

/// How much the journal may hold, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalLimits {
    /// Size of the payloads, of both journals together.
    pub max_bytes: u64,
    /// How long a record is kept while the journal has no cursor of an exporter.
    pub max_age: Duration,
    /// Bytes of the disk that appends leave free.
    pub min_free_bytes: u64,
    /// How long a record is kept after it was accepted although every cursor has
    /// passed it, for replays and for `GET /v1/batches`. It is deleted earlier when
    /// the journal or the disk is full.
    pub retention: Duration,
    /// How long the cursor of an exporter that is no longer configured is kept.
    pub orphan_ttl: Duration,
    /// The longest time that a commit is delayed to share a transaction.
    pub max_commit_delay: Duration,
}

/// The journals of the host, and its lock on their folder.
pub struct Journals {
    pub performance: Arc<dyn Journal>,
    pub alerts: Arc<dyn Journal>,
    /// Has the rest of the state; `None`: it is in their folder.
    pub database: Option<Arc<FencedDatabase>>,
    _clock: ClockKeeper,
    _lock: Arc<StateLock>,
}

/// Opens both journals in a folder. Creates a missing folder.
pub fn open(state_dir: &Path, limits: &JournalLimits) -> Result<Journals, OpenError> {
    open_locked(state_dir, lock(state_dir)?.into(), limits, None)
}

/// Takes a state folder, and creates a missing one.
///
/// # Errors
///
/// The folder cannot be used, or another host uses it.
pub fn lock(state_dir: &Path) -> Result<StateLock, OpenError> {
    state_dir::prepare(state_dir)?;
    StateLock::take(state_dir)
}

/// As [`lock`], for root, who may use an existing folder of another user.
///
/// # Errors
///
/// As [`lock`].
pub(crate) fn lock_as_root(state_dir: &Path) -> Result<StateLock, OpenError> {
    state_dir::prepare_as_root(state_dir)?;
    let lock = StateLock::take(state_dir)?;
    lock.hand_over().map_err(|source| OpenError::Folder {
        path: state_dir.to_path_buf(),
        source,
    })?;
    Ok(lock)
}

/// What a member of a cluster needs for journals that are not in its state folder.
pub struct ClusterJournals {
    pub kafka: KafkaJournals,
    /// Has the clock, and the rest of the state.
    pub state: Arc<FencedDatabase>,
}

/// As [`open`], in a folder that was taken. With `cluster`, the journals are on Kafka.
///
/// # Errors
///
/// As [`open`].
pub fn open_locked(
    state_dir: &Path,
    lock: Arc<StateLock>,
    limits: &JournalLimits,
    cluster: Option<ClusterJournals>,
) -> Result<Journals, OpenError> {
    let unusable = |source| OpenError::Folder {
        path: state_dir.to_path_buf(),
        source,
    };
    if cluster.is_none() {
        state_dir::report_missing(state_dir, &[ALERTS, PERFORMANCE]).map_err(unusable)?;
    }
    // Alerts have an eighth of the bytes for themselves, so that performance batches
    // cannot use it up. They may also use the disk further than performance batches,
    // so that they are the last to be rejected.
    let alerts = JournalLimits {
        max_bytes: limits.max_bytes / 8,
        min_free_bytes: limits.min_free_bytes / 2,
        ..limits.clone()
    };
    let performance = JournalLimits {
        max_bytes: limits.max_bytes - alerts.max_bytes,
        ..limits.clone()
    };
    let history: Box<dyn HistoryStore> = match &cluster {
        Some(cluster) => {
            let opened = DatabaseHistory::open(Arc::clone(&cluster.state));
            Box::new(opened.map_err(OpenError::Clock)?)
        }
        None => Box::new(HistoryFile::at(&state_dir.join("clock.json"))),
    };
    let (clock, keeper) = HostClock::open(history);
    let journal = |name, limits| -> Result<Arc<dyn Journal>, OpenError> {
        Ok(match &cluster {
            Some(ClusterJournals { kafka, .. }) => {
                let guard = &WRITE_GUARD;
                Arc::new(kafka::KafkaJournal::open(
                    kafka, name, guard, limits, &clock,
                )?)
            }
            None => Arc::new(sqlite::SqliteJournal::open(
                state_dir, name, limits, &clock,
            )?),
        })
    };
    let journals = Journals {
        alerts: journal(ALERTS, alerts)?,
        performance: journal(PERFORMANCE, performance)?,
        database: cluster.map(|cluster| cluster.state),
        _clock: keeper,
        _lock: lock,
    };
    // A new file survives a crash only if its folder was synced too.
    sync_folder(state_dir).map_err(unusable)?;
    Ok(journals)
}

/// Checks that journals can be on Kafka. Changes nothing.
///
/// # Errors
///
/// Why they cannot, with the remedy.
pub async fn check_topics(topics: &KafkaTopics) -> Result<(), String> {
    topics.check(&[ALERTS, PERFORMANCE]).await
}

/// The id of the host process that uses a state folder, if any.
#[must_use]
pub fn holder(state_dir: &Path) -> Option<String> {
    lock::holder(state_dir)
}

impl Journals {
    /// Both journals.
    #[must_use]
    pub fn both(&self) -> [Arc<dyn Journal>; 2] {
        [&self.performance, &self.alerts].map(Arc::clone)
    }

    #[must_use]
    pub fn of(&self, kind: Kind) -> &Arc<dyn Journal> {
        match kind {
            Kind::Performance => &self.performance,
            Kind::Alert => &self.alerts,
        }
    }
}

impl JournalLimits {
    /// The value of `orphan_ttl` in a running host.
    pub const ORPHAN_TTL: Duration = Duration::from_hours(24);
    /// The value of `max_commit_delay` in a running host.
    pub const MAX_COMMIT_DELAY: Duration = Duration::from_millis(200);

    /// How long a record is kept that no cursor needs.
    fn kept_for(&self, has_exporter: bool) -> Duration {
        if has_exporter {
            self.retention.min(self.max_age)
        } else {
            self.max_age
        }
    }

    /// Limits that a test or a benchmark never reaches: it sets those that it needs.
    ///
    /// The defaults of a running host are those of the configuration.
    #[must_use]
    pub fn unlimited() -> Self {
        Self {
            max_bytes: u64::MAX,
            max_age: Duration::MAX,
            min_free_bytes: 0,
            retention: Duration::ZERO,
            orphan_ttl: Self::ORPHAN_TTL,
            max_commit_delay: Duration::ZERO,
        }
    }
}

impl std::fmt::Debug for Journals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journals").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Header;

    #[test]
    fn a_second_host_is_refused_and_learns_which_process_uses_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let state_dir = folder.path().join("state");
        let journals = open(&state_dir, &JournalLimits::unlimited()).unwrap();
        let error = open(&state_dir, &JournalLimits::unlimited())
            .unwrap_err()
            .to_string();
        let (path, pid) = (state_dir.display(), std::process::id());
        assert_eq!(
            error,
            format!(
                "state folder `{path}` is in use by process {pid} (stop it, or set another `state_dir`)"
            )
        );
        drop(journals);
        open(&state_dir, &JournalLimits::unlimited()).unwrap();
    }

    #[test]
    fn a_second_host_is_refused_although_the_lock_file_was_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let _journals = open(folder.path(), &JournalLimits::unlimited()).unwrap();
        std::fs::remove_file(folder.path().join("lock")).unwrap();
        let second = open(folder.path(), &JournalLimits::unlimited());
        assert!(matches!(second, Err(OpenError::InUse { .. })), "{second:?}");
        assert!(holder(folder.path()).is_some());
    }

    #[test]
    fn a_symbolic_link_in_place_of_a_file_of_the_host_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (state_dir, target) = (folder.path().join("state"), folder.path().join("target"));
        std::fs::create_dir(&state_dir).unwrap();
        std::fs::write(&target, "precious").unwrap();
        for name in ["lock", "alerts.reserve"] {
            std::os::unix::fs::symlink(&target, state_dir.join(name)).unwrap();
        }
        let refused = open(&state_dir, &JournalLimits::unlimited());
        assert!(
            matches!(refused, Err(OpenError::Folder { .. })),
            "{refused:?}"
        );
        std::fs::remove_file(state_dir.join("lock")).unwrap();
        let journals = open(&state_dir, &JournalLimits::unlimited()).unwrap();
        journals.alerts.close();
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "precious");
    }

    #[test]
    fn alerts_have_an_eighth_of_the_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let journals = open(
            folder.path(),
            &JournalLimits {
                max_bytes: 800,
                ..JournalLimits::unlimited()
            },
        )
        .unwrap();
        let room = |kind| journals.of(kind).stats().unwrap().max_bytes;
        assert_eq!((room(Kind::Performance), room(Kind::Alert)), (700, 100));
    }

    #[tokio::test]
    async fn alerts_are_accepted_longer_than_performance_batches_when_the_disk_fills() {
        let folder = tempfile::tempdir().unwrap();
        let limits = JournalLimits {
            min_free_bytes: 1 << 60,
            ..JournalLimits::unlimited()
        };
        let journals = open(folder.path(), &limits).unwrap();
        for (kind, wanted) in [(Kind::Performance, 1 << 60), (Kind::Alert, 1 << 59)] {
            let refused = journals.of(kind).append(record(), None).await;
            let Err(AppendError::NoSpace { min_free_bytes, .. }) = refused else {
                panic!("{refused:?}");
            };
            assert_eq!(min_free_bytes, wanted);
        }
    }

    fn record() -> NewRecord {
        NewRecord {
            header: Header {
                batch_id: Uuid::now_v7(),
                origin: delfin_plugin_api::Origin::Ingest,
                storage_id: None,
                complete: false,
                accepted_ms: 0,
                items: 1,
            },
            rows: 1,
            collected_until_ms: None,
            payload: vec![1].into(),
        }
    }
}
