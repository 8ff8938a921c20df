//! Sizes and groups of rows in the outbox.

use std::ops::Range;

/// Rows that go into one request, also when they are sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::delivery) struct SendGroup(pub(super) u64);

/// How much goes into one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::delivery) struct RequestSize {
    pub(in crate::delivery) items: u64,
    pub(in crate::delivery) bytes: u64,
}

/// How much goes into the next request.
#[derive(Clone, Copy, Debug)]
pub(in crate::delivery) struct RequestLimits {
    /// At most so much of one batch.
    pub(in crate::delivery) batch: RequestSize,
    /// At most so much of several batches.
    pub(in crate::delivery) merged: RequestSize,
}

/// Consecutive rows that are not committed, and their group once they were sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PendingRows {
    pub(super) rows: Range<usize>,
    pub(super) group: Option<SendGroup>,
}

/// What an outcome means for one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::delivery) enum RowResult {
    Delivered,
    /// The receiver will never take the row.
    Rejected {
        code: u32,
        reason: String,
    },
    /// The row is sent again.
    Retry,
}

impl RequestSize {
    /// Whether something of this size leaves room for more.
    pub(super) fn is_below(self, limit: Self) -> bool {
        self.items < limit.items && self.bytes < limit.bytes
    }
}
