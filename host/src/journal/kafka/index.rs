//! The records of the partition, in memory: where each is, and what is asked about it often.
//!
//! It has 64 bytes for each record, and about 40 for its batch id. The owner builds it when it opens the journal.

use std::collections::{HashMap, VecDeque};
use std::ops::RangeInclusive;

use uuid::Uuid;

use super::entry::{BatchEntry, Term};
use crate::batch::Seq;
use crate::journal::commit_check::RecordShape;
use crate::journal::{ReadLimit, Receipt};

/// The start of the records: what was before them is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct JournalStart {
    /// The first record, or the next one to come.
    pub(super) seq: Seq,
    /// From where the partition is read.
    pub(super) offset: i64,
    /// The largest term of the fences before that; `None`: that of the record there.
    pub(super) fence: Option<Term>,
    /// Of all records before it.
    pub(super) items: u64,
    pub(super) bytes: u64,
}

/// The newest record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct JournalHead {
    pub(super) seq: Seq,
    /// Items of all records that were ever appended.
    pub(super) items: u64,
}

/// The end of the partition, as far as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LogEnd {
    pub(super) offset: i64,
    /// The largest term of the fences.
    pub(super) fence: Term,
}

/// Consecutive records in the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordPlaces {
    pub(super) first_offset: i64,
    pub(super) last_offset: i64,
    pub(super) records: u64,
    /// Of payloads.
    pub(super) bytes: u64,
}

#[derive(Debug)]
pub(super) struct RecordIndex {
    start: JournalStart,
    records: VecDeque<IndexedRecord>,
    by_batch: HashMap<Uuid, Seq>,
    /// Items and bytes that were ever appended.
    items: u64,
    bytes: u64,
    /// Numbers of storages, which many records share.
    storages: HashMap<String, u32>,
}

/// Its sequence number is its place.
#[derive(Clone, Copy, Debug)]
struct IndexedRecord {
    offset: i64,
    batch_id: Uuid,
    accepted_ms: i64,
    rows: u64,
    items_before: u64,
    bytes_before: u64,
    /// The number of its storage; `MANY` for a batch of several storages.
    storage: u32,
}

const MANY: u32 = u32::MAX;

impl JournalHead {
    pub(super) fn of(index: &RecordIndex) -> Self {
        Self {
            seq: index.head(),
            items: index.items(),
        }
    }
}

impl RecordIndex {
    pub(super) fn new(start: JournalStart) -> Self {
        Self {
            start,
            records: VecDeque::new(),
            by_batch: HashMap::new(),
            items: start.items,
            bytes: start.bytes,
            storages: HashMap::new(),
        }
    }

    /// Adds the next record.
    pub(super) fn push(&mut self, offset: i64, entry: &BatchEntry) {
        let storage = match entry.header.storage_id.as_deref() {
            Some(id) => self.storage(id),
            None => MANY,
        };
        self.by_batch.insert(entry.header.batch_id, self.next());
        self.records.push_back(IndexedRecord {
            offset,
            batch_id: entry.header.batch_id,
            accepted_ms: entry.header.accepted_ms,
            rows: entry.rows,
            items_before: self.items,
            bytes_before: self.bytes,
            storage,
        });
        self.items += entry.header.items;
        self.bytes += entry.bytes;
    }

    /// Removes the records before a start.
    pub(super) fn remove_before(&mut self, start: JournalStart) {
        while self.start.seq < start.seq
            && let Some(record) = self.records.pop_front()
        {
            self.by_batch.remove(&record.batch_id);
            self.start.seq = self.start.seq.next();
        }
        self.start = start;
    }

    pub(super) const fn start(&self) -> JournalStart {
        self.start
    }

    /// The start that a removal of the records before `seq` would leave. `end`: where the next record comes.
    pub(super) fn start_at(&self, seq: Seq, end: LogEnd) -> JournalStart {
        let record = self.at(seq);
        JournalStart {
            seq,
            offset: record.map_or(end.offset, |record| record.offset),
            fence: record.is_none().then_some(end.fence),
            items: self.items_before(seq),
            bytes: self.bytes_before(seq),
        }
    }

    /// The first record that stays: one that a cursor needs, or that is not due, once the wanted bytes are free.
    pub(super) fn first_kept(
        &self,
        needed_from: Option<Seq>,
        is_due: impl Fn(i64) -> bool,
        wanted_bytes: u64,
    ) -> Seq {
        let deletable = needed_from.unwrap_or(self.next()).min(self.next());
        let mut first = self.start.seq;
        while first < deletable
            && let Some(record) = self.at(first)
            && (record.bytes_before - self.start.bytes < wanted_bytes || is_due(record.accepted_ms))
        {
            first = first.next();
        }
        first
    }

    /// The newest record.
    pub(super) fn head(&self) -> Seq {
        Seq(self.start.seq.0 + self.records.len() as u64 - 1)
    }

    /// The next record to come.
    pub(super) fn next(&self) -> Seq {
        self.head().next()
    }

    pub(super) fn len(&self) -> u64 {
        self.records.len() as u64
    }

    /// Items that were ever appended.
    pub(super) const fn items(&self) -> u64 {
        self.items
    }

    /// Bytes of the records from one on.
    pub(super) fn bytes_from(&self, seq: Seq) -> u64 {
        self.bytes - self.bytes_before(seq)
    }

    pub(super) fn items_before(&self, seq: Seq) -> u64 {
        self.first_from(seq)
            .map_or(self.items, |(_, record)| record.items_before)
    }

    fn bytes_before(&self, seq: Seq) -> u64 {
        self.first_from(seq)
            .map_or(self.bytes, |(_, record)| record.bytes_before)
    }

    pub(super) fn accepted_ms(&self, seq: Seq) -> Option<i64> {
        self.first_from(seq).map(|(_, record)| record.accepted_ms)
    }

    pub(super) fn shape(&self, seq: Seq) -> Option<RecordShape> {
        let (seq, record) = self.first_from(seq)?;
        Some(RecordShape {
            seq: seq.0,
            rows: record.rows,
            items: self.items_before(seq.next()) - record.items_before,
            items_before: record.items_before,
        })
    }

    /// The receipt of an append of this batch again.
    pub(super) fn receipt(&self, batch_id: Uuid) -> Option<Receipt> {
        let seq = self.find(batch_id)?;
        Some(Receipt {
            seq,
            batch_id,
            items: self.shape(seq)?.items,
            repeated: true,
        })
    }

    pub(super) fn find(&self, batch_id: Uuid) -> Option<Seq> {
        self.by_batch.get(&batch_id).copied()
    }

    /// Where the first record at or after a number is.
    pub(super) fn offset_of(&self, seq: Seq) -> Option<i64> {
        self.first_from(seq).map(|(_, record)| record.offset)
    }

    /// Where the records from a number on are, up to a limit, or one that is larger.
    pub(super) fn locate(&self, from: Seq, limit: ReadLimit) -> Option<RecordPlaces> {
        let (first, start) = self.first_from(from)?;
        let records = self.records.range(self.place(first)..);
        // What is before a record is less than the limit, so that the one that passes it is the last.
        let fitting = records
            .take(limit.records as usize)
            .take_while(|record| record.bytes_before - start.bytes_before < limit.bytes as u64);
        let last = Seq(first.0 + (fitting.count() as u64).checked_sub(1)?);
        self.places(first, last)
    }

    /// Whether a record is at an offset.
    pub(super) fn is_at(&self, seq: Seq, offset: i64) -> bool {
        seq >= self.start.seq && self.at(seq).is_some_and(|record| record.offset == offset)
    }

    fn places(&self, first: Seq, last: Seq) -> Option<RecordPlaces> {
        Some(RecordPlaces {
            first_offset: self.at(first)?.offset,
            last_offset: self.at(last)?.offset,
            records: last.0 - first.0 + 1,
            bytes: self.bytes_before(last.next()) - self.bytes_before(first),
        })
    }

    /// Where the newest record in a range is that is of a storage, or of several.
    pub(super) fn newest_of(
        &self,
        range: &RangeInclusive<Seq>,
        storage_id: &str,
    ) -> Option<RecordPlaces> {
        let last = (*range.end()).min(self.head());
        let first = (*range.start()).max(self.start.seq);
        if first > last {
            return None;
        }
        let known = self.storages.get(storage_id).copied();
        let is_of =
            |record: &&IndexedRecord| record.storage == MANY || Some(record.storage) == known;
        let range = self.place(first)..=self.place(last);
        let newest = self
            .records
            .range(range)
            .rev()
            .position(|record| is_of(&record))?;
        let newest = Seq(last.0 - newest as u64);
        self.places(newest, newest)
    }

    /// The first record with at least so many bytes of records before it.
    pub(super) fn seq_after_bytes(&self, bytes: u64) -> Seq {
        let wanted = self.start.bytes.saturating_add(bytes);
        self.first_that(|record| record.bytes_before >= wanted)
    }

    /// The first record whose time matches. Times that were set back make the result inexact.
    pub(super) fn first_accepted(&self, matches: impl Fn(i64) -> bool) -> Seq {
        self.first_that(|record| matches(record.accepted_ms))
    }

    fn first_that(&self, matches: impl Fn(&IndexedRecord) -> bool) -> Seq {
        let place = self.records.partition_point(|record| !matches(record));
        Seq(self.start.seq.0 + place as u64)
    }

    /// The first record at or after a number.
    fn first_from(&self, seq: Seq) -> Option<(Seq, &IndexedRecord)> {
        let seq = seq.max(self.start.seq);
        Some((seq, self.at(seq)?))
    }

    fn at(&self, seq: Seq) -> Option<&IndexedRecord> {
        self.records.get(self.place(seq))
    }

    fn place(&self, seq: Seq) -> usize {
        usize::try_from(seq.0.saturating_sub(self.start.seq.0)).unwrap_or(usize::MAX)
    }

    fn storage(&mut self, id: &str) -> u32 {
        if let Some(known) = self.storages.get(id) {
            return *known;
        }
        let number = u32::try_from(self.storages.len()).unwrap_or(MANY);
        self.storages.insert(id.to_owned(), number);
        number
    }
}
