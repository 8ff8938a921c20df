//! What the tasks of a journal and its callers share.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::cursors::CursorTable;
use super::entry::{BatchEntry, LogEntry};
use super::index::{LogEnd, RecordIndex};
use super::store::{KeyReceipt, LoadedState};
use crate::batch::Seq;
use crate::clock::HostClock;
use crate::journal::observer::ObserverSlot;
use crate::journal::record::CollectedWindow;
use crate::journal::{JournalLimits, JournalStats, Receipt};

pub(super) struct OwnerState {
    pub(super) limits: JournalLimits,
    pub(super) clock: HostClock,
    contents: Mutex<JournalContents>,
    /// Activity only; what the journal holds is in its contents.
    activity: Mutex<JournalStats>,
    /// The sequence number of the newest record.
    pub(super) head: watch::Sender<Seq>,
    /// Changes with each change of a cursor.
    pub(super) commits: watch::Sender<u64>,
    pub(super) observer: ObserverSlot,
}

/// The journal in memory.
#[derive(Debug)]
pub(super) struct JournalContents {
    pub(super) index: RecordIndex,
    pub(super) end: LogEnd,
    pub(super) cursors: CursorTable,
    pub(super) last_dead_letter: u64,
    /// Keys that are not in the database yet: those of records from `keys_seq` on.
    pub(super) new_keys: HashMap<String, KeyReceipt>,
    pub(super) keys_seq: Seq,
    /// The last window of each storage. Those whose records are deleted are in the database.
    pub(super) windows: HashMap<String, CollectedWindow>,
    /// The record at the start was read, or a later fence.
    knows_fence: bool,
}

/// A record of the partition is not the next one of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LogGap {
    pub(super) expected: Seq,
    pub(super) found: Seq,
}

impl OwnerState {
    pub(super) fn new(loaded: LoadedState, limits: JournalLimits, clock: HostClock) -> Self {
        let head = Seq(loaded.start.seq.0 - 1);
        Self {
            limits,
            clock,
            contents: Mutex::new(JournalContents::new(loaded)),
            activity: Mutex::default(),
            head: watch::Sender::new(head),
            commits: watch::Sender::new(0),
            observer: ObserverSlot::default(),
        }
    }

    pub(super) fn contents(&self) -> MutexGuard<'_, JournalContents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn activity(&self) -> JournalStats {
        self.activity
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn update_activity(&self, change: impl FnOnce(&mut JournalStats)) {
        change(&mut self.activity.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The journal accepts nothing now. Returns whether it did before.
    pub(super) fn note_fault(&self, reason: &str) -> bool {
        let fault = format!("it cannot be written: {reason}");
        let mut is_new = false;
        self.update_activity(|stats| is_new = stats.fault.replace(fault).is_none());
        is_new
    }

    /// Continues with the state that the database has.
    pub(super) fn reload(&self, loaded: LoadedState) {
        let mut contents = self.contents();
        contents.cursors = loaded.cursors;
        contents.last_dead_letter = loaded.last_dead_letter;
        contents.keys_seq = loaded.keys_seq;
        let is_new = |_: &String, key: &mut KeyReceipt| key.receipt.seq >= loaded.keys_seq;
        contents.new_keys.retain(is_new);
        if loaded.start.seq > contents.index.start().seq {
            contents.index.remove_before(loaded.start);
        }
        drop(contents);
        self.commits.send_modify(|commits| *commits += 1);
    }

    /// Makes the head visible to those who look at it, without a notification.
    pub(super) fn publish_head(&self) {
        let head = self.contents().index.head();
        self.head.send_if_modified(|published| {
            *published = head;
            false
        });
    }
}

impl JournalContents {
    fn new(loaded: LoadedState) -> Self {
        let start = loaded.start;
        Self {
            index: RecordIndex::new(start),
            end: LogEnd {
                offset: start.offset,
                fence: start.fence.unwrap_or_default(),
            },
            cursors: loaded.cursors,
            last_dead_letter: loaded.last_dead_letter,
            new_keys: HashMap::new(),
            keys_seq: loaded.keys_seq,
            windows: loaded.windows,
            knows_fence: start.fence.is_some(),
        }
    }

    /// Adds the next record of the partition. One that does not count is skipped.
    pub(super) fn add(&mut self, offset: i64, entry: LogEntry) -> Result<(), LogGap> {
        self.end.offset = offset + 1;
        match entry {
            LogEntry::Fence(term) => {
                self.end.fence = self.end.fence.max(term);
                self.knows_fence = true;
            }
            LogEntry::Batch(batch) => {
                if !self.knows_fence {
                    self.end.fence = batch.term;
                    self.knows_fence = true;
                }
                if batch.term == self.end.fence {
                    self.add_batch(offset, &batch)?;
                }
            }
            LogEntry::Foreign => {}
        }
        Ok(())
    }

    fn add_batch(&mut self, offset: i64, batch: &BatchEntry) -> Result<(), LogGap> {
        let expected = self.index.next();
        if batch.seq != expected {
            return Err(LogGap {
                expected,
                found: batch.seq,
            });
        }
        self.index.push(offset, batch);
        let accepted_ms = batch.header.accepted_ms;
        let receipt = Receipt {
            seq: batch.seq,
            batch_id: batch.header.batch_id,
            items: batch.header.items,
            repeated: true,
        };
        if let Some((storage_id, until_ms)) = batch.window() {
            let window = CollectedWindow {
                storage_id: storage_id.to_owned(),
                until_ms,
                receipt: receipt.clone(),
                accepted_ms,
            };
            self.windows.insert(storage_id.to_owned(), window);
        }
        if let Some(key) = &batch.key
            && batch.seq >= self.keys_seq
        {
            let known = KeyReceipt {
                key: key.clone(),
                receipt,
                accepted_ms,
            };
            self.new_keys.insert(key.clone(), known);
        }
        Ok(())
    }

    /// The receipt of an earlier append of the same window.
    pub(super) fn receipt_of_window(&self, entry: &BatchEntry) -> Option<Receipt> {
        let (storage_id, until_ms) = entry.window()?;
        let last = self.windows.get(storage_id)?;
        (last.until_ms == until_ms).then(|| last.receipt.clone())
    }

    /// The last windows whose records are deleted if the records begin at `start`.
    pub(super) fn windows_before(&self, start: Seq) -> Vec<CollectedWindow> {
        let deleted = self.index.start().seq..start;
        let windows = self.windows.values();
        let deleted = windows.filter(|window| deleted.contains(&window.receipt.seq));
        deleted.cloned().collect()
    }

    /// Whether the journal never had a record, so that it can begin anywhere in the partition.
    pub(super) fn is_unused(&self) -> bool {
        self.index.next() == Seq(1) && self.cursors.by_exporter.is_empty()
    }

    /// Bytes of the records that the journal holds.
    pub(super) fn held_bytes(&self) -> u64 {
        self.index.bytes_from(self.index.start().seq)
    }

    /// What the journal holds, and its activity.
    pub(super) fn stats(&self, activity: JournalStats) -> JournalStats {
        let index = &self.index;
        let needed_from = self.cursors.needed_from().unwrap_or(index.next());
        JournalStats {
            records: index.len(),
            bytes: self.held_bytes(),
            needed_bytes: index.bytes_from(needed_from),
            file_bytes: self.held_bytes(),
            oldest_accepted_ms: index.accepted_ms(index.start().seq),
            ..activity
        }
    }
}
