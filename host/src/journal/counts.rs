//! What has become of the items of an exporter. Every count is of items: points or alerts.

/// The limit that dropped items were lost by, when they were lost with a damaged file.
pub const DAMAGED: &str = "damaged";

/// The items of an exporter. Each accepted item is in exactly one of the other counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ItemCounts {
    /// Items from the start of the cursor on, plus `replayed`.
    pub accepted: u64,
    /// Items that were requested again by a replay.
    pub replayed: u64,
    pub delivered: u64,
    pub dead_lettered: u64,
    pub dropped: Vec<DroppedItems>,
    /// Items that the filter of the exporter excludes.
    pub filtered: u64,
    /// Items without a disposition. Counted from the records after the cursor and
    /// the dead letters in replay, not from the other counts, so that a wrong count
    /// shows in [`Self::unaccounted`].
    pub pending: i64,
}

/// Items that a limit dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DroppedItems {
    /// The configuration key of the limit.
    pub limit: String,
    pub items: u64,
}

/// What is pending for an exporter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// As [`ItemCounts::pending`].
    pub items: u64,
    /// Bytes of the records from the cursor on.
    pub bytes: u64,
    /// When the first of those records was accepted, in milliseconds since the Unix epoch.
    pub oldest_accepted_ms: Option<i64>,
}

impl ItemCounts {
    /// Items dropped, by any limit.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.iter().map(|dropped| dropped.items).sum()
    }

    /// Accepted items that are neither pending nor have a disposition. Anything
    /// but 0 is a bug, or a journal that was damaged.
    #[must_use]
    pub fn unaccounted(&self) -> i64 {
        let dropped = self.dropped.iter().map(|dropped| dropped.items);
        let committed = [self.delivered, self.dead_lettered, self.filtered];
        // The numbers of a damaged journal can be any.
        let committed: i128 = committed.into_iter().chain(dropped).map(i128::from).sum();
        let unaccounted = i128::from(self.accepted) - committed - i128::from(self.pending);
        let limits = (i64::MIN.into(), i64::MAX.into());
        unaccounted.clamp(limits.0, limits.1) as i64
    }
}
