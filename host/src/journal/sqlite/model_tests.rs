//! A lane against a model of it in memory, which counts one item at a time.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::time::Duration;

use delfin_plugin_api::Origin;
use proptest::prelude::*;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

use super::super::cursor::{DeadLetter, Dropped, Position};
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
}

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
            (StartFrom::Earliest, None) | (StartFrom::Now, _) => (self.head + 1, 0),
        };
        self.places.entry(exporter).or_insert(Place {
            seq,
            accepted,
            ..Place::default()
        });
    }

    /// Goes forward row by row, as far as there are rows and dispositions.
    fn settle(&mut self, exporter: &str, dispositions: &[Disposition]) -> Option<Settlement> {
        let place = self.places.get_mut(exporter)?;
        let mut settlement = Settlement::default();
        let mut dispositions = dispositions.iter();
        let from = place.seq;
        for batch in self.batches.iter().filter(|batch| batch.seq >= from) {
            place.seq = batch.seq;
            while place.row < batch.rows {
                let Some(disposition) = dispositions.next() else {
                    break;
                };
                account(place, &mut settlement, batch, *disposition);
                place.row += 1;
            }
            if place.row < batch.rows {
                break;
            }
            (place.seq, place.row) = (batch.seq + 1, 0);
        }
        let items_a_row = self
            .batches
            .iter()
            .find(|batch| batch.seq == place.seq)
            .map_or(0, |batch| batch.items_a_row);
        settlement.through = Position {
            seq: Seq(place.seq),
            row: place.row,
            items: place.row * items_a_row,
        };
        Some(settlement)
    }

    fn pending(&self, place: &Place) -> u64 {
        let behind = self.batches.iter().filter(|batch| batch.seq >= place.seq);
        behind
            .map(|batch| {
                batch.items_a_row
                    * (batch.rows - if batch.seq == place.seq { place.row } else { 0 })
            })
            .sum()
    }

    fn prune(&mut self) {
        let Some(needed) = self.places.values().map(|place| place.seq).min() else {
            return;
        };
        self.batches.retain(|batch| batch.seq >= needed);
    }
}

fn account(
    place: &mut Place,
    settlement: &mut Settlement,
    batch: &Batch,
    disposition: Disposition,
) {
    let items = batch.items_a_row;
    match disposition {
        Disposition::Delivered => {
            place.delivered += items;
            settlement.delivered += items;
        }
        Disposition::DeadLettered => {
            place.dead_lettered += items;
            settlement.dead_letters.push(dead_letter(batch, place.row));
        }
        Disposition::Dropped => {
            place.dropped += items;
            settlement.dropped.push(Dropped {
                limit: format!("limit-{}", place.row % 2),
                items,
            });
        }
        Disposition::Filtered => {
            place.filtered += items;
            settlement.filtered += items;
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
                let settled = match self.model.settle(&exporter, &dispositions) {
                    Some(settlement) => {
                        self.runtime
                            .block_on(self.journal().settle(&exporter, settlement))
                            .unwrap();
                        true
                    }
                    None => self
                        .runtime
                        .block_on(self.journal().settle(&exporter, Settlement::default()))
                        .is_ok(),
                };
                assert_eq!(settled, self.model.places.contains_key(&exporter));
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
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

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
