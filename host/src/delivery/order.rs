//! What others ask of an exporter's task.

use tokio::sync::oneshot;

use crate::journal::{CursorError, Seq};

/// Something to be done between two calls.
#[derive(Debug)]
pub enum Order {
    /// To give way: nothing before a record may wait for it any more.
    MakeRoom {
        /// The record.
        end: Seq,
        /// Dropped once that is done.
        done: oneshot::Sender<()>,
    },
    /// To deliver once more what was accepted since a time, in milliseconds since
    /// the epoch; answered with how many items that is.
    Replay {
        /// The time.
        since_ms: i64,
        /// Where to answer.
        answer: oneshot::Sender<Result<u64, CursorError>>,
    },
    /// To look again at once, whatever it waits for, and though it was given up.
    Resume,
}
