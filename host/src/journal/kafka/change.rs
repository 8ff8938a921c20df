//! A change of cursors and dead letters, in a transaction of the database.
//!
//! Several callers share one. It is made to a copy of the cursors, so that nothing is to undo if it fails.

use std::collections::BTreeSet;
use std::pin::Pin;

use tokio::sync::oneshot;

use super::cursors::CursorTable;
use super::index::JournalStart;
use super::shared::{JournalContents, OwnerState};
use super::store::{KeyReceipt, StoreError, StoreTransaction, TrimLimits};
use crate::batch::Seq;
use crate::clock::now_ms;
use crate::journal::cursor::log_removed_orphan;
use crate::journal::{
    Commit, Cursor, CursorError, DeadLetterCount, DeadLetterFilter, DeadLetterId, DeadLetterLimits,
    KEY_TTL, StartFrom, WINDOW_TTL,
};

/// Why records are deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeleteReason {
    /// Their retention is over.
    Age,
    /// The journal is full: so many bytes are needed, regardless of retention.
    Room { bytes: u64 },
}

/// A change that a caller waits for.
pub(super) trait CallerChange: Send {
    /// Makes the change, and keeps the result.
    fn run<'a>(&'a mut self, change: &'a mut JournalChange<'_>) -> ChangeFuture<'a>;

    /// Sends the result to the caller.
    fn reply(self: Box<Self>);

    /// Tells the caller that the state cannot be written.
    fn fail(self: Box<Self>, reason: String);
}

type ChangeFuture<'a> = Pin<Box<dyn Future<Output = Result<(), StoreError>> + 'a>>;

struct AsyncChange<T, F> {
    run: F,
    result: Option<Result<T, CursorError>>,
    caller: oneshot::Sender<Result<T, CursorError>>,
}

/// A change made by a closure.
pub(super) fn change<T, F>(
    caller: oneshot::Sender<Result<T, CursorError>>,
    run: F,
) -> Box<dyn CallerChange>
where
    T: Send + 'static,
    F: AsyncFnMut(&mut JournalChange<'_>) -> Result<Result<T, CursorError>, StoreError>
        + Send
        + 'static,
{
    Box::new(AsyncChange {
        run,
        result: None,
        caller,
    })
}

impl<T, F> CallerChange for AsyncChange<T, F>
where
    T: Send,
    F: AsyncFnMut(&mut JournalChange<'_>) -> Result<Result<T, CursorError>, StoreError> + Send,
{
    fn run<'a>(&'a mut self, change: &'a mut JournalChange<'_>) -> ChangeFuture<'a> {
        Box::pin(async move {
            self.result = Some((self.run)(change).await?);
            Ok(())
        })
    }

    fn reply(self: Box<Self>) {
        if let Some(result) = self.result {
            // A caller that dropped its future does not need the result.
            let _ = self.caller.send(result);
        }
    }

    fn fail(self: Box<Self>, reason: String) {
        let _ = self.caller.send(Err(CursorError::Unavailable { reason }));
    }
}

pub(super) struct JournalChange<'a> {
    tx: StoreTransaction<'a>,
    shared: &'a OwnerState,
    pub(super) cursors: CursorTable,
    last_dead_letter: u64,
    now_ms: i64,
    /// A cursor changed, or what a batch waits for.
    committed: bool,
    /// The configured exporters were set.
    pub(super) configured: bool,
}

/// What takes the place of the contents once the change is durable.
pub(super) struct ChangedState {
    cursors: CursorTable,
    last_dead_letter: u64,
    start: Option<JournalStart>,
    keys: Vec<KeyReceipt>,
    keys_seq: Seq,
    committed: bool,
}

impl<'a> JournalChange<'a> {
    pub(super) fn new(tx: StoreTransaction<'a>, shared: &'a OwnerState) -> Self {
        let contents = shared.contents();
        let (cursors, last_dead_letter) = (contents.cursors.clone(), contents.last_dead_letter);
        drop(contents);
        Self {
            tx,
            shared,
            cursors,
            last_dead_letter,
            now_ms: now_ms(),
            committed: false,
            configured: false,
        }
    }

    pub(super) fn open_cursor(&mut self, exporter: &str, start: StartFrom) -> Cursor {
        let contents = self.shared.contents();
        let index = &contents.index;
        let start = match start {
            StartFrom::Now => index.next(),
            StartFrom::Earliest => index.start().seq,
            StartFrom::Ago(time) => {
                let clock = &self.shared.clock;
                index.first_accepted(|accepted_ms| clock.age(accepted_ms) <= time)
            }
        };
        self.cursors.open(exporter, start, index, self.now_ms)
    }

    pub(super) async fn commit(
        &mut self,
        exporter: &str,
        commit: &Commit,
    ) -> Result<Result<(), CursorError>, StoreError> {
        let checked = {
            let contents = self.shared.contents();
            self.cursors
                .commit(exporter, commit, &contents.index, self.now_ms)
        };
        if let Err(refused) = checked {
            return Ok(Err(refused));
        }
        self.committed = true;
        for dead_letter in &commit.dead_letters {
            self.last_dead_letter += 1;
            let id = DeadLetterId(self.last_dead_letter);
            self.tx.add_dead_letter(id, exporter, dead_letter).await?;
        }
        for replayed in &commit.replayed {
            self.tx.end_replay(replayed).await?;
        }
        Ok(Ok(()))
    }

    pub(super) async fn drop_before(
        &mut self,
        exporter: &str,
        end: Seq,
        limit: &str,
    ) -> Result<Result<u64, CursorError>, StoreError> {
        let drop = {
            let contents = self.shared.contents();
            self.cursors
                .drop_before(exporter, end, limit, &contents.index)
        };
        let Some(commit) = drop else {
            return Ok(Ok(0));
        };
        let dropped = commit.dropped();
        Ok(self.commit(exporter, &commit).await?.map(|()| dropped))
    }

    pub(super) fn replay(&mut self, exporter: &str, since_ms: i64) -> Result<u64, CursorError> {
        let contents = self.shared.contents();
        let replayed = self.cursors.replay(exporter, since_ms, &contents.index);
        self.committed |= replayed.as_ref().is_ok_and(|items| *items > 0);
        replayed
    }

    pub(super) fn set_configured(&mut self, exporters: &[String]) {
        self.cursors.set_configured(exporters, self.now_ms);
        self.configured = true;
        // A batch that waits for an unused cursor only is done now.
        self.committed = true;
    }

    pub(super) async fn remove_cursor(&mut self, exporter: &str) -> Result<bool, StoreError> {
        self.committed = true;
        self.tx.delete_dead_letters(exporter).await?;
        Ok(self.cursors.by_exporter.remove(exporter).is_some())
    }

    pub(super) async fn rename_cursor(
        &mut self,
        exporter: &str,
        to: &str,
    ) -> Result<bool, StoreError> {
        if !self.cursors.rename(exporter, to) {
            return Ok(false);
        }
        self.committed = true;
        self.tx.delete_dead_letters(to).await?;
        self.tx.rename_dead_letters(exporter, to).await?;
        Ok(true)
    }

    pub(super) fn record_error(
        &mut self,
        exporter: &str,
        message: &str,
    ) -> Result<(), CursorError> {
        let now_ms = self.now_ms;
        let state = self.cursors.get_mut(exporter)?;
        state.cursor.last_error = Some(message.to_owned());
        state.cursor.last_error_ms = Some(now_ms);
        Ok(())
    }

    /// Begins the replay of dead letters: their items are accepted a second time, so that the counts still add up
    /// when they get a second disposition.
    pub(super) async fn replay_dead_letters(
        &mut self,
        which: &DeadLetterFilter,
    ) -> Result<DeadLetterCount, StoreError> {
        let mut count = DeadLetterCount::default();
        for replayed in self.tx.start_replay(which, self.now_ms).await? {
            count.add(replayed.items, replayed.bytes);
            if let Ok(state) = self.cursors.get_mut(&replayed.exporter) {
                state.replayed_items += replayed.items;
                state.replaying.insert(replayed.id, replayed.items);
            }
        }
        Ok(count)
    }

    pub(super) async fn purge_dead_letters(
        &self,
        which: &DeadLetterFilter,
    ) -> Result<DeadLetterCount, StoreError> {
        self.tx.purge(which).await
    }

    pub(super) async fn trim_dead_letters(
        &self,
        exporter: &str,
        limits: &DeadLetterLimits,
    ) -> Result<DeadLetterCount, StoreError> {
        let limits = TrimLimits {
            max_bytes: limits.max_bytes,
            too_old: self.shared.clock.older_than(limits.max_age),
        };
        self.tx.trim(exporter, &limits).await
    }

    /// Removes the cursors that have been unused for too long.
    pub(super) async fn remove_orphans(&mut self) -> Result<(), StoreError> {
        for exporter in orphans(self.shared, &self.cursors) {
            let pending = {
                let contents = self.shared.contents();
                let state = self.cursors.get(&exporter);
                state.map_or(0, |state| state.counts(&contents.index).pending)
            };
            self.remove_cursor(&exporter).await?;
            log_removed_orphan(&exporter, pending);
        }
        Ok(())
    }

    /// Writes what the callers have changed, and deletes what is no longer needed.
    pub(super) async fn finish(
        self,
        reason: Option<DeleteReason>,
    ) -> Result<(StoreTransaction<'a>, ChangedState), StoreError> {
        let (start, windows, changed, keys, keys_seq, had) = {
            let contents = self.shared.contents();
            let start =
                reason.and_then(|reason| new_start(self.shared, &contents, &self.cursors, reason));
            let windows = start.map(|start| contents.windows_before(start.seq));
            let keys: Vec<KeyReceipt> = contents.new_keys.values().cloned().collect();
            (
                start,
                windows.unwrap_or_default(),
                self.cursors.changed_since(&contents.cursors),
                keys,
                contents.index.next(),
                contents.last_dead_letter,
            )
        };
        self.write_cursors(&changed).await?;
        if self.last_dead_letter > had {
            self.tx.set_last_dead_letter(self.last_dead_letter).await?;
        }
        if !keys.is_empty() {
            self.tx.add_keys(&keys, keys_seq).await?;
        }
        if reason.is_some() {
            let older_than = |ttl| self.shared.clock.older_than(ttl);
            let (keys, windows) = (older_than(KEY_TTL), older_than(WINDOW_TTL));
            self.tx.forget(&keys, &windows).await?;
        }
        if !windows.is_empty() {
            self.tx.note_windows(&windows).await?;
        }
        if let Some(start) = start {
            self.tx.set_start(start).await?;
        }
        let changed = ChangedState {
            cursors: self.cursors,
            last_dead_letter: self.last_dead_letter,
            start,
            keys,
            keys_seq,
            committed: self.committed,
        };
        Ok((self.tx, changed))
    }

    async fn write_cursors(&self, changed: &BTreeSet<String>) -> Result<(), StoreError> {
        for exporter in changed {
            match self.cursors.get(exporter) {
                Some(state) => self.tx.write_cursor(state).await?,
                None => self.tx.delete_cursor(exporter).await?,
            }
        }
        Ok(())
    }
}

impl ChangedState {
    /// The change is durable.
    pub(super) fn apply(self, shared: &OwnerState) {
        let mut contents = shared.contents();
        contents.cursors = self.cursors;
        contents.last_dead_letter = self.last_dead_letter;
        contents.keys_seq = contents.keys_seq.max(self.keys_seq);
        for key in self.keys {
            // A later append may have the key again.
            let seq = contents.new_keys.get(&key.key).map(|new| new.receipt.seq);
            if seq == Some(key.receipt.seq) {
                contents.new_keys.remove(&key.key);
            }
        }
        if let Some(start) = self.start {
            let before = contents.index.len();
            contents.index.remove_before(start);
            let pruned = before - contents.index.len();
            shared.update_activity(|stats| stats.pruned += pruned);
        }
        drop(contents);
        if self.committed {
            shared.commits.send_modify(|commits| *commits += 1);
        }
    }
}

/// Whether there are records to delete, or cursors, or keys to write.
pub(super) fn has_garbage(shared: &OwnerState, reason: DeleteReason) -> bool {
    let contents = shared.contents();
    !contents.new_keys.is_empty()
        || new_start(shared, &contents, &contents.cursors, reason).is_some()
        || !orphans(shared, &contents.cursors).is_empty()
}

/// The start of the records once those are deleted that no cursor needs and whose time is over; `None`: nothing is
/// deleted. A journal without a cursor of an exporter keeps its records for `max_age`, for the first one to come.
fn new_start(
    shared: &OwnerState,
    contents: &JournalContents,
    cursors: &CursorTable,
    reason: DeleteReason,
) -> Option<JournalStart> {
    let limits = &shared.limits;
    let has_exporter = cursors.of_exporters().next().is_some();
    let keep = limits.kept_for(has_exporter);
    let wanted_bytes = match reason {
        DeleteReason::Age => 0,
        DeleteReason::Room { bytes } => bytes,
    };
    let is_due = |accepted_ms| shared.clock.age(accepted_ms) >= keep;
    let index = &contents.index;
    let first = index.first_kept(cursors.needed_from(), is_due, wanted_bytes);
    (first > index.start().seq).then(|| index.start_at(first, contents.end))
}

/// The exporters whose cursors have been unused for too long.
fn orphans(shared: &OwnerState, cursors: &CursorTable) -> Vec<String> {
    let is_orphan = |since_ms: i64| shared.clock.age(since_ms) >= shared.limits.orphan_ttl;
    let cursors = cursors.by_exporter.values().map(|state| &state.cursor);
    let orphans = cursors.filter(|cursor| cursor.unused_since_ms.is_some_and(is_orphan));
    orphans.map(|cursor| cursor.exporter.clone()).collect()
}
