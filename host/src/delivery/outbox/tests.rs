//! The next request is made while a call runs, and is sent only if it has the rows to send.

use std::sync::Arc;

use tokio::task::yield_now;

use super::*;
use crate::{batch_journal::BatchJournal, delivery::fixture};

const TWO_ROWS: RequestSize = RequestSize {
    items: 2,
    bytes: u64::MAX,
};
const LIMITS: RequestLimits = RequestLimits {
    batch: TWO_ROWS,
    merged: TWO_ROWS,
};

/// An outbox with so many batches of a row.
async fn outbox(folder: &tempfile::TempDir, batches: usize) -> (Outbox, Arc<BatchJournal>) {
    let (parts, journal) = fixture::parts(folder, "", batches).await;
    let reporter = Reporter::new(&parts, Arc::default());
    (Outbox::new(&parts, reporter), journal)
}

/// The records of the next request, and what it is.
async fn send(outbox: &mut Outbox) -> (Vec<u64>, RowSelection) {
    let next = outbox.next_request(LIMITS, Duration::ZERO, &|_| None).await;
    let NextRequest::Send(selection, request) = next else {
        panic!("nothing to send");
    };
    assert_eq!(request.arrow.num_rows(), selection.rows());
    (selection.seqs().collect(), selection)
}

/// Prepares the request after one, as far as that is possible before its outcome is known.
async fn prepare(outbox: &mut Outbox, sent: &RowSelection) {
    outbox.prepare_after(sent.group, LIMITS).await;
    while outbox
        .prepared
        .as_ref()
        .is_some_and(|prepared| !prepared.is_made())
    {
        yield_now().await;
    }
}

async fn deliver(outbox: &mut Outbox, sent: &RowSelection) {
    let delivered = [(0..sent.rows(), RowResult::Delivered)];
    outbox.commit_rows(sent, &delivered).await;
}

#[tokio::test]
async fn the_next_request_is_made_and_encoded_during_a_call() {
    let folder = tempfile::tempdir().unwrap();
    let (mut outbox, journal) = outbox(&folder, 5).await;
    let encoded = || journal.payload_stats().encoded_requests;
    let (seqs, first) = send(&mut outbox).await;
    assert!(outbox.has_unsent(Seq(5)));
    assert_eq!((seqs, encoded()), (vec![1, 2], 0));
    prepare(&mut outbox, &first).await;
    assert_eq!(encoded(), 1);
    deliver(&mut outbox, &first).await;
    let (seqs, second) = send(&mut outbox).await;
    assert_eq!(seqs, [3, 4]);
    // What is left can get more rows.
    prepare(&mut outbox, &second).await;
    assert!(outbox.prepared.is_none());
    deliver(&mut outbox, &second).await;
    let (seqs, third) = send(&mut outbox).await;
    assert_eq!((seqs, encoded()), (vec![5], 1));
    assert!(!outbox.has_unsent(Seq(5)));
    assert!(outbox.has_unsent(Seq(6)));
    deliver(&mut outbox, &third).await;
    outbox.finish().await;
    let counts = journal.backend().counts("e").unwrap().unwrap();
    assert_eq!((counts.delivered, counts.pending), (5, 0));
}

#[tokio::test]
async fn what_was_made_during_a_call_is_not_sent_if_other_rows_are_next() {
    let folder = tempfile::tempdir().unwrap();
    let (mut outbox, journal) = outbox(&folder, 6).await;
    // The call fails.
    let (_, first) = send(&mut outbox).await;
    prepare(&mut outbox, &first).await;
    let (seqs, again) = send(&mut outbox).await;
    assert_eq!((seqs, again.attempt), (vec![1, 2], 2));
    // It is delivered in part.
    prepare(&mut outbox, &again).await;
    let partly = [(0..1, RowResult::Delivered), (1..2, RowResult::Retry)];
    outbox.commit_rows(&again, &partly).await;
    let (seqs, rest) = send(&mut outbox).await;
    assert_eq!((seqs, rest.attempt), (vec![2], 3));
    // Rows are dropped meanwhile, because of a limit.
    prepare(&mut outbox, &rest).await;
    assert_eq!(outbox.drop_before(Seq(4), "limit").await.unwrap(), 2);
    deliver(&mut outbox, &rest).await;
    let (seqs, last) = send(&mut outbox).await;
    assert_eq!(seqs, [4, 5]);
    // A limit became smaller.
    prepare(&mut outbox, &last).await;
    outbox.split(&last);
    let (seqs, half) = send(&mut outbox).await;
    assert_eq!(seqs, [4]);
    deliver(&mut outbox, &half).await;
    for seq in [5, 6] {
        let (seqs, sent) = send(&mut outbox).await;
        assert_eq!(seqs, [seq]);
        deliver(&mut outbox, &sent).await;
    }
    outbox.finish().await;
    let counts = journal.backend().counts("e").unwrap().unwrap();
    assert_eq!((counts.delivered, counts.pending), (4, 0));
}
