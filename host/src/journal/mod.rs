//! The journal: every accepted batch, durable, once, whatever the number of exporters.
//!
//! A journal is a sequence of numbered records; each exporter has a cursor in one
//! journal. A batch is acknowledged once it is durable, a cursor moves only by a
//! commit, and a record goes when every cursor has passed it. For each
//! exporter, every accepted item is one of delivered, dead-lettered, dropped,
//! filtered or pending, at every moment.
//!
//! Knows nothing of plugins, of Arrow or of the network. [`Journal`] is free of
//! the store's types, so that another store can take its place.

mod commit_queue;
mod cursor;
mod dead_letters;
mod error;
mod lock;
mod record;
mod sqlite;

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use delfin_plugin_api::Kind;
use tokio::sync::watch;
use uuid::Uuid;

use crate::batch::Seq;

pub use commit_queue::CommitQueue;
pub use cursor::{
    Backlog, Commit, Cursor, DeadLetter, DroppedItems, ItemCounts, Position, RowSpan, StartFrom,
};
pub use dead_letters::{
    DeadLetterCommit, DeadLetterCount, DeadLetterDisposition, DeadLetterFilter, DeadLetterId,
    DeadLetterLimits, DeadLetterStore, StoredDeadLetter,
};
pub use error::{AppendError, CursorError, OpenError, ReadError};
pub use record::{BatchInfo, BatchState, NewRecord, Receipt, Record};

/// An answer that comes once the change is durable.
///
/// The change is under way when the call returns: changes of one caller are
/// made in the order of the calls, and to drop the future takes none back.
pub type Durable<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

/// One journal.
///
/// A cursor whose name begins with `:` is the host's own. It holds records as
/// any other does, but is no exporter's: where exporters are listed it is not
/// among them, and records are kept for a first exporter as if it were not there.
///
/// Reads block for as long as a read from the disk takes, and hold nothing
/// once they have returned.
pub trait Journal: DeadLetterStore {
    /// Appends a batch. A batch, or a key, that was there before is answered with its first receipt.
    fn append(
        &self,
        record: NewRecord,
        idempotency_key: Option<String>,
    ) -> Durable<Receipt, AppendError>;

    /// The exporter's cursor, made now if it has none.
    ///
    /// A record that no cursor needs goes soon: cursors that start from the
    /// earliest record are opened before the others.
    fn open_cursor(&self, exporter: &str, start: StartFrom) -> Durable<Cursor, CursorError>;

    /// Moves a cursor: dead letters, counts and position change together or not at all.
    ///
    /// The answer may come a moment later than it could, so that moving cursors
    /// costs few commits. Whoever has more to deliver goes on meanwhile.
    fn commit(&self, exporter: &str, commit: Commit) -> Durable<(), CursorError>;

    /// Moves a cursor on to a record, and drops what it passes that is not
    /// settled, for a limit; says how many items that is.
    fn drop_before(&self, exporter: &str, end: Seq, limit: &str) -> Durable<u64, CursorError>;

    /// Moves a cursor back to the first record that is held and was accepted at
    /// or after a time; says how many items are asked for once more. Rows that
    /// are settled ahead of the cursor stay settled.
    fn replay(&self, exporter: &str, since_ms: i64) -> Durable<u64, CursorError>;

    /// Tells which exporters are configured. Cursors of others are unused from
    /// now on, and removed after a while; those that are back are used again.
    /// Before this was told, no cursor is removed.
    fn set_configured(&self, exporters: Vec<String>) -> Durable<(), CursorError>;

    /// Removes a cursor with its counts and dead letters; says whether it was there.
    fn remove_cursor(&self, exporter: &str) -> Durable<bool, CursorError>;

    /// Notes what went wrong at an exporter.
    fn record_error(&self, exporter: &str, message: &str) -> Durable<(), CursorError>;

    /// The first record at or after a number.
    fn read(&self, from: Seq) -> Result<Option<Record>, ReadError>;

    /// What became of an exporter's items; nothing if it has no cursor here.
    fn counts(&self, exporter: &str) -> Result<Option<ItemCounts>, ReadError>;

    /// What waits for an exporter; nothing if it has no cursor here. Cheap: it is asked every second.
    fn backlog(&self, exporter: &str) -> Result<Option<Backlog>, ReadError>;

    /// The record before which at least so many bytes of the oldest records are
    /// held: a cursor moved there no longer stands in the way of freeing them.
    fn seq_after_bytes(&self, bytes: u64) -> Result<Seq, ReadError>;

    /// The first record held that was accepted at or after a time; the next one
    /// to come if there is none. Where the clock was set back, one nearby.
    fn seq_since(&self, accepted_ms: i64) -> Result<Seq, ReadError>;

    /// The exporters' cursors by name, those of exporters that are no longer configured too.
    fn cursors(&self) -> Result<Vec<Cursor>, ReadError>;

    /// What became of a batch; nothing once it is pruned.
    fn batch(&self, batch_id: Uuid) -> Result<Option<BatchInfo>, ReadError>;

    /// What the journal holds and has done.
    fn stats(&self) -> Result<JournalStats, ReadError>;

    /// The last number given; it changes after each commit that appended.
    fn head(&self) -> watch::Receiver<Seq>;

    /// A number that changes after each commit that settled something.
    fn commits(&self) -> watch::Receiver<u64>;

    /// Finishes what it was asked so far, and refuses the rest. Blocks until that is durable.
    fn close(&self);
}

/// What a journal holds, and what it has done since the host started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalStats {
    /// Records held.
    pub records: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// Of these, the bytes of records that a cursor has still to pass. The others
    /// give way as soon as there is no room.
    pub needed_bytes: u64,
    /// Bytes that they may have.
    pub max_bytes: u64,
    /// Size of the file, room for reuse included.
    pub file_bytes: u64,
    /// When the oldest record held was accepted, in milliseconds since 1970.
    pub oldest_accepted_ms: Option<i64>,
    /// What is free on the disk, if the system says so.
    pub free_disk_bytes: Option<u64>,
    /// Commits made, each of them synced to the disk.
    pub transactions: u64,
    /// The time that they took.
    pub transaction_time: Duration,
    /// Commits that failed.
    pub failed_transactions: u64,
    /// Batches appended.
    pub appended: u64,
    /// Batches refused for want of room.
    pub refused: u64,
    /// Records that every cursor had passed and that were deleted.
    pub pruned: u64,
}

/// How much the journal may hold, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalLimits {
    /// Bytes of payload in all journals.
    pub max_bytes: u64,
    /// How long a record is held that no cursor needs, when the journal has no cursor.
    pub max_age: Duration,
    /// What must stay free on the disk.
    pub min_free_bytes: u64,
    /// How long a record is held after it was accepted though every cursor has
    /// passed it, so that it can be replayed and the state of its batch asked
    /// for. It gives way at once when the journal or the disk is full.
    pub retention: Duration,
    /// How long the cursor of an exporter is kept that is no longer configured.
    pub orphan_ttl: Duration,
    /// How long a delivery may wait at most to be committed together with others.
    pub gather: Duration,
}

/// The host's journals, and its lock on the folder that they are in.
pub struct Journals {
    /// The journal of performance batches.
    pub performance: Arc<dyn Journal>,
    /// The journal of alert batches.
    pub alerts: Arc<dyn Journal>,
    _lock: lock::StateLock,
}

/// Opens both journals in a folder, which is made if it is missing.
pub fn open(state_dir: &Path, limits: &JournalLimits) -> Result<Journals, OpenError> {
    let unusable = |source| OpenError::Folder {
        path: state_dir.to_path_buf(),
        source,
    };
    make_private_folder(state_dir).map_err(unusable)?;
    let lock = lock::StateLock::take(state_dir)?;
    // Alerts have room of their own, which no flood of performance can take, in
    // the journal and on the disk.
    let alerts = JournalLimits {
        max_bytes: limits.max_bytes / 8,
        min_free_bytes: limits.min_free_bytes / 2,
        ..limits.clone()
    };
    let performance = JournalLimits {
        max_bytes: limits.max_bytes - alerts.max_bytes,
        ..limits.clone()
    };
    let journals = Journals {
        alerts: Arc::new(sqlite::SqliteJournal::open(state_dir, "alerts", alerts)?),
        performance: Arc::new(sqlite::SqliteJournal::open(
            state_dir,
            "performance",
            performance,
        )?),
        _lock: lock,
    };
    // A file's name is durable only once its folder is.
    File::open(state_dir)
        .and_then(|folder| folder.sync_all())
        .map_err(unusable)?;
    Ok(journals)
}

/// Which process has a state folder, if a host runs on it.
#[must_use]
pub fn holder(state_dir: &Path) -> Option<String> {
    lock::holder(state_dir)
}

impl Journals {
    /// The journal for batches of a kind.
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
    /// The value of `gather` in a running host.
    pub const GATHER: Duration = Duration::from_millis(200);

    /// JournalLimits that a test or a benchmark never reaches: it sets those that it needs.
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
            gather: Duration::ZERO,
        }
    }
}

impl std::fmt::Debug for Journals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journals").finish_non_exhaustive()
    }
}

fn make_private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Header;

    #[test]
    fn a_second_host_is_refused_and_told_who_has_the_folder() {
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
    fn the_folder_is_for_the_host_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let state_dir = folder.path().join("made").join("state");
        let _journals = open(&state_dir, &JournalLimits::unlimited()).unwrap();
        assert_eq!(
            std::fs::metadata(&state_dir).unwrap().permissions().mode() & 0o777,
            0o700
        );
    }

    #[test]
    fn alerts_have_room_of_their_own() {
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
    async fn alerts_are_shed_last_when_the_disk_fills() {
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
            payload: vec![1],
        }
    }
}
