//! The cursors of a journal in memory, with the arithmetic of their counts.
//!
//! A change is made to a copy, which takes the place of the cursors once it is durable.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use super::index::RecordIndex;
use crate::batch::Seq;
use crate::journal::commit_check::{
    CheckedCommit, CommitCheckError, CommitLookup, CommittedSpans, CommittingCursor, RecordShape,
    check,
};
use crate::journal::{
    Backlog, Commit, Cursor, CursorError, DeadLetterId, DroppedItems, ItemCounts, Position, RowSpan,
};

/// A cursor and its counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CursorState {
    /// Its position, and what the API shows. `ahead` is in order.
    pub(super) cursor: Cursor,
    /// The first record that it got.
    pub(super) start_seq: Seq,
    /// Items of all records before that one, when the cursor was made.
    pub(super) start_items: u64,
    pub(super) replayed_items: u64,
    pub(super) delivered: u64,
    pub(super) dead_lettered: u64,
    pub(super) filtered: u64,
    pub(super) dropped: BTreeMap<String, u64>,
    /// Items of the dead letters in replay.
    pub(super) replaying: BTreeMap<DeadLetterId, u64>,
}

/// The cursors of a journal by exporter.
#[derive(Clone, Debug, Default)]
pub(super) struct CursorTable {
    pub(super) by_exporter: BTreeMap<String, CursorState>,
}

/// What the check of a commit needs of the journal.
struct CommitView<'a> {
    index: &'a RecordIndex,
    state: &'a CursorState,
}

impl CursorState {
    fn new(exporter: &str, index: &RecordIndex, seq: Seq, now_ms: i64) -> Self {
        Self {
            cursor: Cursor {
                exporter: exporter.to_owned(),
                next: Position::at(seq),
                created_ms: now_ms,
                last_success_ms: None,
                last_error: None,
                last_error_ms: None,
                ahead: Vec::new(),
                replay_end: None,
                unused_since_ms: None,
            },
            start_seq: seq,
            start_items: index.items_before(seq),
            replayed_items: 0,
            delivered: 0,
            dead_lettered: 0,
            filtered: 0,
            dropped: BTreeMap::new(),
            replaying: BTreeMap::new(),
        }
    }

    /// The counts. `accepted` and `pending` come from the records and not from the other counts, so that
    /// a wrong one shows.
    pub(super) fn counts(&self, index: &RecordIndex) -> ItemCounts {
        let next = self.cursor.next;
        let behind = index.items() - index.items_before(next.seq) - next.items;
        let ahead: u64 = self.cursor.ahead.iter().map(|span| span.items).sum();
        let replaying: u64 = self.replaying.values().sum();
        let dropped = self.dropped.iter().map(|(limit, items)| DroppedItems {
            limit: limit.clone(),
            items: *items,
        });
        ItemCounts {
            accepted: index.items() - self.start_items + self.replayed_items,
            replayed: self.replayed_items,
            delivered: self.delivered,
            dead_lettered: self.dead_lettered,
            dropped: dropped.collect(),
            filtered: self.filtered,
            pending: (behind + replaying).cast_signed() - ahead.cast_signed(),
        }
    }

    pub(super) fn backlog(&self, index: &RecordIndex) -> Backlog {
        let seq = self.cursor.next.seq;
        Backlog {
            items: u64::try_from(self.counts(index).pending).unwrap_or(0),
            bytes: index.bytes_from(seq),
            oldest_accepted_ms: index.accepted_ms(seq),
        }
    }

    /// Whether every row of a record has its disposition. A record without rows is done when the cursor is
    /// past it.
    pub(super) fn has_committed(&self, record: &RecordShape) -> bool {
        let next = self.cursor.next;
        let spans = self
            .cursor
            .ahead
            .iter()
            .filter(|span| span.seq.0 == record.seq);
        let ahead: u64 = spans.map(|span| span.rows).sum();
        let before = if next.seq.0 == record.seq {
            next.row
        } else {
            0
        };
        next.seq.0 > record.seq || record.rows > 0 && before + ahead == record.rows
    }

    fn apply(&mut self, commit: &Commit, checked: &CheckedCommit, now_ms: i64) {
        let through = (commit.through.seq, commit.through.row);
        self.cursor.next = commit.through;
        let ahead = &mut self.cursor.ahead;
        ahead.retain(|span| (span.seq, span.first_row) >= through);
        ahead.extend(&commit.ahead);
        ahead.sort_unstable_by_key(|span| (span.seq, span.first_row));
        let delivered = commit.delivered + checked.replayed_delivered;
        self.delivered += delivered;
        self.filtered += commit.filtered;
        self.dead_lettered += commit.dead_lettered() + checked.replayed_dead_lettered;
        if delivered > 0 {
            self.cursor.last_success_ms = Some(now_ms);
        }
        for dropped in &commit.dropped {
            *self.dropped.entry(dropped.limit.clone()).or_default() += dropped.items;
        }
        for replayed in &commit.replayed {
            self.replaying.remove(&replayed.id);
        }
        self.end_replay();
    }

    /// A replay ends where it began.
    fn end_replay(&mut self) {
        let next = self.cursor.next.seq;
        self.cursor.replay_end = self.cursor.replay_end.filter(|end| next < *end);
    }
}

impl CursorTable {
    pub(super) fn get(&self, exporter: &str) -> Option<&CursorState> {
        self.by_exporter.get(exporter)
    }

    pub(super) fn get_mut(&mut self, exporter: &str) -> Result<&mut CursorState, CursorError> {
        let missing = || CursorError::Missing {
            exporter: exporter.to_owned(),
        };
        self.by_exporter.get_mut(exporter).ok_or_else(missing)
    }

    /// The cursors of exporters. Names of the host's own begin with `:`.
    pub(super) fn of_exporters(&self) -> impl Iterator<Item = &CursorState> {
        let states = self.by_exporter.values();
        states.filter(|state| !state.cursor.exporter.starts_with(':'))
    }

    /// The first record that a cursor has still to pass.
    pub(super) fn needed_from(&self) -> Option<Seq> {
        let states = self.by_exporter.values();
        states.map(|state| state.cursor.next.seq).min()
    }

    /// Opens the cursor of an exporter, and makes a missing one at a record.
    pub(super) fn open(
        &mut self,
        exporter: &str,
        start: Seq,
        index: &RecordIndex,
        now_ms: i64,
    ) -> Cursor {
        let new = || CursorState::new(exporter, index, start, now_ms);
        let state = self
            .by_exporter
            .entry(exporter.to_owned())
            .or_insert_with(new);
        state.cursor.unused_since_ms = None;
        state.cursor.clone()
    }

    /// Advances a cursor, if the commit adds up.
    pub(super) fn commit(
        &mut self,
        exporter: &str,
        commit: &Commit,
        index: &RecordIndex,
        now_ms: i64,
    ) -> Result<(), CursorError> {
        let state = self.get_mut(exporter)?;
        let cursor = CommittingCursor {
            next: state.cursor.next,
            items_before: None,
            has_ahead: !state.cursor.ahead.is_empty(),
        };
        let checked = check(&CommitView { index, state }, exporter, &cursor, commit);
        match checked {
            Ok(checked) => {
                state.apply(commit, &checked, now_ms);
                Ok(())
            }
            Err(CommitCheckError::Refused(reason)) => Err(CursorError::Refused {
                exporter: exporter.to_owned(),
                reason,
            }),
            Err(CommitCheckError::Store(error)) => match error {},
        }
    }

    /// The commit that drops the items without a disposition before a record; `None` if there are none.
    pub(super) fn drop_before(
        &self,
        exporter: &str,
        end: Seq,
        limit: &str,
        index: &RecordIndex,
    ) -> Option<Commit> {
        let cursor = &self.get(exporter)?.cursor;
        if Position::at(end) <= cursor.next || end > index.next() {
            return None;
        }
        let spans = cursor.ahead.iter().filter(|span| span.seq < end);
        let ahead: u64 = spans.map(|span| span.items).sum();
        let committed = index.items_before(cursor.next.seq) + cursor.next.items + ahead;
        Some(Commit {
            through: Position::at(end),
            dropped: vec![DroppedItems {
                limit: limit.to_owned(),
                items: index.items_before(end).saturating_sub(committed),
            }],
            ..Commit::default()
        })
    }

    /// Moves a cursor back. Its items are accepted a second time, so that the counts still add up when they
    /// get a second disposition.
    pub(super) fn replay(
        &mut self,
        exporter: &str,
        since_ms: i64,
        index: &RecordIndex,
    ) -> Result<u64, CursorError> {
        let state = self.get_mut(exporter)?;
        let from = index.first_accepted(|accepted_ms| accepted_ms >= since_ms);
        let next = state.cursor.next;
        if Position::at(from) >= next {
            return Ok(0);
        }
        let was_before = index.items_before(next.seq) + next.items;
        let replayed = was_before.saturating_sub(index.items_before(from));
        // A cursor inside a record: the rows before it are replayed, so the record is part of the replay.
        let end = Seq(next.seq.0 + u64::from(next.row > 0));
        state.cursor.next = Position::at(from);
        state.cursor.replay_end = state.cursor.replay_end.max(Some(end));
        state.start_seq = state.start_seq.min(from);
        state.replayed_items += replayed;
        Ok(replayed)
    }

    /// Marks the cursors of exporters that are not configured as unused, and the others as used.
    pub(super) fn set_configured(&mut self, exporters: &[String], now_ms: i64) {
        for (exporter, state) in &mut self.by_exporter {
            let is_used = exporter.starts_with(':') || exporters.contains(exporter);
            let since = state.cursor.unused_since_ms.unwrap_or(now_ms);
            state.cursor.unused_since_ms = (!is_used).then_some(since);
        }
    }

    /// Gives a cursor another name, in place of a cursor that has it. False: no such cursor.
    pub(super) fn rename(&mut self, exporter: &str, to: &str) -> bool {
        if exporter == to {
            return false;
        }
        let Some(mut state) = self.by_exporter.remove(exporter) else {
            return false;
        };
        to.clone_into(&mut state.cursor.exporter);
        self.by_exporter.insert(to.to_owned(), state);
        true
    }

    /// The names of the cursors that differ between two tables.
    pub(super) fn changed_since(&self, before: &Self) -> BTreeSet<String> {
        let names = self.by_exporter.keys().chain(before.by_exporter.keys());
        let changed = names.filter(|name| self.get(name) != before.get(name));
        changed.cloned().collect()
    }
}

impl CommitLookup for CommitView<'_> {
    type Error = Infallible;

    fn head(&self) -> u64 {
        self.index.head().0
    }

    fn appended_items(&self) -> u64 {
        self.index.items()
    }

    fn record_from(&self, seq: u64) -> Result<Option<RecordShape>, Infallible> {
        Ok(self.index.shape(Seq(seq)))
    }

    fn committed_before(&self, _: &str, position: Position) -> Result<CommittedSpans, Infallible> {
        let mut committed = CommittedSpans::default();
        for span in &self.state.cursor.ahead {
            if (span.seq, span.first_row) < (position.seq, position.row) {
                committed.items += span.items;
                if span.seq == position.seq {
                    committed.end_row = committed.end_row.max(span.end_row());
                }
            }
        }
        Ok(committed)
    }

    fn overlaps_committed(&self, _: &str, span: &RowSpan) -> Result<bool, Infallible> {
        let mut ahead = self.state.cursor.ahead.iter();
        Ok(ahead.any(|other| other.overlaps(span)))
    }

    fn items_in_replay(&self, _: &str, id: DeadLetterId) -> Result<Option<u64>, Infallible> {
        Ok(self.state.replaying.get(&id).copied())
    }

    fn verify_counts(&self, _: Position) -> Result<(), Infallible> {
        Ok(())
    }
}
