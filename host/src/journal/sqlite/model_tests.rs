//! A journal against a model of it in memory, which counts one item at a time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::time::Duration;

use delfin_plugin_api::Origin;
use proptest::prelude::*;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

use crate::batch::Header;

use super::super::cursor::{DeadLetter, DroppedItems, Position, RowSpan};
use super::super::dead_letters::{DeadLetterCommit, DeadLetterDisposition};
use super::*;
use crate::clock::now_ms;

/// What is done to the journal and to the model.
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
    /// Settles so many rows, each with the disposition that comes up.
    Settle {
        exporter: usize,
        dispositions: Vec<Disposition>,
    },
    /// Asks once more for the batches from a number on.
    Replay {
        exporter: usize,
        from: u64,
    },
    /// Asks for dead letters to be delivered once more.
    ReplayLetters(Which),
    PurgeLetters(Which),
    /// Keeps so many letters of an exporter, as far as they are not being replayed.
    TrimLetters {
        exporter: usize,
        keep: usize,
    },
    /// Settles replayed letters: whether each was delivered.
    SettleLetters {
        exporter: usize,
        delivered: Vec<bool>,
    },
    RemoveCursor {
        exporter: usize,
    },
    /// Says one item too many.
    Misstate {
        exporter: usize,
    },
    /// Closes and opens again.
    Reopen,
    /// Goes on with the files as a crash would leave them.
    Crash,
}

#[derive(Clone, Copy, Debug)]
enum Disposition {
    Delivered,
    DeadLettered,
    Dropped,
    Filtered,
    Waits,
}

/// Some dead letters, of one exporter or of all.
#[derive(Clone, Copy, Debug)]
struct Which {
    exporter: Option<usize>,
    limit: Option<u64>,
}

struct Letter {
    id: u64,
    exporter: String,
    items: u64,
    replayed: bool,
}

#[derive(Clone, Copy)]
struct Batch {
    seq: u64,
    rows: u64,
    items_a_row: u64,
}

#[derive(Default)]
struct Place {
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
    batches: VecDeque<Batch>,
    places: BTreeMap<String, Place>,
    last_letter: u64,
    letters: Vec<Letter>,
}

struct Pair {
    runtime: Runtime,
    folder: TempDir,
    journal: Option<SqliteJournal>,
    model: Model,
    /// When the batch of number 0 would have been accepted.
    since_ms: i64,
}

/// More than a test appends.
const MOST_BATCHES: u64 = 100;
/// Between two batches, by their times; a test is over long before.
const STEP_MS: u64 = 60_000;
const LETTER_BYTES: usize = 10;

impl Model {
    fn append(&mut self, rows: u64, items_a_row: u64) {
        self.head += 1;
        self.batches.push_back(Batch {
            seq: self.head,
            rows,
            items_a_row,
        });
        for place in self.places.values_mut() {
            place.accepted += rows * items_a_row;
        }
    }

    fn open_cursor(&mut self, exporter: String, start: StartFrom) {
        let oldest = match start {
            StartFrom::Now => None,
            StartFrom::Earliest => self.batches.front(),
            StartFrom::Ago(time) => {
                let from = MOST_BATCHES - u64::try_from(time.as_millis()).unwrap() / STEP_MS;
                self.batches.iter().find(|batch| batch.seq >= from)
            }
        };
        let seq = oldest.map_or(self.head + 1, |oldest| oldest.seq);
        let from = self.batches.iter().filter(|batch| batch.seq >= seq);
        let accepted = from.map(|batch| batch.rows * batch.items_a_row).sum();
        self.places.entry(exporter).or_insert(Place {
            seq,
            accepted,
            ..Place::default()
        });
    }

    /// Settles unsettled rows in their order, as far as there are rows and
    /// dispositions; a row that waits keeps the cursor from passing it.
    fn commit(&mut self, exporter: &str, dispositions: &[Disposition]) -> Option<Commit> {
        let place = self.places.get_mut(exporter)?;
        let mut commit = Commit::default();
        let mut ahead = Vec::new();
        for (row, disposition) in unsettled(&self.batches, place)
            .into_iter()
            .zip(dispositions)
        {
            if matches!(disposition, Disposition::DeadLettered) {
                self.last_letter += 1;
                self.letters.push(Letter {
                    id: self.last_letter,
                    exporter: exporter.to_owned(),
                    items: row.0.items_a_row,
                    replayed: false,
                });
            }
            if account(place, &mut commit, row, *disposition) {
                let (batch, row) = row;
                place.ahead.insert((batch.seq, row));
                ahead.push(RowSpan {
                    seq: Seq(batch.seq),
                    first_row: row,
                    rows: 1,
                    items: batch.items_a_row,
                });
            }
        }
        let next = unsettled_or_end(&self.batches, place, self.head);
        (place.seq, place.row) = (next.seq.0, next.row);
        place.ahead.retain(|row| *row >= (next.seq.0, next.row));
        ahead.retain(|span| (span.seq, span.first_row) >= (next.seq, next.row));
        Some(Commit {
            through: next,
            ahead,
            ..commit
        })
    }

    /// How many items are asked for once more; nothing without a cursor.
    fn replay(&mut self, exporter: &str, from: u64) -> Option<u64> {
        let place = self.places.get_mut(exporter)?;
        let from = self.batches.iter().find(|batch| batch.seq >= from);
        let Some(from) = from.filter(|from| (from.seq, 0) < (place.seq, place.row)) else {
            return Some(0);
        };
        let items = self
            .batches
            .iter()
            .flat_map(|batch| (0..batch.rows).map(move |row| (batch, row)))
            .filter(|(batch, row)| {
                batch.seq >= from.seq && (batch.seq, *row) < (place.seq, place.row)
            })
            .map(|(batch, _)| batch.items_a_row)
            .sum();
        (place.seq, place.row) = (from.seq, 0);
        place.accepted += items;
        place.replayed += items;
        Some(items)
    }

    /// The letters that may be replayed or purged.
    fn chosen(&mut self, which: Which) -> Vec<&mut Letter> {
        let exporter = which.exporter.map(name);
        self.letters
            .iter_mut()
            .filter(|letter| !letter.replayed)
            .filter(|letter| {
                exporter
                    .as_ref()
                    .is_none_or(|name| *name == letter.exporter)
            })
            .take(usize::try_from(which.limit.unwrap_or(u64::MAX)).unwrap())
            .collect()
    }

    fn replay_letters(&mut self, which: Which) -> u64 {
        let mut of: BTreeMap<String, u64> = BTreeMap::new();
        for letter in self.chosen(which) {
            letter.replayed = true;
            *of.entry(letter.exporter.clone()).or_default() += letter.items;
        }
        for (exporter, items) in &of {
            let place = self.places.get_mut(exporter).unwrap();
            place.accepted += items;
            place.replayed += items;
        }
        of.values().sum()
    }

    fn purge_letters(&mut self, which: Which) -> u64 {
        let gone: Vec<u64> = self.chosen(which).iter().map(|letter| letter.id).collect();
        self.letters.retain(|letter| !gone.contains(&letter.id));
        gone.len() as u64
    }

    fn trim_letters(&mut self, exporter: &str, keep: usize) -> u64 {
        let of: Vec<u64> = self.ids(|letter| letter.exporter == exporter);
        let old = &of[..of.len().saturating_sub(keep)];
        let before = self.letters.len();
        self.letters
            .retain(|letter| letter.replayed || !old.contains(&letter.id));
        (before - self.letters.len()) as u64
    }

    fn settle_letter(&mut self, exporter: &str, id: u64, delivered: bool) {
        let place = self.places.get_mut(exporter).unwrap();
        let letter = self
            .letters
            .iter_mut()
            .find(|letter| letter.id == id)
            .unwrap();
        letter.replayed = false;
        if delivered {
            place.delivered += letter.items;
            self.letters.retain(|letter| letter.id != id);
        } else {
            place.dead_lettered += letter.items;
        }
    }

    fn remove_cursor(&mut self, exporter: &str) -> bool {
        self.letters.retain(|letter| letter.exporter != exporter);
        self.places.remove(exporter).is_some()
    }

    fn ids(&self, which: impl Fn(&Letter) -> bool) -> Vec<u64> {
        let letters = self.letters.iter().filter(|letter| which(letter));
        letters.map(|letter| letter.id).collect()
    }

    fn pending(&self, exporter: &str, place: &Place) -> u64 {
        let rows = unsettled(&self.batches, place);
        let letters = self.letters.iter();
        let replayed = letters.filter(|letter| letter.replayed && letter.exporter == exporter);
        rows.iter().map(|(batch, _)| batch.items_a_row).sum::<u64>()
            + replayed.map(|letter| letter.items).sum::<u64>()
    }

    fn prune(&mut self) {
        let Some(needed) = self.places.values().map(|place| place.seq).min() else {
            return;
        };
        self.batches.retain(|batch| batch.seq >= needed);
    }
}

fn name(exporter: usize) -> String {
    format!("exporter-{exporter}")
}

fn unsettled(batches: &VecDeque<Batch>, place: &Place) -> Vec<(Batch, u64)> {
    let rows = batches
        .iter()
        .flat_map(|batch| (0..batch.rows).map(|row| (*batch, row)));
    rows.filter(|(batch, row)| {
        (batch.seq, *row) >= (place.seq, place.row) && !place.ahead.contains(&(batch.seq, *row))
    })
    .collect()
}

fn unsettled_or_end(batches: &VecDeque<Batch>, place: &Place, head: u64) -> Position {
    unsettled(batches, place)
        .first()
        .map_or(Position::at(Seq(head + 1)), |&(batch, row)| Position {
            seq: Seq(batch.seq),
            row,
            items: row * batch.items_a_row,
        })
}

/// Whether the row is settled by this.
fn account(
    place: &mut Place,
    said: &mut Commit,
    row: (Batch, u64),
    disposition: Disposition,
) -> bool {
    let (batch, row) = row;
    let items = batch.items_a_row;
    match disposition {
        Disposition::Delivered => {
            place.delivered += items;
            said.delivered += items;
        }
        Disposition::DeadLettered => {
            place.dead_lettered += items;
            said.dead_letters.push(dead_letter(&batch, row));
        }
        Disposition::Dropped => {
            place.dropped += items;
            said.dropped.push(DroppedItems {
                limit: format!("limit-{}", row % 2),
                items,
            });
        }
        Disposition::Filtered => {
            place.filtered += items;
            said.filtered += items;
        }
        Disposition::Waits => return false,
    }
    true
}

impl Which {
    fn filter(self) -> DeadLetterFilter {
        DeadLetterFilter {
            exporter: self.exporter.map(name),
            limit: self.limit,
            ..DeadLetterFilter::default()
        }
    }
}

impl Pair {
    fn new() -> Self {
        let mut pair = Self {
            runtime: Builder::new_current_thread().build().unwrap(),
            folder: TempDir::new().unwrap(),
            journal: None,
            model: Model::default(),
            since_ms: now_ms() - (MOST_BATCHES * STEP_MS).cast_signed(),
        };
        pair.reopen();
        pair
    }

    fn reopen(&mut self) {
        self.journal = None;
        let limits = JournalLimits::unlimited();
        self.journal =
            Some(SqliteJournal::open(self.folder.path(), "performance", limits).unwrap());
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

    fn take(&mut self, step: Step) {
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
            Step::Settle {
                exporter,
                dispositions,
            } => {
                let exporter = name(exporter);
                let mut settling = Vec::new();
                // All are asked for before the first is answered, so that they share commits.
                for dispositions in dispositions.chunks(3) {
                    let commit = self.model.commit(&exporter, dispositions);
                    settling.push(self.journal().commit(&exporter, commit.unwrap_or_default()));
                }
                for settled in settling {
                    let settled = self.runtime.block_on(settled);
                    assert_eq!(settled.is_ok(), self.model.places.contains_key(&exporter));
                }
            }
            Step::Misstate { exporter } => {
                let exporter = name(exporter);
                let through = Position::at(Seq(self.model.head + 1));
                let pending = self
                    .model
                    .places
                    .get(&exporter)
                    .map_or(0, |place| self.model.pending(&exporter, place));
                let misstated = Commit::delivered(through, pending + 1);
                self.runtime
                    .block_on(self.journal().commit(&exporter, misstated))
                    .unwrap_err();
                // A group that changes nothing prunes all the same.
            }
            Step::Reopen => self.reopen(),
            Step::Crash => self.crash(),
            step => self.take_back(step),
        }
        self.model.prune();
    }

    /// The steps that bring something back, or let go of it.
    fn take_back(&mut self, step: Step) {
        match step {
            Step::Replay { exporter, from } => {
                let since_ms = self.accepted_ms(from);
                let replaying = self.journal().replay(&name(exporter), since_ms);
                let replayed = self.runtime.block_on(replaying);
                assert_eq!(replayed.ok(), self.model.replay(&name(exporter), from));
            }
            Step::ReplayLetters(which) => {
                let replaying = self.journal().replay_dead_letters(&which.filter());
                let replayed = self.runtime.block_on(replaying).unwrap();
                assert_eq!(replayed.items, self.model.replay_letters(which));
            }
            Step::PurgeLetters(which) => {
                let purging = self.journal().purge_dead_letters(&which.filter());
                let purged = self.runtime.block_on(purging).unwrap();
                assert_eq!(purged.dead_letters, self.model.purge_letters(which));
            }
            Step::TrimLetters { exporter, keep } => {
                let limits = DeadLetterLimits {
                    max_bytes: (keep * LETTER_BYTES) as u64,
                    max_age: Duration::MAX,
                };
                let trimming = self.journal().trim_dead_letters(&name(exporter), &limits);
                let trimmed = self.runtime.block_on(trimming).unwrap();
                assert_eq!(
                    trimmed.dead_letters,
                    self.model.trim_letters(&name(exporter), keep)
                );
            }
            Step::SettleLetters {
                exporter,
                delivered,
            } => self.settle_letters(&name(exporter), &delivered),
            Step::RemoveCursor { exporter } => {
                let removing = self.journal().remove_cursor(&name(exporter));
                let removed = self.runtime.block_on(removing).unwrap();
                assert_eq!(removed, self.model.remove_cursor(&name(exporter)));
            }
            step => unreachable!("{step:?}"),
        }
    }

    /// Settles replayed letters as their exporter does: one after the other, together.
    fn settle_letters(&mut self, exporter: &str, delivered: &[bool]) {
        let Some(place) = self.model.places.get(exporter) else {
            return;
        };
        let batches = &self.model.batches;
        let batch = batches.iter().find(|batch| batch.seq == place.seq);
        let through = Position {
            seq: Seq(place.seq),
            row: place.row,
            items: batch.map_or(0, |batch| place.row * batch.items_a_row),
        };
        let mut after = DeadLetterId(0);
        let mut replayed = Vec::new();
        for delivered in delivered {
            let Some(letter) = self
                .journal()
                .next_replayed_dead_letter(exporter, after)
                .unwrap()
            else {
                break;
            };
            after = letter.id;
            let dead_again = DeadLetterDisposition::DeadLettered {
                code: 7,
                reason: "again".to_owned(),
                plugin_version: "2.0.0".to_owned(),
                attempts: letter.dead_letter.attempts + 1,
                last_ms: 1,
            };
            replayed.push(DeadLetterCommit {
                id: letter.id,
                disposition: if *delivered {
                    DeadLetterDisposition::Delivered
                } else {
                    dead_again
                },
            });
            self.model.settle_letter(exporter, letter.id.0, *delivered);
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
            "a fate was told twice"
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
                .eq(self.model.places.keys())
        );
        for cursor in cursors {
            let place = &self.model.places[&cursor.exporter];
            assert_eq!((cursor.next.seq.0, cursor.next.row), (place.seq, place.row));
            let ahead: BTreeSet<_> = cursor
                .ahead
                .iter()
                .map(|span| (span.seq.0, span.first_row))
                .collect();
            assert_eq!(ahead, place.ahead);
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
                    place.accepted,
                    place.delivered,
                    place.dead_lettered,
                    place.dropped,
                    place.filtered
                ),
            );
            let pending = self.model.pending(&cursor.exporter, place);
            assert_eq!(counts.pending, pending.cast_signed());
            assert_eq!(counts.replayed, place.replayed);
            let ahead: Vec<u64> = held
                .iter()
                .copied()
                .filter(|seq| *seq >= place.seq)
                .collect();
            assert_eq!(read_from(journal, place.seq), ahead);
            let backlog = Backlog {
                items: pending,
                bytes: ahead.len() as u64 * 6000,
                oldest_accepted_ms: ahead.first().map(|seq| self.accepted_ms(*seq)),
            };
            assert_eq!(journal.backlog(&cursor.exporter).unwrap(), Some(backlog));
            let of_it = |letter: &Letter| letter.exporter == cursor.exporter;
            let letters = journal
                .dead_letter_totals(&cursor.exporter)
                .unwrap()
                .dead_letters;
            assert_eq!(letters, self.model.ids(of_it).len() as u64);
        }
        let letters = journal.dead_letters(&DeadLetterFilter::default()).unwrap();
        let being_replayed = letters.iter().filter(|letter| letter.replayed_ms.is_some());
        let being_replayed: Vec<u64> = being_replayed.map(|letter| letter.id.0).collect();
        let all: Vec<u64> = letters.iter().map(|letter| letter.id.0).collect();
        assert_eq!(all, self.model.ids(|_| true));
        assert_eq!(being_replayed, self.model.ids(|letter| letter.replayed));
        for (index, seq) in held.iter().enumerate() {
            let place = |bytes| journal.seq_after_bytes(bytes).unwrap().0;
            let bytes = index as u64 * 6000;
            assert_eq!((place(bytes), place(bytes + 1)), (*seq, seq + 1));
        }
    }
}

fn read_from(journal: &SqliteJournal, from: u64) -> Vec<u64> {
    let mut next = Seq(from);
    let mut found = Vec::new();
    while let Some(entry) = journal.read(next).unwrap() {
        found.push(entry.seq.0);
        next = entry.seq.next();
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

fn dead_letter(batch: &Batch, row: u64) -> DeadLetter {
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
        payload: vec![1; LETTER_BYTES],
    }
}

fn step() -> impl Strategy<Value = Step> {
    let disposition = prop_oneof![
        Just(Disposition::Delivered),
        Just(Disposition::DeadLettered),
        Just(Disposition::Dropped),
        Just(Disposition::Filtered),
        Just(Disposition::Waits),
    ];
    let start = prop_oneof![
        Just(StartFrom::Now),
        Just(StartFrom::Earliest),
        // Half a step before the batch of that number was accepted.
        (1..20_u64).prop_map(|from| StartFrom::Ago(Duration::from_millis(
            (MOST_BATCHES - from) * STEP_MS + STEP_MS / 2
        ))),
    ];
    let which = || {
        (
            proptest::option::of(0..3_usize),
            proptest::option::of(0..3_u64),
        )
            .prop_map(|(exporter, limit)| Which { exporter, limit })
    };
    prop_oneof![
        6 => (0..5_u64, 0..4_u64).prop_map(|(rows, items_a_row)| Step::Append { rows, items_a_row }),
        2 => (0..3_usize, start).prop_map(|(exporter, start)| Step::OpenCursor { exporter, start }),
        8 => (0..3_usize, proptest::collection::vec(disposition, 0..12))
            .prop_map(|(exporter, dispositions)| Step::Settle { exporter, dispositions }),
        2 => (0..3_usize, 1..20_u64).prop_map(|(exporter, from)| Step::Replay { exporter, from }),
        2 => which().prop_map(Step::ReplayLetters),
        1 => which().prop_map(Step::PurgeLetters),
        1 => (0..3_usize, 0..4_usize).prop_map(|(exporter, keep)| Step::TrimLetters { exporter, keep }),
        2 => (0..3_usize, proptest::collection::vec(any::<bool>(), 0..4))
            .prop_map(|(exporter, delivered)| Step::SettleLetters { exporter, delivered }),
        1 => (0..3_usize).prop_map(|exporter| Step::RemoveCursor { exporter }),
        1 => (0..3_usize).prop_map(|exporter| Step::Misstate { exporter }),
        1 => Just(Step::Reopen),
        1 => Just(Step::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: delfin_tests::soak(48), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_item_is_accounted_for_and_every_cursor_reads_what_it_must(
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let mut pair = Pair::new();
        for step in steps {
            pair.take(step);
            pair.compare();
        }
    }
}
