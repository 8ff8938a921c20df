//! Dead letters: rows that a receiver never takes, kept until an operator replays
//! or purges them.
//!
//! The items of a dead letter stay in the count `dead_lettered`, even after it was
//! delivered by a replay. While it is replayed, its items are accepted and pending
//! a second time, and it is neither purged nor trimmed.
//!
//! Knows nothing of what a payload contains.

use std::fmt;
use std::time::Duration;

use super::Durable;
use super::error::{CursorError, ReadError};
use crate::batch::{Header, Seq};

/// Rows of one batch that a receiver never takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The version of the plugin that rejected the rows.
    pub plugin_version: String,
    /// The header of the batch for these rows: see [`Header::for_part`].
    pub header: Header,
    /// The record that holds the batch.
    pub seq: Seq,
    /// Counted in that batch.
    pub first_row: u64,
    pub rows: u64,
    /// The outcome code of the last attempt.
    pub code: u32,
    pub reason: String,
    pub attempts: u64,
    /// The first attempt, in milliseconds since the Unix epoch.
    pub first_ms: i64,
    /// The last attempt, in milliseconds since the Unix epoch.
    pub last_ms: i64,
    /// These rows alone, encoded.
    pub payload: Vec<u8>,
}

/// Number of a dead letter in its journal; never reused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeadLetterId(pub u64);

/// A dead letter as the journal holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDeadLetter {
    pub id: DeadLetterId,
    pub exporter: String,
    /// The payload is empty in lists.
    pub dead_letter: DeadLetter,
    /// Size of the payload.
    pub bytes: u64,
    /// Since when it is replayed, in milliseconds since the Unix epoch.
    pub replayed_ms: Option<i64>,
}

/// Selects the dead letters that match every field that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterFilter {
    pub exporter: Option<String>,
    /// Last attempted at or after this time, in milliseconds since the Unix epoch.
    pub since_ms: Option<i64>,
    /// Part of the reason, in upper or lower case.
    pub reason: Option<String>,
    /// Empty: any.
    pub ids: Vec<DeadLetterId>,
    /// At most this many, the oldest first.
    pub limit: Option<u64>,
}

/// The number of dead letters and their content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterCount {
    pub dead_letters: u64,
    pub items: u64,
    /// Size of the payloads.
    pub bytes: u64,
}

/// How many dead letters of an exporter are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadLetterLimits {
    /// Size of the payloads.
    pub max_bytes: u64,
    /// Time since the last attempt.
    pub max_age: Duration,
}

/// The end of a dead letter's replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterCommit {
    pub id: DeadLetterId,
    pub disposition: DeadLetterDisposition,
}

/// How a replay ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeadLetterDisposition {
    /// The dead letter is deleted.
    Delivered,
    /// The dead letter stays, with these values.
    DeadLettered {
        code: u32,
        reason: String,
        plugin_version: String,
        /// Includes those before the replay.
        attempts: u64,
        last_ms: i64,
    },
}

/// The dead letters of one journal. Reads block, as those of the journal do.
pub trait DeadLetterStore: Send + Sync {
    /// The matching dead letters, the oldest first, without their payloads.
    fn dead_letters(&self, which: &DeadLetterFilter) -> Result<Vec<StoredDeadLetter>, ReadError>;

    /// How many dead letters match, without the limit.
    fn count_dead_letters(&self, which: &DeadLetterFilter) -> Result<u64, ReadError>;

    /// One dead letter, with its payload.
    fn dead_letter(&self, id: DeadLetterId) -> Result<Option<StoredDeadLetter>, ReadError>;

    /// Starts the replay of the matching dead letters that are not replayed yet,
    /// and counts them.
    fn replay_dead_letters(
        &self,
        which: &DeadLetterFilter,
    ) -> Durable<DeadLetterCount, CursorError>;

    /// Deletes the matching dead letters that are not replayed, and counts them.
    fn purge_dead_letters(&self, which: &DeadLetterFilter)
    -> Durable<DeadLetterCount, CursorError>;

    /// Deletes the oldest dead letters of an exporter until its limits hold, and
    /// counts them. Dead letters in replay stay.
    fn trim_dead_letters(
        &self,
        exporter: &str,
        limits: &DeadLetterLimits,
    ) -> Durable<DeadLetterCount, CursorError>;

    /// The first dead letter after an id that an exporter is to replay, with its payload.
    fn next_replayed_dead_letter(
        &self,
        exporter: &str,
        after: DeadLetterId,
    ) -> Result<Option<StoredDeadLetter>, ReadError>;

    /// Counts the dead letters of an exporter.
    fn dead_letter_totals(&self, exporter: &str) -> Result<DeadLetterCount, ReadError>;
}

impl fmt::Display for DeadLetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl DeadLetterCount {
    /// Adds one dead letter.
    pub(super) const fn add(&mut self, items: u64, bytes: u64) {
        self.dead_letters += 1;
        self.items += items;
        self.bytes += bytes;
    }
}
