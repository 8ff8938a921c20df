//! The in-flight batches of an exporter, and which rows to send next.
//!
//! Rows are sent in groups: one group is one request. A group that must be sent
//! again is sent with the same rows, unless it is split. Rows are committed in
//! any order; each commit that the window makes fits the journal: it says how far
//! the cursor advances, and which rows after the cursor are committed already.
//!
//! Knows nothing of calls, of the journal and of the circuit breaker.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    in_flight::{BatchRows, InFlightBatch},
    ordering::OrderingGuard,
    rows::{RequestLimits, RequestSize, RowResult, SendGroup},
    selection::RowSelection,
};
use crate::{
    batch::{ReadBatch, Seq, StoredBatch},
    clock::{HostClock, now_ms},
    config::DeliveryOrder,
    journal::{Commit, Cursor, Position},
    memory::MemoryBudget,
};

/// The most in-flight batches of an exporter. Their memory is limited, too.
const MAX_BATCHES: usize = 2048;

/// The attempts of a group so far.
#[derive(Clone, Copy, Debug)]
struct AttemptState {
    attempts: u32,
    /// When the first attempt started, in milliseconds since the Unix epoch.
    first_ms: i64,
    not_before: Option<Instant>,
}

/// What to send next.
#[derive(Debug)]
pub(super) enum NextRows {
    Send(RowSelection),
    /// All rows wait until then, for their backoff or for more rows.
    WaitUntil(Instant),
    /// No row can be sent.
    Empty,
}

/// Rows that become a dead letter.
#[derive(Clone, Debug)]
pub(super) struct DeadRows {
    pub(super) rows: BatchRows,
    pub(super) items: u64,
    pub(super) code: u32,
    pub(super) reason: String,
    pub(super) attempts: Attempts,
}

/// How often rows were sent, and when for the first time, in milliseconds since
/// the Unix epoch.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Attempts {
    pub(super) count: u32,
    pub(super) first_ms: i64,
}

/// A commit in the making: complete but for the dead letters.
#[derive(Debug, Default)]
pub(super) struct RowCommit {
    pub(super) commit: Commit,
    pub(super) dead: Vec<DeadRows>,
    committed: Vec<BatchRows>,
}

#[derive(Clone, Debug)]
pub(super) struct Window {
    /// In the order of the journal. The first one has pending rows.
    batches: VecDeque<InFlightBatch>,
    groups: BTreeMap<SendGroup, AttemptState>,
    last_group: u64,
    size: WindowSize,
    /// The record to read next.
    next: Seq,
    /// What the cursor says of records that are not read yet.
    cursor: Cursor,
    /// Measures the age of batches.
    clock: HostClock,
    memory: Arc<MemoryBudget>,
}

/// Sums over the batches of a window, so that reading a batch costs the same with any number of others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct WindowSize {
    /// The memory that the batches keep.
    bytes: u64,
    /// The pending rows that were never sent.
    unsent: RequestSize,
}

impl WindowSize {
    fn add(&mut self, batch: &InFlightBatch) {
        self.bytes += batch.bytes();
        for pending in batch.pending().filter(|pending| pending.group.is_none()) {
            let size = batch.size(&pending.rows);
            self.unsent.items += size.items;
            self.unsent.bytes += size.bytes;
        }
    }
}

impl Window {
    /// Starts at a cursor.
    pub(super) fn new(cursor: Cursor, clock: HostClock, memory: Arc<MemoryBudget>) -> Self {
        Self {
            clock,
            memory,
            batches: VecDeque::new(),
            groups: BTreeMap::new(),
            last_group: 0,
            size: WindowSize::default(),
            next: cursor.next.seq,
            cursor,
        }
    }

    /// Starts again at a cursor that was moved by something else.
    pub(super) fn reset(&mut self, cursor: Cursor) {
        // Group numbers go on: the outcome of a call in progress must not be
        // taken for one of a later group.
        *self = Self {
            last_group: self.last_group,
            ..Self::new(cursor, self.clock.clone(), Arc::clone(&self.memory))
        };
    }

    /// The record to read next.
    pub(super) fn next(&self) -> Seq {
        self.next
    }

    /// The first record with pending rows.
    pub(super) fn first(&self) -> Seq {
        self.position().seq
    }

    pub(super) fn oldest(&self) -> Option<&ReadBatch> {
        self.batches.front().map(InFlightBatch::stored)
    }

    /// The pending rows that were never sent.
    pub(super) fn unsent(&self) -> RequestSize {
        self.size.unsent
    }

    /// Whether to read another record, to fill a request. One batch is always read.
    pub(super) fn has_room(&self, limits: RequestLimits) -> bool {
        debug_assert_eq!(self.size, self.counted());
        let is_full = self.batches.len() >= MAX_BATCHES
            || !self.memory.has_room_for_exporter(self.size.bytes);
        self.batches.is_empty() || (self.size.unsent.is_below(limits.merged) && !is_full)
    }

    /// Adds a batch and the rows of it that are sent; `None`: all rows.
    pub(super) fn push(&mut self, batch: ReadBatch, sent: Option<Vec<u32>>) {
        let seq = batch.seq;
        self.next = seq.next();
        let first_row = if self.cursor.next.seq == seq {
            self.cursor.next.row as usize
        } else {
            0
        };
        let replayed = self.cursor.replay_end.is_some_and(|end| seq < end);
        let mut batch = InFlightBatch::new(batch, sent, replayed);
        // Rows that were committed before a restart: those before the cursor, and
        // those that were committed ahead of it.
        if first_row > 0 {
            batch.remove(0..first_row);
        }
        for span in self.cursor.ahead.iter().filter(|span| span.seq == seq) {
            batch.remove(span.first_row as usize..span.end_row() as usize);
        }
        self.size.add(&batch);
        self.batches.push_back(batch);
    }

    /// Chooses the rows of the next request.
    ///
    /// Goes through the pending rows in the order of the journal and takes the
    /// first range that may be sent. A range that waits for its backoff makes the
    /// guard hold back later rows of the same storage; rows of other storages go
    /// on. A range that was sent before is sent with its group again; a new range
    /// starts a group and is merged with the ranges that follow it.
    pub(super) fn next_rows(
        &mut self,
        limits: RequestLimits,
        ordering: DeliveryOrder,
        linger: Duration,
    ) -> NextRows {
        let now = Instant::now();
        let mut guard = OrderingGuard::new(ordering);
        let mut soonest: Option<Instant> = None;
        for at in 0..self.batches.len() {
            for index in 0..self.batches[at].pending_count() {
                let key = self.batches[at].ordering_key();
                if guard.holds(key) {
                    guard.hold(key);
                    continue;
                }
                let group = self.batches[at].pending_rows(index).group;
                let not_before = group.and_then(|group| self.groups[&group].not_before);
                if let Some(until) = not_before.filter(|until| *until > now) {
                    soonest = Some(soonest.map_or(until, |soonest| soonest.min(until)));
                    guard.hold(key);
                    continue;
                }
                if let Some(group) = group {
                    self.keep_sendable(group, at, guard);
                    return NextRows::Send(self.select(group));
                }
                if let Some(until) = self.lingers_until(at, now, limits.merged, linger) {
                    let until = soonest.map_or(until, |soonest| soonest.min(until));
                    return NextRows::WaitUntil(until);
                }
                let group = self.new_request(at, index, limits, &mut guard);
                self.size = self.counted();
                return NextRows::Send(self.select(group));
            }
        }
        soonest.map_or(NextRows::Empty, NextRows::WaitUntil)
    }

    /// The rows of the request after that of a group, if all rows of the group are delivered; `None`
    /// if the request can still get more rows.
    pub(super) fn rows_after(
        &self,
        group: SendGroup,
        limits: RequestLimits,
        ordering: DeliveryOrder,
    ) -> Option<RowSelection> {
        if self.size.unsent.is_below(limits.merged) {
            return None;
        }
        let mut later = self.clone();
        for batch in &mut later.batches {
            batch.remove_group(group);
        }
        match later.next_rows(limits, ordering, Duration::ZERO) {
            NextRows::Send(selection) => Some(selection),
            NextRows::WaitUntil(_) | NextRows::Empty => None,
        }
    }

    /// Commits rows of a request. Rows that were committed since they were sent
    /// are skipped.
    pub(super) fn commit(
        &mut self,
        selection: &RowSelection,
        results: &[(Range<usize>, RowResult)],
    ) -> RowCommit {
        let attempts = Attempts {
            count: selection.attempt,
            first_ms: selection.first_attempt_ms,
        };
        let mut commit = RowCommit::default();
        for (rows, result) in results {
            if *result == RowResult::Retry {
                continue;
            }
            for part in selection.locate(rows) {
                let sent = &part.batch.stored;
                let at = self
                    .batches
                    .partition_point(|batch| batch.stored().seq < sent.seq);
                // After damage, a new batch can have the sequence number of a lost one.
                let is_same = |stored: &StoredBatch| {
                    stored.seq == sent.seq && stored.header.batch_id == sent.header.batch_id
                };
                let found = self.batches.get_mut(at);
                if let Some(batch) = found.filter(|batch| is_same(batch.stored())) {
                    commit.remove(batch, &part, result, attempts);
                }
            }
        }
        self.advance(commit)
    }

    /// Commits the batch that was added last: no row of it is sent.
    pub(super) fn commit_filtered(&mut self) -> RowCommit {
        let mut commit = RowCommit::default();
        if let Some(batch) = self.batches.back_mut() {
            let whole = batch.whole();
            // No row is sent, so all of them count as filtered.
            commit.remove(batch, &whole, &RowResult::Delivered, Attempts::default());
        }
        self.advance(commit)
    }

    /// Turns all pending rows before a record into dead letters.
    pub(super) fn reject_before(&mut self, end: Seq, code: u32, reason: &str) -> RowCommit {
        let result = RowResult::Rejected {
            code,
            reason: reason.to_owned(),
        };
        let attempts = Attempts {
            count: 0,
            first_ms: now_ms(),
        };
        let mut commit = RowCommit::default();
        for batch in self
            .batches
            .iter_mut()
            .take_while(|batch| batch.stored().seq < end)
        {
            let whole = batch.whole();
            commit.remove(batch, &whole, &result, attempts);
        }
        self.advance(commit)
    }

    /// Discards the batches before a record: the cursor was moved there.
    pub(super) fn discard_before(&mut self, end: Seq) {
        while self
            .batches
            .front()
            .is_some_and(|batch| batch.stored().seq < end)
        {
            self.batches.pop_front();
        }
        self.size = self.counted();
        self.next = self.next.max(end);
    }

    /// Does not send a group before then.
    pub(super) fn postpone(&mut self, group: SendGroup, until: Instant) {
        if let Some(state) = self.groups.get_mut(&group) {
            state.not_before = Some(until);
        }
    }

    /// Whether rows wait for their backoff.
    pub(super) fn has_postponed(&self, now: Instant) -> bool {
        let is_postponed = |state: &AttemptState| state.not_before.is_some_and(|until| until > now);
        self.groups.values().any(is_postponed)
    }

    /// Ends all backoffs.
    pub(super) fn retry_now(&mut self) {
        for state in self.groups.values_mut() {
            state.not_before = None;
        }
    }

    /// Splits a group into two halves, which are sent one after the other. Returns
    /// false if the group is one row, which cannot be split.
    pub(super) fn split(&mut self, selection: &RowSelection) -> bool {
        let Some(state) = self.groups.get(&selection.group).copied() else {
            return true;
        };
        if selection.rows() < 2 {
            return false;
        }
        let mut left = selection.rows() / 2;
        let halves = [self.new_group(state), self.new_group(state)];
        for batch in &mut self.batches {
            batch.split(selection.group, &mut left, halves);
        }
        self.groups.remove(&selection.group);
        true
    }

    /// Commits as filtered the rows that are no longer wanted, if there are any. `wanted`
    /// returns the rows of a batch that still are; `None`: all rows. Replayed batches are
    /// sent whole.
    pub(super) fn restrict(
        &mut self,
        wanted: impl Fn(&StoredBatch) -> Option<Vec<u32>>,
    ) -> Option<RowCommit> {
        let mut commit = RowCommit::default();
        for batch in &mut self.batches {
            let Some(wanted) = wanted(batch.stored()).filter(|_| !batch.is_replayed()) else {
                continue;
            };
            for rows in batch.restrict(&wanted) {
                let rows = batch.whole().with_rows(rows);
                commit.add(rows, &RowResult::Delivered, Attempts::default());
            }
        }
        (!commit.committed.is_empty()).then(|| self.advance(commit))
    }

    /// The position of the first pending row.
    pub(super) fn position(&self) -> Position {
        match self.batches.front() {
            Some(batch) => batch.position(),
            // Nothing was read: the cursor may be inside a record.
            None if self.next == self.cursor.next.seq => self.cursor.next,
            None => Position::at(self.next),
        }
    }

    /// Completes a commit: the cursor advances to the first pending row, and what
    /// was committed after that row is named as committed ahead of the cursor.
    fn advance(&mut self, mut commit: RowCommit) -> RowCommit {
        while self
            .batches
            .front()
            .is_some_and(|batch| batch.pending_count() == 0)
        {
            self.batches.pop_front();
        }
        let pending = self.batches.iter().flat_map(InFlightBatch::pending);
        let used: BTreeSet<SendGroup> = pending.filter_map(|pending| pending.group).collect();
        self.groups.retain(|group, _| used.contains(group));
        self.size = self.counted();
        let through = self.position();
        commit.commit.through = through;
        let ahead = commit.committed.iter().filter(|part| {
            (part.batch.stored.seq, part.rows.start as u64) >= (through.seq, through.row)
                && !part.rows.is_empty()
        });
        commit.commit.ahead = ahead.map(BatchRows::span).collect();
        commit
    }

    fn new_group(&mut self, state: AttemptState) -> SendGroup {
        self.last_group += 1;
        let group = SendGroup(self.last_group);
        self.groups.insert(group, state);
        group
    }

    /// Until when a batch waits for others to fill a request with it.
    fn lingers_until(
        &self,
        at: usize,
        now: Instant,
        size: RequestSize,
        linger: Duration,
    ) -> Option<Instant> {
        let accepted_ms = self.batches[at].stored().header.accepted_ms;
        let left = linger.checked_sub(self.clock.age(accepted_ms))?;
        let lingers = !left.is_zero() && self.size.unsent.is_below(size);
        lingers.then(|| now + left)
    }

    fn counted(&self) -> WindowSize {
        let mut size = WindowSize::default();
        self.batches.iter().for_each(|batch| size.add(batch));
        size
    }

    /// Keeps in a group the rows that may be sent now; those of the batch
    /// at `first` are the earliest. Rows of the group that the guard holds back
    /// become a group of their own, with the same attempts.
    ///
    /// A group can span batches of several storages. After a partial outcome, one
    /// of the storages may have earlier rows that still wait in another group; its
    /// rows in this group must then not overtake them.
    fn keep_sendable(&mut self, group: SendGroup, first: usize, mut guard: OrderingGuard) {
        let mut held_back = Vec::new();
        for (at, batch) in self.batches.iter().enumerate() {
            let mut is_held_back = false;
            for pending in batch.pending() {
                if pending.group == Some(group) {
                    // Batches before the first one were skipped because they are held back.
                    is_held_back |= at < first || (at > first && guard.holds(batch.ordering_key()));
                }
                // Rows that are not sent now, in this group or another, come before
                // the later rows of its storage.
                if at >= first && (pending.group != Some(group) || is_held_back) {
                    guard.hold(batch.ordering_key());
                }
            }
            if is_held_back {
                held_back.push(at);
            }
        }
        if !held_back.is_empty() {
            let rest = self.new_group(self.groups[&group]);
            for at in held_back {
                self.batches[at].move_group(group, rest);
            }
        }
    }

    /// Makes a group of rows that were never sent: starts with one pending range,
    /// cut to the limit of one batch, and adds the ranges that follow it while they
    /// fit, are not held back and have the same schema and origin.
    fn new_request(
        &mut self,
        at: usize,
        index: usize,
        limits: RequestLimits,
        guard: &mut OrderingGuard,
    ) -> SendGroup {
        let group = self.new_group(AttemptState {
            attempts: 0,
            first_ms: now_ms(),
            not_before: None,
        });
        let mut room = limits.merged;
        self.batches[at].cut(index, limits.batch);
        self.batches[at].assign(index, group, &mut room, true);
        // A batch without rows is alone in its request.
        if self.batches[at].pending_rows(index).rows.is_empty() {
            return group;
        }
        let (key, mut index) = (self.batches[at].merge_key(), index + 1);
        'batches: for at in at..self.batches.len() {
            while index < self.batches[at].pending_count() {
                let batch = &mut self.batches[at];
                if batch.pending_rows(index).group.is_some() || guard.holds(batch.ordering_key()) {
                    guard.hold(batch.ordering_key());
                } else if !batch.merges_with(&key) || !batch.assign(index, group, &mut room, false)
                {
                    break 'batches;
                }
                index += 1;
            }
            index = 0;
        }
        group
    }

    /// The rows of a group, for its next attempt.
    fn select(&mut self, group: SendGroup) -> RowSelection {
        let attempts = self.groups.get_mut(&group).map_or(1, |state| {
            state.attempts = state.attempts.saturating_add(1);
            state.attempts
        });
        let first_ms = self.groups.get(&group).map_or(0, |state| state.first_ms);
        let parts = self.batches.iter().flat_map(|batch| batch.rows_of(group));
        RowSelection::new(group, parts.collect(), attempts, first_ms)
    }
}

impl RowCommit {
    /// Removes rows from a batch, and counts those that were pending.
    fn remove(
        &mut self,
        batch: &mut InFlightBatch,
        part: &BatchRows,
        result: &RowResult,
        attempts: Attempts,
    ) {
        for rows in batch.remove(part.rows.clone()) {
            self.add(part.with_rows(rows), result, attempts);
        }
    }

    fn add(&mut self, rows: BatchRows, result: &RowResult, attempts: Attempts) {
        let items = rows.sent_items();
        self.commit.filtered += rows.all_items() - items;
        self.committed.push(rows.clone());
        match result {
            RowResult::Delivered => self.commit.delivered += items,
            RowResult::Rejected { code, reason } => self.dead.push(DeadRows {
                rows,
                items,
                code: *code,
                reason: reason.clone(),
                attempts,
            }),
            RowResult::Retry => {}
        }
    }
}

#[cfg(test)]
mod tests;
