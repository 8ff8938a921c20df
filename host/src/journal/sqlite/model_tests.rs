//! A lane against a model of it in memory, which counts one item at a time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::time::Duration;

use delfin_plugin_api::Origin;
use proptest::prelude::*;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

use super::super::cursor::{DeadLetter, Dropped, Position, Span};
use super::*;

/// What is done to the lane and to the model.
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
    ahead: BTreeSet<(u64, u64)>,
}

#[derive(Default)]
struct Model {
    head: u64,
    batches: VecDeque<Batch>,
    places: BTreeMap<String, Place>,
}

struct Pair {
    runtime: Runtime,
    folder: TempDir,
    journal: Option<SqliteJournal>,
    model: Model,
}

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
        let (seq, accepted) = match (start, self.batches.front()) {
            (StartFrom::Earliest, Some(oldest)) => (
                oldest.seq,
                self.batches
                    .iter()
                    .map(|batch| batch.rows * batch.items_a_row)
                    .sum(),
            ),
            (StartFrom::Earliest, None) | (StartFrom::Now | StartFrom::Ago(_), _) => {
                (self.head + 1, 0)
            }
        };
        self.places.entry(exporter).or_insert(Place {
            seq,
            accepted,
            ..Place::default()
        });
    }

    /// Settles unsettled rows in their order, as far as there are rows and
    /// dispositions; a row that waits keeps the cursor from passing it.
    fn settle(&mut self, exporter: &str, dispositions: &[Disposition]) -> Option<Settlement> {
        let place = self.places.get_mut(exporter)?;
        let mut settlement = Settlement::default();
        let mut ahead = Vec::new();
        for (row, disposition) in unsettled(&self.batches, place)
            .into_iter()
            .zip(dispositions)
        {
            if account(place, &mut settlement, row, *disposition) {
                let (batch, row) = row;
                place.ahead.insert((batch.seq, row));
                ahead.push(Span {
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
        Some(Settlement {
            through: next,
            ahead,
            ..settlement
        })
    }

    fn pending(&self, place: &Place) -> u64 {
        unsettled(&self.batches, place)
            .iter()
            .map(|(batch, _)| batch.items_a_row)
            .sum()
    }

    fn prune(&mut self) {
        let Some(needed) = self.places.values().map(|place| place.seq).min() else {
            return;
        };
        self.batches.retain(|batch| batch.seq >= needed);
    }
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
    said: &mut Settlement,
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
            said.dropped.push(Dropped {
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

impl Pair {
    fn new() -> Self {
        let mut pair = Self {
            runtime: Builder::new_current_thread().build().unwrap(),
            folder: TempDir::new().unwrap(),
            journal: None,
            model: Model::default(),
        };
        pair.reopen();
        pair
    }

    fn reopen(&mut self) {
        self.journal = None;
        let limits = Limits {
            min_free_bytes: 0,
            retention: Duration::ZERO,
            gather: Duration::ZERO,
            ..Limits::default()
        };
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
                let receipt = self.runtime.block_on(
                    self.journal()
                        .append(record(rows, rows * items_a_row), None),
                );
                self.model.append(rows, items_a_row);
                assert_eq!(receipt.unwrap().seq.0, self.model.head);
            }
            Step::OpenCursor { exporter, start } => {
                let exporter = format!("exporter-{exporter}");
                self.runtime
                    .block_on(self.journal().open_cursor(&exporter, start))
                    .unwrap();
                self.model.open_cursor(exporter, start);
            }
            Step::Settle {
                exporter,
                dispositions,
            } => {
                let exporter = format!("exporter-{exporter}");
                let mut settling = Vec::new();
                // All are asked for before the first is answered, so that they share commits.
                for dispositions in dispositions.chunks(3) {
                    let settlement = self.model.settle(&exporter, dispositions);
                    settling.push(
                        self.journal()
                            .settle(&exporter, settlement.unwrap_or_default()),
                    );
                }
                for settled in settling {
                    let settled = self.runtime.block_on(settled);
                    assert_eq!(settled.is_ok(), self.model.places.contains_key(&exporter));
                }
            }
            Step::Misstate { exporter } => {
                let exporter = format!("exporter-{exporter}");
                let through = Position::at(Seq(self.model.head + 1));
                let pending = self
                    .model
                    .places
                    .get(&exporter)
                    .map_or(0, |place| self.model.pending(place));
                let misstated = Settlement::delivered(through, pending + 1);
                self.runtime
                    .block_on(self.journal().settle(&exporter, misstated))
                    .unwrap_err();
                // A group that changes nothing prunes all the same.
            }
            Step::Reopen => self.reopen(),
            Step::Crash => self.crash(),
        }
        self.model.prune();
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
            assert_eq!(counts.pending, self.model.pending(place).cast_signed());
            let ahead: Vec<u64> = held
                .iter()
                .copied()
                .filter(|seq| *seq >= place.seq)
                .collect();
            assert_eq!(read_from(journal, place.seq), ahead);
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

fn record(rows: u64, items: u64) -> Record {
    Record {
        batch_id: Uuid::now_v7(),
        origin: Origin::Collection,
        storage_id: None,
        complete: false,
        accepted_ms: now_ms(),
        rows,
        items,
        payload: vec![0; 6000],
    }
}

fn dead_letter(batch: &Batch, row: u64) -> DeadLetter {
    DeadLetter {
        plugin_version: "1.0.0".to_owned(),
        batch_id: Uuid::nil(),
        seq: Seq(batch.seq),
        first_row: row,
        rows: 1,
        items: batch.items_a_row,
        origin: Origin::Collection,
        storage_id: None,
        accepted_ms: 0,
        code: 0,
        reason: String::new(),
        attempts: 1,
        first_ms: 0,
        last_ms: 0,
        payload: Vec::new(),
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
    let start = prop_oneof![Just(StartFrom::Now), Just(StartFrom::Earliest)];
    prop_oneof![
        6 => (0..5_u64, 0..4_u64).prop_map(|(rows, items_a_row)| Step::Append { rows, items_a_row }),
        2 => (0..3_usize, start).prop_map(|(exporter, start)| Step::OpenCursor { exporter, start }),
        8 => (0..3_usize, proptest::collection::vec(disposition, 0..12))
            .prop_map(|(exporter, dispositions)| Step::Settle { exporter, dispositions }),
        1 => (0..3_usize).prop_map(|exporter| Step::Misstate { exporter }),
        1 => Just(Step::Reopen),
        1 => Just(Step::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_item_is_accounted_for_and_every_cursor_reads_what_it_must(
        steps in proptest::collection::vec(step(), 1..40),
    ) {
        let mut pair = Pair::new();
        for step in steps {
            pair.take(step);
            pair.compare();
        }
    }
}
