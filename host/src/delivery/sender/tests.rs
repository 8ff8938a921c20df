//! When the next request follows.

use super::*;
use crate::{batch_journal::BatchJournal, delivery::fixture};

/// A sender whose requests have one row each, and so many rows for it.
async fn sender(folder: &tempfile::TempDir, rows: usize) -> (Sender, Arc<BatchJournal>) {
    let settings = "[exporter.e.batch]\nmax_points = 1";
    let (parts, journal) = fixture::parts(folder, settings, rows).await;
    let reporter = Reporter::new(&parts, Arc::default());
    (Sender::new(&parts, reporter), journal)
}

/// Delivers a row in a call that took long. Returns whether the row had to wait for more.
async fn deliver(sender: &mut Sender, journal: &BatchJournal) -> bool {
    let head = *journal.backend().head().borrow();
    let mut has_rested = false;
    let sent = loop {
        match sender.next(head).await {
            NextSend::Send(sent) => break sent,
            NextSend::RestUntil(until) => {
                has_rested = true;
                tokio::time::sleep_until(until.into()).await;
            }
            NextSend::CheckHealth | NextSend::WaitUntil(_) | NextSend::Idle => {
                panic!("there is a row to send")
            }
        }
    };
    let result = CallResult {
        outcome: Ok(()),
        panicked: false,
        death: None,
        is_unsupported: false,
        took: Duration::from_hours(1),
    };
    sender.on_result(sent, result).await;
    has_rested
}

#[tokio::test]
async fn an_exporter_rests_after_its_last_rows_and_not_while_it_catches_up() {
    let folder = tempfile::tempdir().unwrap();
    let (mut sender, journal) = sender(&folder, 3).await;
    for _ in 0..3 {
        assert!(!deliver(&mut sender, &journal).await);
    }
    // On a busy machine, a rest can be over before the next row is there.
    for _ in 0..1000 {
        fixture::accept(&journal).await;
        if deliver(&mut sender, &journal).await {
            return;
        }
    }
    panic!("it never rests");
}
