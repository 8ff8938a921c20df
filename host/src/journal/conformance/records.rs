//! What is appended, and how it is read.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use delfin_plugin_api::Origin;
use tokio::sync::watch;
use uuid::Uuid;

use super::super::dead_letters::DeadLetter;
use super::super::{
    AppendError, AppendObserver, BatchState, Commit, CursorError, JournalLimits, Receipt, Record,
    StartFrom,
};
use super::{NewMedium, Subject, after, dead_letter, limits, record};
use crate::batch::Seq;

pub(in crate::journal) async fn a_record_is_read_as_it_was_appended(new: NewMedium) {
    let journal = Subject::new(new, limits());
    journal.open_cursor("a", StartFrom::Now).await.unwrap();
    for origin in [
        Origin::Collection,
        Origin::Sync,
        Origin::Trap,
        Origin::Resend,
        Origin::Replay,
        Origin::Other,
    ] {
        let mut appended = record(3);
        appended.header.origin = origin;
        appended.header.complete = true;
        appended.header.storage_id = None;
        let seq = journal.append(appended.clone(), None).await.unwrap().seq;
        assert_eq!(
            journal.read(seq).unwrap().unwrap(),
            Record {
                seq,
                header: appended.header,
                rows: appended.rows,
                payload: appended.payload,
            }
        );
    }
    assert_eq!(journal.read(Seq(0)).unwrap().unwrap().seq, Seq(1));
    assert_eq!(journal.read(Seq(7)).unwrap(), None);
}

pub(in crate::journal) async fn sequence_numbers_continue_after_the_journal_was_pruned_empty_and_opened_again(
    new: NewMedium,
) {
    let mut journal = Subject::new(new, limits());
    journal.open_cursor("a", StartFrom::Now).await.unwrap();
    let first = journal.add(4).await;
    journal
        .commit("a", Commit::delivered(after(first), 4))
        .await
        .unwrap();
    assert_eq!(journal.read(Seq(0)).unwrap(), None);
    journal.reopen();
    assert_eq!(*journal.head().borrow(), first);
    assert_eq!(journal.add(5).await, first.next());
    let counts = journal.of("a");
    assert_eq!(
        (counts.accepted, counts.delivered, counts.pending),
        (9, 4, 5)
    );
}

pub(in crate::journal) async fn a_repeated_key_gets_the_first_receipt_even_after_reopening(
    new: NewMedium,
) {
    let mut journal = Subject::new(new, limits());
    let key = Some("once".to_owned());
    let first = journal.append(record(3), key.clone()).await.unwrap();
    journal.reopen();
    let second = journal.append(record(4), key.clone()).await.unwrap();
    assert_eq!(
        second,
        Receipt {
            repeated: true,
            ..first
        }
    );
    assert_eq!(journal.stats().unwrap().records, 1);
    let mut old = record(1);
    old.header.accepted_ms = 0;
    journal
        .append(old, Some("long ago".to_owned()))
        .await
        .unwrap();
    assert!(
        !journal
            .append(record(1), Some("long ago".to_owned()))
            .await
            .unwrap()
            .repeated
    );
}

pub(in crate::journal) async fn a_batch_id_is_appended_once(new: NewMedium) {
    let journal = Subject::new(new, limits());
    let (one, two) = (record(3), record(4));
    let first = journal.append(one.clone(), None).await.unwrap();
    let again = journal
        .append(one, Some("late key".to_owned()))
        .await
        .unwrap();
    assert_eq!(
        again,
        Receipt {
            repeated: true,
            ..first
        }
    );
    assert_eq!(journal.append(two, None).await.unwrap().seq, Seq(2));
}

/// What an observer was told, with the head at that time.
struct Observed {
    head: watch::Receiver<Seq>,
    appends: Mutex<Vec<(Uuid, Seq, Seq)>>,
}

impl AppendObserver for Observed {
    fn appended(&self, batch_id: Uuid, seq: Seq) {
        let head = *self.head.borrow();
        self.appends.lock().unwrap().push((batch_id, seq, head));
    }
}

pub(in crate::journal) async fn an_observer_is_told_of_each_new_batch_before_the_head_shows_it(
    new: NewMedium,
) {
    let journal = Subject::new(new, limits());
    let observed = Arc::new(Observed {
        head: journal.head(),
        appends: Mutex::default(),
    });
    let observer: Weak<dyn AppendObserver> = Arc::<Observed>::downgrade(&observed);
    journal.observe(observer);
    let (one, two) = (record(3), record(4));
    let ids = [&one, &two].map(|record| record.header.batch_id);
    journal.append(one.clone(), None).await.unwrap();
    journal.append(one, None).await.unwrap();
    journal.append(two, None).await.unwrap();
    let told = [(ids[0], Seq(1), Seq(0)), (ids[1], Seq(2), Seq(1))];
    assert_eq!(*observed.appends.lock().unwrap(), told);
}

pub(in crate::journal) async fn the_state_of_a_batch_comes_from_cursors_and_dead_letters(
    new: NewMedium,
) {
    let journal = Subject::new(
        new,
        JournalLimits {
            retention: Duration::from_hours(1),
            ..limits()
        },
    );
    for exporter in ["b", "a"] {
        journal.open_cursor(exporter, StartFrom::Now).await.unwrap();
    }
    let batch = record(10);
    let seq = journal.append(batch.clone(), None).await.unwrap().seq;
    journal.open_cursor("late", StartFrom::Now).await.unwrap();
    let dead_letter = DeadLetter {
        header: batch.header.for_part(4),
        ..dead_letter(seq, 0, 4)
    };
    let commit = Commit {
        dead_letters: vec![dead_letter],
        ..Commit::delivered(after(seq), 6)
    };
    journal.commit("a", commit).await.unwrap();
    let info = journal.batch(batch.header.batch_id).unwrap().unwrap();
    assert_eq!(
        (info.seq, info.items, info.accepted_ms),
        (seq, 10, batch.header.accepted_ms)
    );
    let state = |exporter: &str, committed, dead_lettered| BatchState {
        exporter: exporter.to_owned(),
        committed,
        dead_lettered,
    };
    assert_eq!(info.exporters, [state("a", true, 4), state("b", false, 0)]);
    // An exporter that is not configured is not waited for.
    let configured = vec!["a".to_owned(), "late".to_owned()];
    journal.set_configured(configured).await.unwrap();
    let info = journal.batch(batch.header.batch_id).unwrap().unwrap();
    assert_eq!(info.exporters, [state("a", true, 4)]);
    assert_eq!(journal.batch(Uuid::now_v7()).unwrap(), None);
}

pub(in crate::journal) async fn a_closed_journal_has_finished_earlier_commands_and_rejects_later_ones(
    new: NewMedium,
) {
    let mut journal = Subject::new(
        new,
        JournalLimits {
            max_commit_delay: Duration::from_hours(1),
            ..limits()
        },
    );
    journal.open_cursor("a", StartFrom::Now).await.unwrap();
    let seq = journal.add(1).await;
    let committed = journal.commit("a", Commit::delivered(after(seq), 1));
    journal.close();
    committed.await.unwrap();
    assert_eq!(
        journal.append(record(1), None).await,
        Err(AppendError::Closed)
    );
    assert_eq!(
        journal.commit("a", Commit::default()).await,
        Err(CursorError::Closed)
    );
    journal.reopen();
    assert_eq!(journal.of("a").delivered, 1);
}
