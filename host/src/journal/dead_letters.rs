//! Items that a receiver will never take, kept until a person has seen to them.
//!
//! A letter stays counted as given up for ever, whatever becomes of it here. To
//! replay one makes its items pending once more, until they are delivered or
//! given up again; a letter that is being replayed is neither purged nor trimmed.
//!
//! Knows nothing of what a letter's payload means.

use std::fmt;
use std::time::Duration;

use super::Durable;
use super::cursor::DeadLetter;
use super::error::{CursorError, ReadError};

/// The number of a dead letter in its journal, never given twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeadLetterId(pub u64);

/// A dead letter as the journal holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDeadLetter {
    /// Its number.
    pub id: DeadLetterId,
    /// Whose receiver did not take it.
    pub exporter: String,
    /// What was kept. Its payload is left out, and empty, where letters are listed.
    pub dead_letter: DeadLetter,
    /// How many bytes the payload has.
    pub bytes: u64,
    /// Since when it is being replayed, in milliseconds since 1970.
    pub replayed_ms: Option<i64>,
}

/// Which dead letters: those that fit everything that is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterFilter {
    /// Of this exporter alone.
    pub exporter: Option<String>,
    /// Given up at or after this time, in milliseconds since 1970.
    pub since_ms: Option<i64>,
    /// With this somewhere in the reason, in whatever case.
    pub reason: Option<String>,
    /// Of these numbers; of any, if there are none.
    pub ids: Vec<DeadLetterId>,
    /// So many at most, the oldest of them.
    pub limit: Option<u64>,
}

/// How many letters, and how much is in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterCount {
    /// Letters.
    pub dead_letters: u64,
    /// Their items.
    pub items: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
}

/// How many dead letters an exporter may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadLetterLimits {
    /// Bytes of their payloads.
    pub max_bytes: u64,
    /// How long one is kept after it was given up.
    pub max_age: Duration,
}

/// What became of a letter that was being replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterCommit {
    /// Which one.
    pub id: DeadLetterId,
    /// What became of it.
    pub disposition: DeadLetterDisposition,
}

/// How a replay ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeadLetterDisposition {
    /// The receiver has it: the letter goes.
    Delivered,
    /// It was given up once more: the letter stays, with what is known now.
    DeadLettered {
        /// The outcome code.
        code: u32,
        /// Why, in words.
        reason: String,
        /// The version of the plugin that gave up on it.
        plugin_version: String,
        /// How often it was tried, the times before included.
        attempts: u64,
        /// When it was last tried, in milliseconds since 1970.
        last_ms: i64,
    },
}

/// The dead letters of one journal. Reads block, as those of the journal do.
pub trait DeadLetterStore: Send + Sync {
    /// The letters, the oldest first, without their payloads.
    fn dead_letters(&self, which: &DeadLetterFilter) -> Result<Vec<StoredDeadLetter>, ReadError>;

    /// One letter, with its payload.
    fn dead_letter(&self, id: DeadLetterId) -> Result<Option<StoredDeadLetter>, ReadError>;

    /// Asks for letters to be delivered once more; says what is under way by this.
    /// Those that were being replayed already are not among them.
    fn replay_dead_letters(
        &self,
        which: &DeadLetterFilter,
    ) -> Durable<DeadLetterCount, CursorError>;

    /// Forgets letters for good; says what is gone. Those being replayed stay.
    fn purge_dead_letters(&self, which: &DeadLetterFilter)
    -> Durable<DeadLetterCount, CursorError>;

    /// Forgets an exporter's oldest letters as its limits ask; says what is gone.
    /// Those being replayed stay.
    fn trim_dead_letters(
        &self,
        exporter: &str,
        limits: &DeadLetterLimits,
    ) -> Durable<DeadLetterCount, CursorError>;

    /// The next letter after a number that an exporter is to deliver once more, with its payload.
    fn next_replayed_dead_letter(
        &self,
        exporter: &str,
        after: DeadLetterId,
    ) -> Result<Option<StoredDeadLetter>, ReadError>;

    /// What is held of an exporter now.
    fn dead_letter_totals(&self, exporter: &str) -> Result<DeadLetterCount, ReadError>;
}

impl fmt::Display for DeadLetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl DeadLetterCount {
    /// ItemCounts one more letter.
    pub(super) const fn add(&mut self, items: u64, bytes: u64) {
        self.dead_letters += 1;
        self.items += items;
        self.bytes += bytes;
    }
}
