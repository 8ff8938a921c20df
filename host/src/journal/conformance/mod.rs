//! What holds for every implementation of [`Journal`]: the tests that it must pass.
//!
//! An implementation calls [`journal_conformance`] with its [`Medium`], and has a test for each of
//! these properties. What is special to it, such as damaged files, it tests itself.

pub(super) mod cursors;
pub(super) mod dead_letters;
pub(super) mod limits;
mod model;
pub(super) mod records;
pub(super) mod replay;
pub(super) mod steps;
pub(super) mod windows;

use std::sync::Arc;

use delfin_plugin_api::Origin;
use uuid::Uuid;

use super::{
    Commit, DeadLetter, DeadLetterFilter, ItemCounts, Journal, JournalLimits, NewRecord, Position,
    StartFrom,
};
use crate::batch::{Header, Seq};
use crate::clock::now_ms;

/// Where a journal keeps its records, beyond the time that it is open.
pub(super) trait Medium {
    fn open(&self, limits: JournalLimits) -> Arc<dyn Journal>;

    /// What a crash at this moment leaves, while the journal is open.
    fn after_crash(&self) -> Box<dyn Medium>;
}

/// An empty one.
pub(super) type NewMedium = fn() -> Box<dyn Medium>;

/// A journal, and the medium from which it can be opened again.
pub(super) struct Subject {
    medium: Box<dyn Medium>,
    pub(super) limits: JournalLimits,
    pub(super) journal: Option<Arc<dyn Journal>>,
}

impl Subject {
    pub(super) fn new(new: NewMedium, limits: JournalLimits) -> Self {
        Self::on(new(), limits)
    }

    pub(super) fn on(medium: Box<dyn Medium>, limits: JournalLimits) -> Self {
        let mut subject = Self {
            medium,
            limits,
            journal: None,
        };
        subject.reopen();
        subject
    }

    pub(super) fn reopen(&mut self) {
        // The earlier one must be closed before.
        self.journal = None;
        self.journal = Some(self.medium.open(self.limits.clone()));
    }

    /// Continues with what a crash would leave.
    fn crash(&mut self) {
        let left = self.medium.after_crash();
        self.journal = None;
        self.medium = left;
        self.reopen();
    }

    pub(super) async fn add(&self, items: u64) -> Seq {
        self.append(record(items), None).await.unwrap().seq
    }

    pub(super) fn of(&self, exporter: &str) -> ItemCounts {
        let counts = self.counts(exporter).unwrap().unwrap();
        assert_eq!(counts.unaccounted(), 0, "{counts:?}");
        counts
    }
}

impl std::ops::Deref for Subject {
    type Target = dyn Journal;

    fn deref(&self) -> &(dyn Journal + 'static) {
        self.journal.as_deref().unwrap()
    }
}

/// Limits that no test reaches; records are deleted at once, and commits are not delayed.
pub(in crate::journal) fn limits() -> JournalLimits {
    JournalLimits::unlimited()
}

pub(in crate::journal) fn record(items: u64) -> NewRecord {
    NewRecord {
        header: Header {
            batch_id: Uuid::now_v7(),
            origin: Origin::Ingest,
            storage_id: Some("array-1".to_owned()),
            complete: false,
            accepted_ms: now_ms(),
            items,
        },
        rows: items,
        collected_until_ms: None,
        payload: vec![7; 1000].into(),
    }
}

pub(in crate::journal) fn dead_letter(seq: Seq, first_row: u64, rows: u64) -> DeadLetter {
    DeadLetter {
        plugin_version: "1.2.3".to_owned(),
        header: record(rows).header,
        seq,
        first_row,
        rows,
        code: 5 << 16,
        reason: "no such metric".to_owned(),
        attempts: 1,
        first_ms: now_ms(),
        last_ms: now_ms(),
        payload: vec![1; 10],
    }
}

pub(in crate::journal) fn after(seq: Seq) -> Position {
    Position::after(seq)
}

/// Adds three dead letters of exporter `a`, of 2, 3 and 5 items.
pub(in crate::journal) async fn add_dead_letters(journal: &dyn Journal) {
    journal.open_cursor("a", StartFrom::Now).await.unwrap();
    let seq = journal.append(record(10), None).await.unwrap().seq;
    let dead_letters = [
        (0, 2, "No such metric", 1_000),
        (2, 3, "too old", 2_000),
        (5, 5, "no such host", 3_000),
    ];
    let commit = Commit {
        through: after(seq),
        dead_letters: dead_letters
            .into_iter()
            .map(|(first, rows, reason, last_ms)| DeadLetter {
                reason: reason.to_owned(),
                last_ms,
                ..dead_letter(seq, first, rows)
            })
            .collect(),
        ..Commit::default()
    };
    journal.commit("a", commit).await.unwrap();
}

async fn journal_with_dead_letters(new: NewMedium) -> Subject {
    let journal = Subject::new(new, limits());
    add_dead_letters(&*journal).await;
    journal
}

fn dead_letter_ids(journal: &Subject, which: DeadLetterFilter) -> Vec<u64> {
    let dead_letters = journal.dead_letters(&which).unwrap();
    dead_letters
        .iter()
        .map(|dead_letter| dead_letter.id.0)
        .collect()
}

/// A test for each property, of the journals of a [`NewMedium`]. Nothing is tested where the medium is not available. `$cases`:
/// how many sequences of changes are compared with the model.
macro_rules! journal_conformance {
    ($medium:expr, $is_available:expr, $cases:literal) => {
        $crate::journal::conformance::journal_conformance! {
            @ $medium, $is_available;
            records: a_record_is_read_as_it_was_appended, sequence_numbers_continue_after_the_journal_was_pruned_empty_and_opened_again, a_repeated_key_gets_the_first_receipt_even_after_reopening, a_batch_id_is_appended_once, an_observer_is_told_of_each_new_batch_before_the_head_shows_it, the_state_of_a_batch_comes_from_cursors_and_dead_letters, a_closed_journal_has_finished_earlier_commands_and_rejects_later_ones;
            cursors: the_commits_watch_changes_with_a_commit_and_not_with_an_append, now_starts_after_the_head_and_earliest_at_the_oldest_record, opening_an_existing_cursor_keeps_its_position, every_disposition_is_counted_once, rows_ahead_of_the_cursor_are_committed_once_and_survive_reopening, a_commit_that_contradicts_the_journal_changes_nothing, a_cursor_of_the_host_holds_records_and_is_not_listed_with_exporters, the_last_error_and_the_last_success_survive_reopening, the_cursor_of_an_exporter_that_is_not_configured_is_removed_after_a_while, the_cursor_of_an_exporter_that_is_configured_again_is_kept, removing_a_cursor_deletes_its_dead_letters_and_counts, a_renamed_cursor_takes_its_counts_and_dead_letters_and_replaces_another;
            windows: the_last_window_of_each_storage_is_known_although_the_journal_was_closed_or_crashed, a_window_is_appended_once, a_window_that_is_refused_is_not_collected, the_last_window_of_a_storage_that_is_gone_is_forgotten;
            limits: a_full_journal_refuses_appends_until_cursors_advance, records_within_their_retention_are_deleted_for_new_ones, without_cursors_old_records_are_deleted_and_the_oldest_when_the_journal_is_full;
            replay: a_replay_makes_batches_pending_that_were_accepted_since_a_time, a_commit_from_before_a_replay_is_refused, a_replay_without_records_changes_nothing_and_needs_a_cursor, a_new_cursor_starts_at_a_time_before_now;
            dead_letters: dead_letters_are_found_by_exporter_time_reason_and_id, a_dead_letter_in_replay_is_pending_until_its_disposition_is_known, the_end_of_a_replay_that_never_started_is_refused, dead_letters_are_trimmed_by_size_and_age_the_oldest_first;
        }

        #[test]
        fn every_item_has_one_count_and_every_cursor_reads_its_records() {
            if $is_available {
                $crate::journal::conformance::steps::every_item_has_one_count_and_every_cursor_reads_its_records($medium, $cases);
            }
        }
    };
    (@ $medium:expr, $is_available:expr; $($module:ident: $($property:ident),*;)*) => {
        $($(
            #[tokio::test]
            async fn $property() {
                if $is_available {
                    $crate::journal::conformance::$module::$property($medium).await;
                }
            }
        )*)*
    };
}
pub(super) use journal_conformance;
