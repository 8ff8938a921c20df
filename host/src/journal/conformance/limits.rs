//! Records that are refused, and those that are deleted.

use std::time::Duration;

use uuid::Uuid;

use super::super::{AppendError, Commit, JournalLimits, StartFrom};
use super::{NewMedium, Subject, after, limits, record};
use crate::batch::Seq;
use crate::clock::now_ms;

pub(in crate::journal) async fn a_full_journal_refuses_appends_until_cursors_advance(
    new: NewMedium,
) {
    let journal = Subject::new(
        new,
        JournalLimits {
            max_bytes: 2500,
            ..limits()
        },
    );
    journal.open_cursor("a", StartFrom::Now).await.unwrap();
    let (one, _) = (journal.add(1).await, journal.add(1).await);
    let full = journal.append(record(1), None).await.unwrap_err();
    assert_eq!(
        full,
        AppendError::Full {
            held_bytes: 2000,
            max_bytes: 2500,
            required_by: None,
        }
    );
    assert_eq!(
        (journal.stats().unwrap().refused, journal.of("a").accepted),
        (1, 2)
    );
    journal
        .commit("a", Commit::delivered(after(one), 1))
        .await
        .unwrap();
    assert_eq!(journal.add(1).await, Seq(3));
}

pub(in crate::journal) async fn records_within_their_retention_are_deleted_for_new_ones(
    new: NewMedium,
) {
    let journal = Subject::new(
        new,
        JournalLimits {
            max_bytes: 2500,
            retention: Duration::from_hours(1),
            ..limits()
        },
    );
    journal.open_cursor("a", StartFrom::Now).await.unwrap();
    for _ in 0..5 {
        let seq = journal.add(1).await;
        journal
            .commit("a", Commit::delivered(after(seq), 1))
            .await
            .unwrap();
        assert!(journal.read(seq).unwrap().is_some());
    }
    let stats = journal.stats().unwrap();
    assert_eq!((stats.records, stats.needed_bytes), (2, 0));
    journal.add(1).await;
    let stats = journal.stats().unwrap();
    assert_eq!((stats.bytes, stats.needed_bytes), (2000, 1000));
}

pub(in crate::journal) async fn without_cursors_old_records_are_deleted_and_the_oldest_when_the_journal_is_full(
    new: NewMedium,
) {
    let journal = Subject::new(
        new,
        JournalLimits {
            max_bytes: 2500,
            max_age: Duration::from_hours(1),
            ..limits()
        },
    );
    for _ in 0..5 {
        journal.add(1).await;
    }
    assert_eq!(journal.read(Seq(0)).unwrap().unwrap().seq, Seq(4));
    let mut journal = Subject::new(
        new,
        JournalLimits {
            max_age: Duration::from_hours(1),
            ..limits()
        },
    );
    let mut old = record(1);
    old.header.accepted_ms = now_ms() - 2 * 3_600_000;
    journal.append(old.clone(), None).await.unwrap();
    assert_eq!(journal.read(Seq(0)).unwrap(), None);
    // A cursor keeps its records at any age.
    journal.reopen();
    journal.open_cursor("a", StartFrom::Now).await.unwrap();
    old.header.batch_id = Uuid::now_v7();
    journal.append(old, None).await.unwrap();
    journal.add(1).await;
    assert_eq!(journal.read(Seq(0)).unwrap().unwrap().seq, Seq(2));
}
