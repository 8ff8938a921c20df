//! The last window that was collected from each storage.

use delfin_plugin_api::Origin;
use uuid::Uuid;

use super::super::{AppendError, Commit, JournalLimits, NewRecord, Receipt, StartFrom, WINDOW_TTL};
use super::{NewMedium, Subject, after, limits, record};
use crate::batch::Header;
use crate::clock::{millis, now_ms};

/// A batch of a storage, whose window ends at a time.
fn collected(storage_id: &str, until_ms: i64) -> NewRecord {
    let record = record(2);
    NewRecord {
        header: Header {
            origin: Origin::Collection,
            storage_id: Some(storage_id.to_owned()),
            ..record.header
        },
        collected_until_ms: Some(until_ms),
        ..record
    }
}

fn ends(journal: &Subject) -> [Option<i64>; 3] {
    ["a", "b", "array-1"].map(|storage| journal.collected_until(storage).unwrap())
}

/// Has records deleted whose time is over.
async fn deliver_all(journal: &Subject) {
    let head = *journal.head().borrow();
    let pending = journal.of("e").pending.cast_unsigned();
    let delivered = Commit::delivered(after(head), pending);
    journal.commit("e", delivered).await.unwrap();
    assert_eq!(journal.stats().unwrap().records, 0);
}

pub(in crate::journal) async fn the_last_window_of_each_storage_is_known_although_the_journal_was_closed_or_crashed(
    new: NewMedium,
) {
    let mut journal = Subject::new(new, limits());
    journal.open_cursor("e", StartFrom::Now).await.unwrap();
    assert_eq!(ends(&journal), [None; 3]);
    // The clock was set back before the last one.
    for (storage, until_ms) in [("a", 10), ("b", 50), ("a", 20), ("b", 40)] {
        journal
            .append(collected(storage, until_ms), None)
            .await
            .unwrap();
    }
    // A batch without a window, and one with a window of unknown storages.
    journal.add(1).await;
    let of_many = Header {
        storage_id: None,
        ..record(1).header
    };
    let of_many = NewRecord {
        header: of_many,
        ..collected("a", 30)
    };
    journal.append(of_many, None).await.unwrap();
    let known = [Some(20), Some(40), None];
    assert_eq!(ends(&journal), known);
    journal.reopen();
    assert_eq!(ends(&journal), known);
    deliver_all(&journal).await;
    assert_eq!(ends(&journal), known);
    journal.reopen();
    assert_eq!(ends(&journal), known);
    journal.append(collected("a", 60), None).await.unwrap();
    journal.crash();
    assert_eq!(ends(&journal), [Some(60), Some(40), None]);
}

pub(in crate::journal) async fn a_window_is_appended_once(new: NewMedium) {
    let mut journal = Subject::new(new, limits());
    journal.open_cursor("e", StartFrom::Now).await.unwrap();
    // At the same time, so that they can share a transaction.
    let appends = [(); 3].map(|()| journal.append(collected("a", 10), None));
    let mut receipts = Vec::new();
    for append in appends {
        receipts.push(append.await.unwrap());
    }
    let [first, others @ ..] = &receipts[..] else {
        panic!("three appends")
    };
    let repeated = Receipt {
        repeated: true,
        ..first.clone()
    };
    assert!(!first.repeated && others.iter().all(|other| *other == repeated));
    assert_eq!(journal.of("e").accepted, 2);
    deliver_all(&journal).await;
    assert_eq!(
        journal.append(collected("a", 10), None).await,
        Ok(repeated.clone())
    );
    journal.reopen();
    assert_eq!(journal.append(collected("a", 10), None).await, Ok(repeated));
    // Those of another storage, and of an earlier time, are others.
    for (storage, until_ms) in [("b", 10), ("a", 5), ("a", 10)] {
        let new = journal.append(collected(storage, until_ms), None).await;
        assert!(!new.unwrap().repeated);
    }
    assert_eq!(journal.of("e").accepted, 8);
}

pub(in crate::journal) async fn a_window_that_is_refused_is_not_collected(new: NewMedium) {
    let limits = JournalLimits {
        max_bytes: 1500,
        ..limits()
    };
    let mut journal = Subject::new(new, limits);
    journal.open_cursor("e", StartFrom::Now).await.unwrap();
    journal.append(collected("a", 10), None).await.unwrap();
    let refused = journal.append(collected("a", 20), None).await;
    assert!(
        matches!(refused, Err(AppendError::Full { .. })),
        "{refused:?}"
    );
    assert_eq!(ends(&journal), [Some(10), None, None]);
    // The full journal has this one.
    assert!(
        journal
            .append(collected("a", 10), None)
            .await
            .unwrap()
            .repeated
    );
    journal.reopen();
    assert_eq!(ends(&journal), [Some(10), None, None]);
}

pub(in crate::journal) async fn the_last_window_of_a_storage_that_is_gone_is_forgotten(
    new: NewMedium,
) {
    let mut journal = Subject::new(new, limits());
    journal.open_cursor("e", StartFrom::Now).await.unwrap();
    let mut old = collected("a", 10);
    old.header = Header {
        batch_id: Uuid::now_v7(),
        accepted_ms: now_ms() - millis(WINDOW_TTL) - 1_000,
        ..old.header
    };
    journal.append(old, None).await.unwrap();
    journal.append(collected("b", 10), None).await.unwrap();
    deliver_all(&journal).await;
    assert_eq!(ends(&journal), [None, Some(10), None]);
    journal.reopen();
    assert_eq!(ends(&journal), [None, Some(10), None]);
}
