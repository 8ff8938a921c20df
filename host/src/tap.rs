//! Lets clients look at rows as they pass a point of their way: a journal that has accepted them,
//! or an exporter that has sent them.
//!
//! Promises: a look changes nothing for the rows. Without one, a point does nothing with them. A
//! client that does not keep up misses batches, and no row waits for it.
//!
//! Knows nothing of who looks, and of what is shown.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_array::RecordBatch;
use tokio::sync::broadcast;

/// Batches that are kept for the slowest client. They are shared, not copied.
const KEPT_BATCHES: usize = 4;

/// Rows that passed together.
#[derive(Clone, Debug)]
pub struct PassedRows {
    pub arrow: RecordBatch,
    /// The one storage that all rows are of, if they are of one.
    pub storage_id: Option<String>,
    /// The class of the outcome, if they were sent.
    pub outcome: Option<&'static str>,
}

/// A place where rows pass.
#[derive(Debug)]
pub struct TapPoint {
    /// Rows that have passed while a client looked.
    passed: Mutex<u64>,
    looks: broadcast::Sender<Arc<TappedRows>>,
}

/// What one client sees of a point.
#[derive(Debug)]
pub struct Tap {
    looked: broadcast::Receiver<Arc<TappedRows>>,
    /// Number of the next row that it expects.
    next: u64,
}

#[derive(Debug)]
struct TappedRows {
    rows: PassedRows,
    /// Number of the first row.
    first: u64,
}

impl TapPoint {
    /// Shows rows to the clients that look now.
    pub fn show(&self, rows: impl FnOnce() -> PassedRows) {
        if self.looks.receiver_count() == 0 {
            return;
        }
        let rows = rows();
        let mut passed = self.lock();
        let first = *passed;
        *passed += rows.arrow.num_rows() as u64;
        // The last client may be gone.
        let _ = self.looks.send(Arc::new(TappedRows { rows, first }));
    }

    /// Looks at what passes from now on.
    #[must_use]
    pub fn look(&self) -> Tap {
        let next = self.lock();
        Tap {
            looked: self.looks.subscribe(),
            next: *next,
        }
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for TapPoint {
    fn default() -> Self {
        Self {
            passed: Mutex::default(),
            looks: broadcast::Sender::new(KEPT_BATCHES),
        }
    }
}

impl Tap {
    /// The next rows, and how many passed unseen before them; `None` when the point is gone.
    pub async fn next(&mut self) -> Option<(PassedRows, u64)> {
        loop {
            match self.looked.recv().await {
                Ok(seen) => {
                    let missed = seen.first - self.next;
                    self.next = seen.first + seen.rows.arrow.num_rows() as u64;
                    return Some((seen.rows.clone(), missed));
                }
                // The numbers of the next rows say how many rows these were.
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;

    use delfin_plugin_api::{Batch, sample};

    use super::*;

    fn rows(count: usize) -> PassedRows {
        PassedRows {
            arrow: sample::performance(count, 1).as_arrow().clone(),
            storage_id: None,
            outcome: None,
        }
    }

    #[test]
    fn without_a_client_nothing_is_made_of_the_rows() {
        let point = TapPoint::default();
        point.show(|| unreachable!("no client looks"));
        drop(point.look());
        point.show(|| unreachable!("the client is gone"));
    }

    #[tokio::test]
    async fn a_slow_client_misses_batches_and_knows_how_many_rows() {
        let point = TapPoint::default();
        let mut slow = point.look();
        for count in 1..=10 {
            point.show(|| rows(count));
        }
        let mut seen = Vec::new();
        for _ in 0..KEPT_BATCHES {
            let (rows, missed) = slow.next().await.unwrap();
            seen.push((rows.arrow.num_rows(), missed));
        }
        assert_eq!(seen, [(7, 21), (8, 0), (9, 0), (10, 0)]);
        drop(point);
        assert!(slow.next().await.is_none());
    }

    #[tokio::test]
    async fn a_client_sees_what_passes_from_its_look_on_and_keeps_nothing() {
        let point = TapPoint::default();
        let mut first = point.look();
        point.show(|| rows(1));
        let mut second = point.look();
        point.show(|| rows(2));
        assert_eq!(first.next().await.unwrap().0.arrow.num_rows(), 1);
        let (rows, missed) = second.next().await.unwrap();
        assert_eq!((rows.arrow.num_rows(), missed), (2, 0));
        let column: Weak<_> = Arc::downgrade(rows.arrow.column(0));
        drop((rows, first, second));
        assert_eq!(
            column.strong_count(),
            0,
            "rows are freed with the last client"
        );
    }
}
