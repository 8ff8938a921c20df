//! Compares a journal with its model after each of many random changes.

use std::collections::BTreeSet;
use std::time::Duration;

use delfin_plugin_api::Origin;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

use super::super::{
    Backlog, Commit, DeadLetterCommit, DeadLetterDisposition, DeadLetterFilter, DeadLetterId,
    DeadLetterLimits, Journal, NewRecord, Position, ReadLimit, StartFrom,
};
use super::model::{
    DEAD_LETTER_BYTES, Disposition, MAX_BATCHES, Model, ModelDeadLetter, STEP_MS, Selection, name,
};
use super::{NewMedium, Subject, limits};
use crate::batch::{Header, Seq};
use crate::clock::now_ms;

/// Whose batches take turns.
const STORAGES: u64 = 3;

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
    /// Keeps this many dead letters of an exporter, and those in replay.
    TrimDeadLetters {
        exporter: usize,
        keep: usize,
    },
    /// Ends the replay of dead letters: whether each was delivered.
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
    /// Continues with what a crash would leave.
    Crash,
}

struct JournalAndModel {
    runtime: Runtime,
    journal: Subject,
    model: Model,
    /// When the batch with sequence number 0 would have been accepted.
    since_ms: i64,
}

impl JournalAndModel {
    fn new(new: NewMedium) -> Self {
        Self {
            runtime: Builder::new_current_thread().build().unwrap(),
            journal: Subject::new(new, limits()),
            model: Model::default(),
            since_ms: now_ms() - (MAX_BATCHES * STEP_MS).cast_signed(),
        }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Append { rows, items_a_row } => {
                let seq = self.model.head + 1;
                let record =
                    collected(seq, record(rows, rows * items_a_row, self.accepted_ms(seq)));
                let receipt = self.runtime.block_on(self.journal.append(record, None));
                self.model.append(rows, items_a_row);
                assert_eq!(receipt.unwrap().seq.0, self.model.head);
            }
            Step::OpenCursor { exporter, start } => {
                let exporter = name(exporter);
                self.runtime
                    .block_on(self.journal.open_cursor(&exporter, start))
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
                    .map(|commit| self.journal.commit(&exporter, commit))
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
                    .block_on(self.journal.commit(&exporter, too_much))
                    .unwrap_err();
                // The journal also prunes in a transaction that changes nothing else.
            }
            Step::Reopen => self.journal.reopen(),
            Step::Crash => self.journal.crash(),
            step => self.run_replay_or_removal(step),
        }
        self.model.prune();
    }

    /// The steps of replays and deletions.
    fn run_replay_or_removal(&mut self, step: Step) {
        match step {
            Step::Replay { exporter, from } => {
                let since_ms = self.accepted_ms(from);
                let replaying = self.journal.replay(&name(exporter), since_ms);
                let replayed = self.runtime.block_on(replaying);
                assert_eq!(replayed.ok(), self.model.replay(&name(exporter), from));
            }
            Step::ReplayDeadLetters(which) => {
                let replaying = self.journal.replay_dead_letters(&which.filter());
                let replayed = self.runtime.block_on(replaying).unwrap();
                assert_eq!(replayed.items, self.model.replay_dead_letters(which));
            }
            Step::PurgeDeadLetters(which) => {
                let purging = self.journal.purge_dead_letters(&which.filter());
                let purged = self.runtime.block_on(purging).unwrap();
                assert_eq!(purged.dead_letters, self.model.purge_dead_letters(which));
            }
            Step::TrimDeadLetters { exporter, keep } => {
                let limits = DeadLetterLimits {
                    max_bytes: (keep * DEAD_LETTER_BYTES) as u64,
                    max_age: Duration::MAX,
                };
                let trimming = self.journal.trim_dead_letters(&name(exporter), &limits);
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
                let removing = self.journal.remove_cursor(&name(exporter));
                let removed = self.runtime.block_on(removing).unwrap();
                assert_eq!(removed, self.model.remove_cursor(&name(exporter)));
            }
            Step::RenameCursor { exporter, to } => {
                let renaming = self.journal.rename_cursor(&name(exporter), &name(to));
                let renamed = self.runtime.block_on(renaming).unwrap();
                assert_eq!(
                    renamed,
                    self.model.rename_cursor(&name(exporter), &name(to))
                );
            }
            step => unreachable!("{step:?}"),
        }
    }

    /// Reads one dead letter in replay after the other, and commits all of them together.
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
                .journal
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
            .block_on(self.journal.commit(exporter, commit))
            .unwrap();
        let twice = self
            .runtime
            .block_on(self.journal.commit(exporter, again.clone()));
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
        let journal = &*self.journal;
        assert_eq!(journal.head().borrow().0, self.model.head);
        let held: Vec<u64> = self.model.batches.iter().map(|batch| batch.seq).collect();
        assert_eq!(read_from(journal, 0), held);
        for last in (1..=self.model.head).rev().take(STORAGES as usize) {
            let until_ms = journal.collected_until(&storage(last)).unwrap();
            assert_eq!(until_ms, Some(last.cast_signed()));
        }
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

fn read_from(journal: &dyn Journal, from: u64) -> Vec<u64> {
    let all = ReadLimit {
        records: u32::MAX,
        bytes: usize::MAX,
    };
    let records = journal.read_many(Seq(from), all).unwrap();
    records.iter().map(|record| record.seq.0).collect()
}

/// The storage that a batch is of.
fn storage(seq: u64) -> String {
    format!("storage-{}", seq % STORAGES)
}

/// The batch of a window, which ends at its sequence number.
fn collected(seq: u64, record: NewRecord) -> NewRecord {
    NewRecord {
        header: Header {
            storage_id: Some(storage(seq)),
            ..record.header
        },
        collected_until_ms: Some(seq.cast_signed()),
        ..record
    }
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
        collected_until_ms: None,
        payload: vec![0; 6000].into(),
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

pub(in crate::journal) fn every_item_has_one_count_and_every_cursor_reads_its_records(
    new: NewMedium,
    cases: u32,
) {
    let config = ProptestConfig {
        cases: delfin_tests::soak(cases),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let steps = proptest::collection::vec(step(), 1..60);
    let passed = TestRunner::new(config).run(&steps, |steps| {
        let mut pair = JournalAndModel::new(new);
        for step in steps {
            pair.run(step);
            pair.compare();
        }
        Ok(())
    });
    passed.unwrap_or_else(|error| panic!("{error}"));
}
