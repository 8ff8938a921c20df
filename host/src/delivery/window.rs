//! The records that an exporter has before it, and what of each is still to be
//! settled.
//!
//! Rows are sent in groups: what goes into one call. A group that has to be sent
//! again is sent as it was, unless it is halved. Whatever order rows are settled
//! in, what comes out fits the journal: where the cursor may go, and which rows
//! behind it are settled already.
//!
//! Knows nothing of calls, of time passing or of the journal.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    held::{Held, Part},
    shipment::Shipment,
};
use crate::{
    batch::{Seq, StoredBatch},
    clock::{from_millis, now_ms},
    config::DeliveryOrder,
    journal::{Commit, Cursor, Position},
};

/// The most records that are held at a time, and the most bytes of them, unless
/// it is one alone.
const MOST_RECORDS: usize = 1024;
const MOST_BYTES: u64 = 64 << 20;

/// The name of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Group(u64);

/// How much goes into one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) items: u64,
    pub(super) bytes: u64,
}

impl Size {
    /// Whether something of that size has room for more.
    fn fits(self, size: Self) -> bool {
        self.items < size.items && self.bytes < size.bytes
    }
}

/// How a group fared so far.
#[derive(Clone, Copy, Debug)]
struct Trial {
    attempts: u32,
    /// When it was first tried, in milliseconds since the epoch.
    first_ms: i64,
    not_before: Option<Instant>,
}

/// What is to be done next.
#[derive(Debug)]
pub(super) enum Pick {
    /// Send this.
    Send(Shipment),
    /// Everything waits until then.
    Later(Instant),
    /// Nothing is held that could be sent.
    Nothing,
}

/// What became of rows of a shipment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The receiver has them.
    Delivered,
    /// It will never take them.
    Rejected { code: u32, reason: String },
    /// They are sent again.
    Again,
}

/// Rows that are given up.
#[derive(Clone, Debug)]
pub(super) struct GivenUp {
    pub(super) part: Part,
    pub(super) items: u64,
    pub(super) code: u32,
    pub(super) reason: String,
    pub(super) tried: Tried,
}

/// How often rows were tried, and when for the first time, in milliseconds since
/// the epoch.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tried {
    pub(super) attempts: u32,
    pub(super) first_ms: i64,
}

/// What came of settling rows.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// What the journal is told, but for what is made of rows that are given up.
    pub(super) settlement: Commit,
    pub(super) given_up: Vec<GivenUp>,
    /// The rows.
    parts: Vec<Part>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Window {
    held: VecDeque<Held>,
    groups: BTreeMap<Group, Trial>,
    last_group: u64,
    /// The record to read next.
    next: Seq,
    /// What the cursor says of records that are not read yet.
    cursor: Cursor,
}

impl Window {
    /// Goes on from where a cursor stands.
    pub(super) fn new(cursor: Cursor) -> Self {
        Self {
            held: VecDeque::new(),
            groups: BTreeMap::new(),
            last_group: 0,
            next: cursor.next.seq,
            cursor,
        }
    }

    /// Goes on from where a cursor stands, which was moved by somebody else.
    pub(super) fn go_on_from(&mut self, cursor: Cursor) {
        // What is under way now must not be taken for a group to come.
        *self = Self {
            last_group: self.last_group,
            ..Self::new(cursor)
        };
    }

    /// The record to read next.
    pub(super) fn next(&self) -> Seq {
        self.next
    }

    /// The first record that is not settled.
    pub(super) fn first(&self) -> Seq {
        self.position().seq
    }

    /// The oldest record that is held.
    pub(super) fn oldest(&self) -> Option<&Arc<StoredBatch>> {
        self.held.front().map(Held::batch)
    }

    /// Whether another record should be read, to fill a call of that size.
    pub(super) fn has_room(&self, size: Size) -> bool {
        let bytes: u64 = self.held.iter().map(Held::bytes).sum();
        let too_much = self.held.len() >= MOST_RECORDS || bytes >= MOST_BYTES;
        self.held.is_empty() || (self.fresh().fits(size) && !too_much)
    }

    /// Takes a record in, of which these rows are to be sent, or all of them.
    pub(super) fn push(&mut self, batch: Arc<StoredBatch>, kept: Option<Vec<u32>>) {
        let seq = batch.seq;
        self.next = seq.next();
        let first_row = if self.cursor.next.seq == seq {
            self.cursor.next.row as usize
        } else {
            0
        };
        let replayed = self.cursor.replay_end.is_some_and(|end| seq < end);
        let mut held = Held::new(batch, kept, replayed);
        if first_row > 0 {
            held.settle(0..first_row);
        }
        for span in self.cursor.ahead.iter().filter(|span| span.seq == seq) {
            held.settle(span.first_row as usize..span.end_row() as usize);
        }
        self.held.push_back(held);
    }

    /// What to send next, at most of that size. Rows that were never sent wait
    /// for others that long, unless they fill a call.
    pub(super) fn pick(&mut self, size: Size, ordering: DeliveryOrder, linger: Duration) -> Pick {
        let now = Instant::now();
        let mut barred = Barred::new(ordering);
        let mut soonest: Option<Instant> = None;
        for at in 0..self.held.len() {
            for index in 0..self.held[at].piece_count() {
                let key = self.held[at].key();
                if barred.bars(key) {
                    barred.add(key);
                    continue;
                }
                let group = self.held[at].piece(index).group;
                let waits = group.and_then(|group| self.groups[&group].not_before);
                if let Some(until) = waits.filter(|until| *until > now) {
                    soonest = Some(soonest.map_or(until, |soonest| soonest.min(until)));
                    barred.add(key);
                    continue;
                }
                if let Some(group) = group {
                    self.gather(group, at, barred);
                    return Pick::Send(self.ship(group));
                }
                if let Some(until) = self.lingers(at, now, size, linger) {
                    return Pick::Later(soonest.map_or(until, |soonest| soonest.min(until)));
                }
                let group = self.compose(at, index, size, &mut barred);
                return Pick::Send(self.ship(group));
            }
        }
        soonest.map_or(Pick::Nothing, Pick::Later)
    }

    /// Settles rows of a shipment. Rows that were settled since it was sent are
    /// passed over.
    pub(super) fn settle(
        &mut self,
        shipment: &Shipment,
        fates: &[(Range<usize>, Fate)],
    ) -> Settled {
        let tried = Tried {
            attempts: shipment.attempt,
            first_ms: shipment.first_ms,
        };
        let mut settled = Settled::default();
        for (rows, fate) in fates {
            if *fate == Fate::Again {
                continue;
            }
            for part in shipment.parts_of(rows) {
                let Some(held) = self
                    .held
                    .iter_mut()
                    .find(|held| held.batch().seq == part.record.batch.seq)
                else {
                    continue;
                };
                settled.take(held, &part, fate, tried);
            }
        }
        self.finish(settled)
    }

    /// Settles the record that was taken in last, of which no row is to be sent.
    pub(super) fn filter_last(&mut self) -> Settled {
        let mut settled = Settled::default();
        if let Some(held) = self.held.back_mut() {
            let whole = held.whole();
            // Of what is not sent, nothing counts as delivered.
            settled.take(held, &whole, &Fate::Delivered, Tried::default());
        }
        self.finish(settled)
    }

    /// Gives up everything that is held before a record.
    pub(super) fn give_up_before(&mut self, end: Seq, code: u32, reason: &str) -> Settled {
        let fate = Fate::Rejected {
            code,
            reason: reason.to_owned(),
        };
        let tried = Tried {
            attempts: 0,
            first_ms: now_ms(),
        };
        let mut settled = Settled::default();
        for held in self
            .held
            .iter_mut()
            .take_while(|held| held.batch().seq < end)
        {
            let whole = held.whole();
            settled.take(held, &whole, &fate, tried);
        }
        self.finish(settled)
    }

    /// Forgets everything before a record: the cursor was moved there.
    pub(super) fn forget_before(&mut self, end: Seq) {
        while self.held.front().is_some_and(|held| held.batch().seq < end) {
            self.held.pop_front();
        }
        self.next = self.next.max(end);
    }

    /// Has a group wait before it is sent again.
    pub(super) fn put_off(&mut self, group: Group, until: Instant) {
        if let Some(trial) = self.groups.get_mut(&group) {
            trial.not_before = Some(until);
        }
    }

    /// Whether rows wait to be sent again.
    pub(super) fn waits(&self, now: Instant) -> bool {
        let waits = |trial: &Trial| trial.not_before.is_some_and(|until| until > now);
        self.groups.values().any(waits)
    }

    /// Nothing waits any more.
    pub(super) fn hurry(&mut self) {
        for trial in self.groups.values_mut() {
            trial.not_before = None;
        }
    }

    /// Has a group sent in two halves; not if it is one row.
    pub(super) fn halve(&mut self, shipment: &Shipment) -> bool {
        let Some(trial) = self.groups.get(&shipment.group).copied() else {
            return true;
        };
        if shipment.rows() < 2 {
            return false;
        }
        let mut left = shipment.rows() / 2;
        let halves = [self.new_group(trial), self.new_group(trial)];
        for held in &mut self.held {
            held.split(shipment.group, &mut left, halves);
        }
        self.groups.remove(&shipment.group);
        true
    }

    /// Keeps the rows of a record that are still wanted, out of those that are
    /// to be sent, in case none of them was sent yet.
    pub(super) fn narrow(
        &mut self,
        keep: impl Fn(&Arc<StoredBatch>) -> Option<Vec<u32>>,
    ) -> Settled {
        let mut settled = Settled::default();
        for held in &mut self.held {
            // What somebody asked for once more is wanted.
            let Some(wanted) = keep(held.batch()).filter(|_| !held.is_replayed()) else {
                continue;
            };
            for rows in held.narrow(&wanted) {
                let part = held.whole().within(rows);
                settled.count(part, &Fate::Delivered, Tried::default());
            }
        }
        self.finish(settled)
    }

    /// Moves on past what is settled, and says where that leads.
    fn finish(&mut self, mut settled: Settled) -> Settled {
        while self
            .held
            .front()
            .is_some_and(|held| held.piece_count() == 0)
        {
            self.held.pop_front();
        }
        let pieces = self.held.iter().flat_map(Held::pieces);
        let alive: BTreeSet<Group> = pieces.filter_map(|piece| piece.group).collect();
        self.groups.retain(|group, _| alive.contains(group));
        let through = self.position();
        settled.settlement.through = through;
        let behind = settled.parts.iter().filter(|part| {
            (part.record.batch.seq, part.rows.start as u64) >= (through.seq, through.row)
                && !part.rows.is_empty()
        });
        settled.settlement.ahead = behind.map(Part::span).collect();
        settled
    }

    /// Where the first row is that is not settled.
    pub(super) fn position(&self) -> Position {
        match self.held.front() {
            Some(held) => held.position(),
            None if self.next == self.cursor.next.seq => self.cursor.next,
            None => Position::at(self.next),
        }
    }

    fn new_group(&mut self, trial: Trial) -> Group {
        self.last_group += 1;
        let group = Group(self.last_group);
        self.groups.insert(group, trial);
        group
    }

    /// Until when a record waits for others to be sent with it.
    fn lingers(&self, at: usize, now: Instant, size: Size, linger: Duration) -> Option<Instant> {
        let age_ms = now_ms().saturating_sub(self.held[at].batch().header.accepted_ms);
        let left = linger.checked_sub(from_millis(age_ms))?;
        let waits = !left.is_zero() && self.fresh().fits(size);
        waits.then(|| now + left)
    }

    /// How much is held that was never sent.
    fn fresh(&self) -> Size {
        let mut fresh = Size { items: 0, bytes: 0 };
        for held in &self.held {
            for piece in held.pieces().filter(|piece| piece.group.is_none()) {
                let size = held.size(&piece.rows);
                fresh.items += size.items;
                fresh.bytes += size.bytes;
            }
        }
        fresh
    }

    /// Leaves the rows of a group that may be sent now, of which those of one
    /// record are the first; the rest becomes a group of its own.
    fn gather(&mut self, group: Group, first: usize, mut barred: Barred) {
        let mut left_out = Vec::new();
        for (at, held) in self.held.iter().enumerate() {
            let mut stays_behind = false;
            for piece in held.pieces() {
                if piece.group == Some(group) {
                    // What is before the first was passed over because it is barred.
                    stays_behind |= at < first || (at > first && barred.bars(held.key()));
                }
                // What is not sent now, in this group or another, is to come before the rest.
                if at >= first && (piece.group != Some(group) || stays_behind) {
                    barred.add(held.key());
                }
            }
            if stays_behind {
                left_out.push(at);
            }
        }
        if !left_out.is_empty() {
            let rest = self.new_group(self.groups[&group]);
            for at in left_out {
                self.held[at].rename(group, rest);
            }
        }
    }

    /// A new group that begins with a piece that was never sent.
    fn compose(&mut self, at: usize, index: usize, size: Size, barred: &mut Barred) -> Group {
        let group = self.new_group(Trial {
            attempts: 0,
            first_ms: now_ms(),
            not_before: None,
        });
        let mut left = size;
        self.held[at].cut(index, size);
        self.held[at].take(index, group, &mut left, true);
        if self.held[at].piece(index).rows.is_empty() {
            return group;
        }
        let (like, mut index) = (self.held[at].like(), index + 1);
        'all: for at in at..self.held.len() {
            while index < self.held[at].piece_count() {
                let held = &mut self.held[at];
                if held.piece(index).group.is_some() || barred.bars(held.key()) {
                    barred.add(held.key());
                } else if !held.is_like(&like) || !held.take(index, group, &mut left, false) {
                    break 'all;
                }
                index += 1;
            }
            index = 0;
        }
        group
    }

    fn ship(&mut self, group: Group) -> Shipment {
        let attempts = self.groups.get_mut(&group).map_or(1, |trial| {
            trial.attempts = trial.attempts.saturating_add(1);
            trial.attempts
        });
        let first_ms = self.groups.get(&group).map_or(0, |trial| trial.first_ms);
        let parts = self
            .held
            .iter()
            .flat_map(|held| held.parts(group))
            .collect();
        Shipment::new(group, parts, attempts, first_ms)
    }
}

impl Settled {
    /// Takes rows out of a record, those that are still in it.
    fn take(&mut self, held: &mut Held, part: &Part, fate: &Fate, tried: Tried) {
        for rows in held.settle(part.rows.clone()) {
            self.count(part.within(rows), fate, tried);
        }
    }

    fn count(&mut self, part: Part, fate: &Fate, tried: Tried) {
        let items = part.sent_items();
        self.settlement.filtered += part.all_items() - items;
        self.parts.push(part.clone());
        match fate {
            Fate::Delivered => self.settlement.delivered += items,
            Fate::Rejected { code, reason } => self.given_up.push(GivenUp {
                part,
                items,
                code: *code,
                reason: reason.clone(),
                tried,
            }),
            Fate::Again => {}
        }
    }
}

/// The keys whose rows must not be sent now, for order's sake.
struct Barred {
    ordering: DeliveryOrder,
    keys: Vec<Option<String>>,
}

impl Barred {
    fn new(ordering: DeliveryOrder) -> Self {
        Self {
            ordering,
            keys: Vec::new(),
        }
    }

    /// Rows of which nobody knows what storage they are of may be of any.
    fn bars(&self, key: Option<&str>) -> bool {
        match self.ordering {
            DeliveryOrder::None => false,
            DeliveryOrder::Strict => !self.keys.is_empty(),
            DeliveryOrder::PerKey => self
                .keys
                .iter()
                .any(|barred| barred.is_none() || key.is_none() || barred.as_deref() == key),
        }
    }

    fn add(&mut self, key: Option<&str>) {
        if !self.keys.iter().any(|barred| barred.as_deref() == key) {
            self.keys.push(key.map(str::to_owned));
        }
    }
}

#[cfg(test)]
mod tests;
