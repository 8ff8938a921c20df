//! What a journal must hold after a sequence of changes, in memory: it tracks every row.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use delfin_plugin_api::Origin;
use uuid::Uuid;

use super::super::{
    Commit, DeadLetter, DeadLetterFilter, DroppedItems, Position, RowSpan, StartFrom,
};
use crate::batch::{Header, Seq};

#[derive(Clone, Copy, Debug)]
pub(super) enum Disposition {
    Delivered,
    DeadLettered,
    Dropped,
    Filtered,
    Pending,
}

/// Dead letters of one exporter or of all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Selection {
    pub(super) exporter: Option<usize>,
    pub(super) limit: Option<u64>,
}

pub(super) struct ModelDeadLetter {
    pub(super) id: u64,
    pub(super) exporter: String,
    pub(super) items: u64,
    pub(super) replayed: bool,
}

#[derive(Clone, Copy)]
pub(super) struct ModelBatch {
    pub(super) seq: u64,
    pub(super) rows: u64,
    pub(super) items_a_row: u64,
}

#[derive(Default)]
pub(super) struct ModelCursor {
    pub(super) seq: u64,
    pub(super) row: u64,
    pub(super) accepted: u64,
    pub(super) delivered: u64,
    pub(super) dead_lettered: u64,
    pub(super) dropped: u64,
    pub(super) filtered: u64,
    pub(super) replayed: u64,
    pub(super) ahead: BTreeSet<(u64, u64)>,
}

#[derive(Default)]
pub(super) struct Model {
    pub(super) head: u64,
    pub(super) batches: VecDeque<ModelBatch>,
    pub(super) cursors_by_name: BTreeMap<String, ModelCursor>,
    pub(super) last_dead_letter: u64,
    pub(super) dead_letters: Vec<ModelDeadLetter>,
}

/// More than a test appends.
pub(super) const MAX_BATCHES: u64 = 100;
/// Time between two batches; longer than a test runs.
pub(super) const STEP_MS: u64 = 60_000;
pub(super) const DEAD_LETTER_BYTES: usize = 10;

impl Model {
    pub(super) fn append(&mut self, rows: u64, items_a_row: u64) {
        self.head += 1;
        self.batches.push_back(ModelBatch {
            seq: self.head,
            rows,
            items_a_row,
        });
        for cursor in self.cursors_by_name.values_mut() {
            cursor.accepted += rows * items_a_row;
        }
    }

    pub(super) fn open_cursor(&mut self, exporter: String, start: StartFrom) {
        let oldest = match start {
            StartFrom::Now => None,
            StartFrom::Earliest => self.batches.front(),
            StartFrom::Ago(time) => {
                let from = MAX_BATCHES - u64::try_from(time.as_millis()).unwrap() / STEP_MS;
                self.batches.iter().find(|batch| batch.seq >= from)
            }
        };
        let seq = oldest.map_or(self.head + 1, |oldest| oldest.seq);
        let from = self.batches.iter().filter(|batch| batch.seq >= seq);
        let accepted = from.map(|batch| batch.rows * batch.items_a_row).sum();
        self.cursors_by_name.entry(exporter).or_insert(ModelCursor {
            seq,
            accepted,
            ..ModelCursor::default()
        });
    }

    /// Gives dispositions to pending rows in their order, as long as there are rows
    /// and dispositions. The cursor stops at the first row that stays pending.
    pub(super) fn commit(
        &mut self,
        exporter: &str,
        dispositions: &[Disposition],
    ) -> Option<Commit> {
        let cursor = self.cursors_by_name.get_mut(exporter)?;
        let mut commit = Commit::default();
        let mut ahead = Vec::new();
        for (row, disposition) in pending_rows(&self.batches, cursor)
            .into_iter()
            .zip(dispositions)
        {
            if matches!(disposition, Disposition::DeadLettered) {
                self.last_dead_letter += 1;
                self.dead_letters.push(ModelDeadLetter {
                    id: self.last_dead_letter,
                    exporter: exporter.to_owned(),
                    items: row.0.items_a_row,
                    replayed: false,
                });
            }
            if count(cursor, &mut commit, row, *disposition) {
                let (batch, row) = row;
                cursor.ahead.insert((batch.seq, row));
                ahead.push(RowSpan {
                    seq: Seq(batch.seq),
                    first_row: row,
                    rows: 1,
                    items: batch.items_a_row,
                });
            }
        }
        let next = first_pending(&self.batches, cursor, self.head);
        (cursor.seq, cursor.row) = (next.seq.0, next.row);
        cursor.ahead.retain(|row| *row >= (next.seq.0, next.row));
        ahead.retain(|span| (span.seq, span.first_row) >= (next.seq, next.row));
        Some(Commit {
            through: next,
            ahead,
            ..commit
        })
    }

    /// Items that become pending again; `None` without a cursor.
    pub(super) fn replay(&mut self, exporter: &str, from: u64) -> Option<u64> {
        let cursor = self.cursors_by_name.get_mut(exporter)?;
        let from = self.batches.iter().find(|batch| batch.seq >= from);
        let Some(from) = from.filter(|from| (from.seq, 0) < (cursor.seq, cursor.row)) else {
            return Some(0);
        };
        let items = self
            .batches
            .iter()
            .flat_map(|batch| (0..batch.rows).map(move |row| (batch, row)))
            .filter(|(batch, row)| {
                batch.seq >= from.seq && (batch.seq, *row) < (cursor.seq, cursor.row)
            })
            .map(|(batch, _)| batch.items_a_row)
            .sum();
        (cursor.seq, cursor.row) = (from.seq, 0);
        cursor.accepted += items;
        cursor.replayed += items;
        Some(items)
    }

    /// The dead letters that a replay or a purge takes.
    pub(super) fn select(&mut self, which: Selection) -> Vec<&mut ModelDeadLetter> {
        let exporter = which.exporter.map(name);
        self.dead_letters
            .iter_mut()
            .filter(|dead_letter| !dead_letter.replayed)
            .filter(|dead_letter| {
                exporter
                    .as_ref()
                    .is_none_or(|name| *name == dead_letter.exporter)
            })
            .take(usize::try_from(which.limit.unwrap_or(u64::MAX)).unwrap())
            .collect()
    }

    pub(super) fn replay_dead_letters(&mut self, which: Selection) -> u64 {
        let mut of: BTreeMap<String, u64> = BTreeMap::new();
        for dead_letter in self.select(which) {
            dead_letter.replayed = true;
            *of.entry(dead_letter.exporter.clone()).or_default() += dead_letter.items;
        }
        for (exporter, items) in &of {
            let cursor = self.cursors_by_name.get_mut(exporter).unwrap();
            cursor.accepted += items;
            cursor.replayed += items;
        }
        of.values().sum()
    }

    pub(super) fn purge_dead_letters(&mut self, which: Selection) -> u64 {
        let gone: Vec<u64> = self
            .select(which)
            .iter()
            .map(|dead_letter| dead_letter.id)
            .collect();
        self.dead_letters
            .retain(|dead_letter| !gone.contains(&dead_letter.id));
        gone.len() as u64
    }

    pub(super) fn trim_dead_letters(&mut self, exporter: &str, keep: usize) -> u64 {
        let of: Vec<u64> = self.ids(|dead_letter| dead_letter.exporter == exporter);
        let old = &of[..of.len().saturating_sub(keep)];
        let before = self.dead_letters.len();
        self.dead_letters
            .retain(|dead_letter| dead_letter.replayed || !old.contains(&dead_letter.id));
        (before - self.dead_letters.len()) as u64
    }

    pub(super) fn commit_dead_letter(&mut self, exporter: &str, id: u64, delivered: bool) {
        let cursor = self.cursors_by_name.get_mut(exporter).unwrap();
        let dead_letter = self
            .dead_letters
            .iter_mut()
            .find(|dead_letter| dead_letter.id == id)
            .unwrap();
        dead_letter.replayed = false;
        if delivered {
            cursor.delivered += dead_letter.items;
            self.dead_letters.retain(|dead_letter| dead_letter.id != id);
        } else {
            cursor.dead_lettered += dead_letter.items;
        }
    }

    pub(super) fn remove_cursor(&mut self, exporter: &str) -> bool {
        self.dead_letters
            .retain(|dead_letter| dead_letter.exporter != exporter);
        self.cursors_by_name.remove(exporter).is_some()
    }

    pub(super) fn rename_cursor(&mut self, exporter: &str, to: &str) -> bool {
        if exporter == to || !self.cursors_by_name.contains_key(exporter) {
            return false;
        }
        self.remove_cursor(to);
        if let Some(cursor) = self.cursors_by_name.remove(exporter) {
            self.cursors_by_name.insert(to.to_owned(), cursor);
        }
        for dead_letter in &mut self.dead_letters {
            if dead_letter.exporter == exporter {
                dead_letter.exporter = to.to_owned();
            }
        }
        true
    }

    pub(super) fn ids(&self, which: impl Fn(&ModelDeadLetter) -> bool) -> Vec<u64> {
        let dead_letters = self
            .dead_letters
            .iter()
            .filter(|dead_letter| which(dead_letter));
        dead_letters.map(|dead_letter| dead_letter.id).collect()
    }

    pub(super) fn pending(&self, exporter: &str, cursor: &ModelCursor) -> u64 {
        let rows = pending_rows(&self.batches, cursor);
        let dead_letters = self.dead_letters.iter();
        let replayed = dead_letters
            .filter(|dead_letter| dead_letter.replayed && dead_letter.exporter == exporter);
        rows.iter().map(|(batch, _)| batch.items_a_row).sum::<u64>()
            + replayed.map(|dead_letter| dead_letter.items).sum::<u64>()
    }

    pub(super) fn prune(&mut self) {
        let Some(needed) = self.cursors_by_name.values().map(|cursor| cursor.seq).min() else {
            return;
        };
        self.batches.retain(|batch| batch.seq >= needed);
    }
}

pub(super) fn name(exporter: usize) -> String {
    format!("exporter-{exporter}")
}

pub(super) fn pending_rows(
    batches: &VecDeque<ModelBatch>,
    cursor: &ModelCursor,
) -> Vec<(ModelBatch, u64)> {
    let rows = batches
        .iter()
        .flat_map(|batch| (0..batch.rows).map(|row| (*batch, row)));
    rows.filter(|(batch, row)| {
        (batch.seq, *row) >= (cursor.seq, cursor.row) && !cursor.ahead.contains(&(batch.seq, *row))
    })
    .collect()
}

pub(super) fn first_pending(
    batches: &VecDeque<ModelBatch>,
    cursor: &ModelCursor,
    head: u64,
) -> Position {
    pending_rows(batches, cursor)
        .first()
        .map_or(Position::at(Seq(head + 1)), |&(batch, row)| Position {
            seq: Seq(batch.seq),
            row,
            items: row * batch.items_a_row,
        })
}

/// Counts a row. False: it stays pending.
pub(super) fn count(
    cursor: &mut ModelCursor,
    commit: &mut Commit,
    row: (ModelBatch, u64),
    disposition: Disposition,
) -> bool {
    let (batch, row) = row;
    let items = batch.items_a_row;
    match disposition {
        Disposition::Delivered => {
            cursor.delivered += items;
            commit.delivered += items;
        }
        Disposition::DeadLettered => {
            cursor.dead_lettered += items;
            commit.dead_letters.push(dead_letter(&batch, row));
        }
        Disposition::Dropped => {
            cursor.dropped += items;
            commit.dropped.push(DroppedItems {
                limit: format!("limit-{}", row % 2),
                items,
            });
        }
        Disposition::Filtered => {
            cursor.filtered += items;
            commit.filtered += items;
        }
        Disposition::Pending => return false,
    }
    true
}

impl Selection {
    pub(super) fn filter(self) -> DeadLetterFilter {
        DeadLetterFilter {
            exporter: self.exporter.map(name),
            limit: self.limit,
            ..DeadLetterFilter::default()
        }
    }
}

pub(super) fn dead_letter(batch: &ModelBatch, row: u64) -> DeadLetter {
    DeadLetter {
        plugin_version: "1.0.0".to_owned(),
        header: Header {
            batch_id: Uuid::nil(),
            origin: Origin::Collection,
            storage_id: None,
            complete: false,
            accepted_ms: 0,
            items: batch.items_a_row,
        },
        seq: Seq(batch.seq),
        first_row: row,
        rows: 1,
        code: 0,
        reason: String::new(),
        attempts: 1,
        first_ms: 0,
        last_ms: 0,
        payload: vec![1; DEAD_LETTER_BYTES],
    }
}
