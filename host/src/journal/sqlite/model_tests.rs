//! Compares a journal with a model in memory that tracks every row.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::time::Duration;

use delfin_plugin_api::Origin;
use proptest::prelude::*;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

use crate::batch::Header;

use super::super::counts::DroppedItems;
use super::super::cursor::{Position, RowSpan};
use super::super::dead_letters::{DeadLetter, DeadLetterCommit, DeadLetterDisposition};
use super::*;
use crate::clock::now_ms;

/// A change of the journal and of the model.
#[derive(Clone, Debug)]
enum Step {
    Append {
        rows: u64,
        items_a_row: u64,
    },
    OpenCursor {
        exporter: usize,
        start: StartFrom,
    },
    /// Commits a row for each disposition, in several commits or merged into one.
    Commit {
        exporter: usize,
        merged: bool,
        dispositions: Vec<Disposition>,
    },
    /// Replays the batches from a sequence number on.
    Replay {
        exporter: usize,
        from: u64,
    },
    ReplayDeadLetters(Selection),
    PurgeDeadLetters(Selection),
    /// Keeps this many dead dead_letters of an exporter, and those in replay.
    TrimDeadLetters {
        exporter: usize,
        keep: usize,
    },
    /// Ends the replay of dead dead_letters: whether each was delivered.
    CommitDeadLetters {
        exporter: usize,
        delivered: Vec<bool>,
    },
    RemoveCursor {
        exporter: usize,
    },
    RenameCursor {
        exporter: usize,
        to: usize,
    },
    /// Commits one item too many.
    CommitTooMuch {
        exporter: usize,
    },
    Reopen,
    /// Continues with the files as a crash would leave them.
    Crash,
}

#[derive(Clone, Copy, Debug)]
enum Disposition {
    Delivered,
    DeadLettered,
    Dropped,
    Filtered,
    Pending,
}

/// Dead dead_letters of one exporter or of all.
#[derive(Clone, Copy, Debug)]
struct Selection {
    exporter: Option<usize>,
    limit: Option<u64>,
}

struct ModelDeadLetter {
    id: u64,
    exporter: String,
    items: u64,
    replayed: bool,
}

#[derive(Clone, Copy)]
struct ModelBatch {
    seq: u64,
    rows: u64,
    items_a_row: u64,
}

#[derive(Default)]
struct ModelCursor {
    seq: u64,
    row: u64,
    accepted: u64,
    delivered: u64,
    dead_lettered: u64,
    dropped: u64,
    filtered: u64,
    replayed: u64,
    ahead: BTreeSet<(u64, u64)>,
}

#[derive(Default)]
struct Model {
    head: u64,
    batches: VecDeque<ModelBatch>,
    cursors_by_name: BTreeMap<String, ModelCursor>,
    last_dead_letter: u64,
    dead_letters: Vec<ModelDeadLetter>,
}

struct JournalAndModel {
    runtime: Runtime,
    folder: TempDir,
    journal: Option<SqliteJournal>,
    model: Model,
    /// When the batch with sequence number 0 would have been accepted.
    since_ms: i64,
}

/// More than a test appends.
const MAX_BATCHES: u64 = 100;
/// Time between two batches; longer than a test runs.
const STEP_MS: u64 = 60_000;
const DEAD_LETTER_BYTES: usize = 10;

impl Model {
    fn append(&mut self, rows: u64, items_a_row: u64) {
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

    fn open_cursor(&mut self, exporter: String, start: StartFrom) {
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
    fn commit(&mut self, exporter: &str, dispositions: &[Disposition]) -> Option<Commit> {
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
    fn replay(&mut self, exporter: &str, from: u64) -> Option<u64> {
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

    /// The dead dead_letters that a replay or a purge takes.
    fn select(&mut self, which: Selection) -> Vec<&mut ModelDeadLetter> {
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

    fn replay_dead_letters(&mut self, which: Selection) -> u64 {
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

    fn purge_dead_letters(&mut self, which: Selection) -> u64 {
        let gone: Vec<u64> = self
            .select(which)
            .iter()
            .map(|dead_letter| dead_letter.id)
            .collect();
        self.dead_letters
            .retain(|dead_letter| !gone.contains(&dead_letter.id));
        gone.len() as u64
    }

    fn trim_dead_letters(&mut self, exporter: &str, keep: usize) -> u64 {
        let of: Vec<u64> = self.ids(|dead_letter| dead_letter.exporter == exporter);
        let old = &of[..of.len().saturating_sub(keep)];
        let before = self.dead_letters.len();
        self.dead_letters
            .retain(|dead_letter| dead_letter.replayed || !old.contains(&dead_letter.id));
        (before - self.dead_letters.len()) as u64
    }

    fn commit_dead_letter(&mut self, exporter: &str, id: u64, delivered: bool) {
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

    fn remove_cursor(&mut self, exporter: &str) -> bool {
        self.dead_letters
            .retain(|dead_letter| dead_letter.exporter != exporter);
        self.cursors_by_name.remove(exporter).is_some()
    }

    fn rename_cursor(&mut self, exporter: &str, to: &str) -> bool {
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

    fn ids(&self, which: impl Fn(&ModelDeadLetter) -> bool) -> Vec<u64> {
        let dead_letters = self
            .dead_letters
            .iter()
            .filter(|dead_letter| which(dead_letter));
        dead_letters.map(|dead_letter| dead_letter.id).collect()
    }

    fn pending(&self, exporter: &str, cursor: &ModelCursor) -> u64 {
        let rows = pending_rows(&self.batches, cursor);
        let dead_letters = self.dead_letters.iter();
        let replayed = dead_letters
            .filter(|dead_letter| dead_letter.replayed && dead_letter.exporter == exporter);
        rows.iter().map(|(batch, _)| batch.items_a_row).sum::<u64>()
            + replayed.map(|dead_letter| dead_letter.items).sum::<u64>()
    }

    fn prune(&mut self) {
        let Some(needed) = self.cursors_by_name.values().map(|cursor| cursor.seq).min() else {
            return;
        };
        self.batches.retain(|batch| batch.seq >= needed);
    }
}

fn name(exporter: usize) -> String {
    format!("exporter-{exporter}")
}

fn pending_rows(batches: &VecDeque<ModelBatch>, cursor: &ModelCursor) -> Vec<(ModelBatch, u64)> {
    let rows = batches
        .iter()
        .flat_map(|batch| (0..batch.rows).map(|row| (*batch, row)));
    rows.filter(|(batch, row)| {
        (batch.seq, *row) >= (cursor.seq, cursor.row) && !cursor.ahead.contains(&(batch.seq, *row))
    })
    .collect()
}

fn first_pending(batches: &VecDeque<ModelBatch>, cursor: &ModelCursor, head: u64) -> Position {
    pending_rows(batches, cursor)
        .first()
        .map_or(Position::at(Seq(head + 1)), |&(batch, row)| Position {
            seq: Seq(batch.seq),
            row,
            items: row * batch.items_a_row,
        })
}

/// Counts a row. False: it stays pending.
fn count(
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
    fn filter(self) -> DeadLetterFilter {
        DeadLetterFilter {
            exporter: self.exporter.map(name),
            limit: self.limit,
            ..DeadLetterFilter::default()
        }
    }
}

impl JournalAndModel {
    fn new() -> Self {
        let mut pair = Self {
            runtime: Builder::new_current_thread().build().unwrap(),
            folder: TempDir::new().unwrap(),
            journal: None,
            model: Model::default(),
            since_ms: now_ms() - (MAX_BATCHES * STEP_MS).cast_signed(),
        };
        pair.reopen();
        pair
    }

    fn reopen(&mut self) {
        self.journal = None;
        let limits = JournalLimits::unlimited();
        self.journal = Some(
            SqliteJournal::open(self.folder.path(), "performance", limits, &HostClock::new())
                .unwrap(),
        );
    }

    fn crash(&mut self) {
        let left = TempDir::new().unwrap();
        for name in ["performance.db", "performance.db-wal"] {
            fs::copy(self.folder.path().join(name), left.path().join(name)).unwrap();
        }
        self.journal = None;
        self.folder = left;
        self.reopen();
    }

    fn journal(&self) -> &SqliteJournal {
        self.journal.as_ref().unwrap()
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Append { rows, items_a_row } => {
                let accepted_ms = self.accepted_ms(self.model.head + 1);
                let receipt = self.runtime.block_on(
                    self.journal()
                        .append(record(rows, rows * items_a_row, accepted_ms), None),
                );
                self.model.append(rows, items_a_row);
                assert_eq!(receipt.unwrap().seq.0, self.model.head);
            }
            Step::OpenCursor { exporter, start } => {
                let exporter = name(exporter);
                self.runtime
                    .block_on(self.journal().open_cursor(&exporter, start))
                    .unwrap();
                self.model.open_cursor(exporter, start);
            }
            Step::Commit {
                exporter,
                merged,
                dispositions,
            } => {
                let exporter = name(exporter);
                let mut commits: Vec<Commit> = Vec::new();
                for dispositions in dispositions.chunks(3) {
                    let commit = self.model.commit(&exporter, dispositions);
                    let commit = commit.unwrap_or_default();
                    match commits.last_mut() {
                        Some(earlier) if merged => earlier.merge(commit),
                        Some(_) | None => commits.push(commit),
                    }
                }
                // Start all before the first is durable, so that they share transactions.
                let commits: Vec<_> = commits
                    .into_iter()
                    .map(|commit| self.journal().commit(&exporter, commit))
                    .collect();
                for commit in commits {
                    let committed = self.runtime.block_on(commit);
                    assert_eq!(
                        committed.is_ok(),
                        self.model.cursors_by_name.contains_key(&exporter)
                    );
                }
            }
            Step::CommitTooMuch { exporter } => {
                let exporter = name(exporter);
                let through = Position::at(Seq(self.model.head + 1));
                let pending = self
                    .model
                    .cursors_by_name
                    .get(&exporter)
                    .map_or(0, |cursor| self.model.pending(&exporter, cursor));
                let too_much = Commit::delivered(through, pending + 1);
                self.runtime
                    .block_on(self.journal().commit(&exporter, too_much))
                    .unwrap_err();
                // The journal also prunes in a transaction that changes nothing else.
            }
            Step::Reopen => self.reopen(),
            Step::Crash => self.crash(),
            step => self.run_replay_or_removal(step),
        }
        self.model.prune();
    }

    /// The steps of replays and deletions.
    fn run_replay_or_removal(&mut self, step: Step) {
        match step {
            Step::Replay { exporter, from } => {
                let since_ms = self.accepted_ms(from);
                let replaying = self.journal().replay(&name(exporter), since_ms);
                let replayed = self.runtime.block_on(replaying);
                assert_eq!(replayed.ok(), self.model.replay(&name(exporter), from));
            }
            Step::ReplayDeadLetters(which) => {
                let replaying = self.journal().replay_dead_letters(&which.filter());
                let replayed = self.runtime.block_on(replaying).unwrap();
                assert_eq!(replayed.items, self.model.replay_dead_letters(which));
            }
            Step::PurgeDeadLetters(which) => {
                let purging = self.journal().purge_dead_letters(&which.filter());
                let purged = self.runtime.block_on(purging).unwrap();
                assert_eq!(purged.dead_letters, self.model.purge_dead_letters(which));
            }
            Step::TrimDeadLetters { exporter, keep } => {
                let limits = DeadLetterLimits {
                    max_bytes: (keep * DEAD_LETTER_BYTES) as u64,
                    max_age: Duration::MAX,
                };
                let trimming = self.journal().trim_dead_letters(&name(exporter), &limits);
                let trimmed = self.runtime.block_on(trimming).unwrap();
                assert_eq!(
                    trimmed.dead_letters,
                    self.model.trim_dead_letters(&name(exporter), keep)
                );
            }
            Step::CommitDeadLetters {
                exporter,
                delivered,
            } => self.commit_dead_letters(&name(exporter), &delivered),
            Step::RemoveCursor { exporter } => {
                let removing = self.journal().remove_cursor(&name(exporter));
                let removed = self.runtime.block_on(removing).unwrap();
                assert_eq!(removed, self.model.remove_cursor(&name(exporter)));
            }
            Step::RenameCursor { exporter, to } => {
                let renaming = self.journal().rename_cursor(&name(exporter), &name(to));
                let renamed = self.runtime.block_on(renaming).unwrap();
                assert_eq!(
                    renamed,
                    self.model.rename_cursor(&name(exporter), &name(to))
                );
            }
            step => unreachable!("{step:?}"),
        }
    }

    /// Reads one dead dead_letter in replay after the other, and commits all of them together.
    fn commit_dead_letters(&mut self, exporter: &str, delivered: &[bool]) {
        let Some(cursor) = self.model.cursors_by_name.get(exporter) else {
            return;
        };
        let batches = &self.model.batches;
        let batch = batches.iter().find(|batch| batch.seq == cursor.seq);
        let through = Position {
            seq: Seq(cursor.seq),
            row: cursor.row,
            items: batch.map_or(0, |batch| cursor.row * batch.items_a_row),
        };
        let mut after = DeadLetterId(0);
        let mut replayed = Vec::new();
        for delivered in delivered {
            let Some(stored) = self
                .journal()
                .next_replayed_dead_letter(exporter, after)
                .unwrap()
            else {
                break;
            };
            after = stored.id;
            let dead_lettered = DeadLetterDisposition::DeadLettered {
                code: 7,
                reason: "again".to_owned(),
                plugin_version: "2.0.0".to_owned(),
                attempts: stored.dead_letter.attempts + 1,
                last_ms: 1,
            };
            replayed.push(DeadLetterCommit {
                id: stored.id,
                disposition: if *delivered {
                    DeadLetterDisposition::Delivered
                } else {
                    dead_lettered
                },
            });
            self.model
                .commit_dead_letter(exporter, stored.id.0, *delivered);
        }
        let commit = Commit {
            through,
            replayed,
            ..Commit::default()
        };
        let again = commit.clone();
        self.runtime
            .block_on(self.journal().commit(exporter, commit))
            .unwrap();
        let twice = self
            .runtime
            .block_on(self.journal().commit(exporter, again.clone()));
        assert_eq!(
            twice.is_ok(),
            again.replayed.is_empty(),
            "the end of a replay was committed twice"
        );
    }

    fn accepted_ms(&self, seq: u64) -> i64 {
        self.since_ms + (seq * STEP_MS).cast_signed()
    }

    fn compare(&self) {
        let journal = self.journal();
        assert_eq!(journal.head().borrow().0, self.model.head);
        let held: Vec<u64> = self.model.batches.iter().map(|batch| batch.seq).collect();
        assert_eq!(read_from(journal, 0), held);
        let cursors = journal.cursors().unwrap();
        assert!(
            cursors
                .iter()
                .map(|cursor| &cursor.exporter)
                .eq(self.model.cursors_by_name.keys())
        );
        for cursor in cursors {
            let expected = &self.model.cursors_by_name[&cursor.exporter];
            assert_eq!(
                (cursor.next.seq.0, cursor.next.row),
                (expected.seq, expected.row)
            );
            let ahead: BTreeSet<_> = cursor
                .ahead
                .iter()
                .map(|span| (span.seq.0, span.first_row))
                .collect();
            assert_eq!(ahead, expected.ahead);
            let counts = journal.counts(&cursor.exporter).unwrap().unwrap();
            assert_eq!(counts.unaccounted(), 0, "{counts:?}");
            assert_eq!(
                (
                    counts.accepted,
                    counts.delivered,
                    counts.dead_lettered,
                    counts.dropped(),
                    counts.filtered
                ),
                (
                    expected.accepted,
                    expected.delivered,
                    expected.dead_lettered,
                    expected.dropped,
                    expected.filtered
                ),
            );
            let pending = self.model.pending(&cursor.exporter, expected);
            assert_eq!(counts.pending, pending.cast_signed());
            assert_eq!(counts.replayed, expected.replayed);
            let pending_records: Vec<u64> = held
                .iter()
                .copied()
                .filter(|seq| *seq >= expected.seq)
                .collect();
            assert_eq!(read_from(journal, expected.seq), pending_records);
            let backlog = Backlog {
                items: pending,
                bytes: pending_records.len() as u64 * 6000,
                oldest_accepted_ms: pending_records.first().map(|seq| self.accepted_ms(*seq)),
            };
            assert_eq!(journal.backlog(&cursor.exporter).unwrap(), Some(backlog));
            let is_of_exporter =
                |dead_letter: &ModelDeadLetter| dead_letter.exporter == cursor.exporter;
            let dead_letters = journal
                .dead_letter_totals(&cursor.exporter)
                .unwrap()
                .dead_letters;
            assert_eq!(dead_letters, self.model.ids(is_of_exporter).len() as u64);
        }
        let dead_letters = journal.dead_letters(&DeadLetterFilter::default()).unwrap();
        let in_replay = dead_letters
            .iter()
            .filter(|dead_letter| dead_letter.replayed_ms.is_some());
        let in_replay: Vec<u64> = in_replay.map(|dead_letter| dead_letter.id.0).collect();
        let all: Vec<u64> = dead_letters
            .iter()
            .map(|dead_letter| dead_letter.id.0)
            .collect();
        assert_eq!(all, self.model.ids(|_| true));
        assert_eq!(
            in_replay,
            self.model.ids(|dead_letter| dead_letter.replayed)
        );
        for (index, seq) in held.iter().enumerate() {
            let seq_after = |bytes| journal.seq_after_bytes(bytes).unwrap().0;
            let bytes = index as u64 * 6000;
            assert_eq!((seq_after(bytes), seq_after(bytes + 1)), (*seq, seq + 1));
        }
    }
}

fn read_from(journal: &SqliteJournal, from: u64) -> Vec<u64> {
    let mut next = Seq(from);
    let mut found = Vec::new();
    while let Some(record) = journal.read(next).unwrap() {
        found.push(record.seq.0);
        next = record.seq.next();
    }
    found
}

fn record(rows: u64, items: u64, accepted_ms: i64) -> NewRecord {
    NewRecord {
        header: Header {
            batch_id: Uuid::now_v7(),
            origin: Origin::Collection,
            storage_id: None,
            complete: false,
            accepted_ms,
            items,
        },
        rows,
        payload: vec![0; 6000],
    }
}

fn dead_letter(batch: &ModelBatch, row: u64) -> DeadLetter {
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

fn step() -> impl Strategy<Value = Step> {
    let disposition = prop_oneof![
        Just(Disposition::Delivered),
        Just(Disposition::DeadLettered),
        Just(Disposition::Dropped),
        Just(Disposition::Filtered),
        Just(Disposition::Pending),
    ];
    let start = prop_oneof![
        Just(StartFrom::Now),
        Just(StartFrom::Earliest),
        // Half of `STEP_MS` before the batch of that number was accepted.
        (1..20_u64).prop_map(|from| StartFrom::Ago(Duration::from_millis(
            (MAX_BATCHES - from) * STEP_MS + STEP_MS / 2
        ))),
    ];
    let which = || {
        (
            proptest::option::of(0..3_usize),
            proptest::option::of(0..3_u64),
        )
            .prop_map(|(exporter, limit)| Selection { exporter, limit })
    };
    prop_oneof![
        6 => (0..5_u64, 0..4_u64).prop_map(|(rows, items_a_row)| Step::Append { rows, items_a_row }),
        2 => (0..3_usize, start).prop_map(|(exporter, start)| Step::OpenCursor { exporter, start }),
        8 => (0..3_usize, any::<bool>(), proptest::collection::vec(disposition, 0..12))
            .prop_map(|(exporter, merged, dispositions)| Step::Commit { exporter, merged, dispositions }),
        2 => (0..3_usize, 1..20_u64).prop_map(|(exporter, from)| Step::Replay { exporter, from }),
        2 => which().prop_map(Step::ReplayDeadLetters),
        1 => which().prop_map(Step::PurgeDeadLetters),
        1 => (0..3_usize, 0..4_usize).prop_map(|(exporter, keep)| Step::TrimDeadLetters { exporter, keep }),
        2 => (0..3_usize, proptest::collection::vec(any::<bool>(), 0..4))
            .prop_map(|(exporter, delivered)| Step::CommitDeadLetters { exporter, delivered }),
        1 => (0..3_usize).prop_map(|exporter| Step::RemoveCursor { exporter }),
        1 => (0..3_usize, 0..3_usize).prop_map(|(exporter, to)| Step::RenameCursor { exporter, to }),
        1 => (0..3_usize).prop_map(|exporter| Step::CommitTooMuch { exporter }),
        1 => Just(Step::Reopen),
        1 => Just(Step::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: delfin_tests::soak(48), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_item_has_one_count_and_every_cursor_reads_its_records(
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let mut pair = JournalAndModel::new();
        for step in steps {
            pair.run(step);
            pair.compare();
        }
    }
}
