//! What became of a call: the answer of an exporter.

use abi_stable::{
    StableAbi,
    std_types::{RString, RVec, Tuple2},
};

/// Class and detail in one number: `class << 16 | detail`.
///
/// A detail that the host does not know is handled as its class. A class that
/// it does not know pauses the exporter with the data kept.
#[repr(transparent)]
#[derive(StableAbi, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OutcomeCode(pub u32);

/// The upper half of an [`OutcomeCode`]. Frozen: a class never changes meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Class {
    /// All rows are at the receiver.
    Delivered = 1,
    /// Rows not named are delivered; each named range has a code of its own.
    Partial = 2,
    /// The receiver is away or busy: the same rows again, later.
    Retry = 3,
    /// Too large: the same rows again, in smaller pieces.
    Split = 4,
    /// The receiver refuses these rows, now and for ever.
    Reject = 5,
    /// Somebody must act (credentials, configuration): keep the data and wait.
    Pause = 6,
    /// This instance is beyond use: make a new one and try again.
    Restart = 7,
    /// Sent, but the answer is unknown: the rows may be there or not.
    Uncertain = 8,
}

/// The answer to a call. Frozen.
#[repr(C)]
#[derive(StableAbi, Clone, Debug, PartialEq)]
pub struct Outcome {
    pub code: OutcomeCode,
    /// The receiver's wish for the next try, in milliseconds; 0: none.
    pub after_ms: u64,
    /// For people; empty when delivered.
    pub message: RString,
    /// Rows with a disposition of their own; only with [`Class::Partial`].
    pub rows: RVec<RowRange>,
    /// Anything else, by name.
    pub extra: RVec<Tuple2<RString, RString>>,
}

/// Rows `first .. first + len` of the batch and what became of them. Frozen.
#[repr(C)]
#[derive(StableAbi, Clone, Debug, PartialEq)]
pub struct RowRange {
    pub first: u64,
    pub len: u64,
    pub code: OutcomeCode,
    pub reason: RString,
}

impl OutcomeCode {
    pub const DELIVERED: Self = Self::new(Class::Delivered, 0);
    pub const PARTIAL: Self = Self::new(Class::Partial, 0);
    pub const RETRY: Self = Self::new(Class::Retry, 0);
    /// The receiver is there, and asks for less.
    pub const RETRY_THROTTLED: Self = Self::new(Class::Retry, 1);
    pub const SPLIT: Self = Self::new(Class::Split, 0);
    pub const REJECT: Self = Self::new(Class::Reject, 0);
    pub const PAUSE_MISCONFIGURED: Self = Self::new(Class::Pause, 0);
    pub const PAUSE_UNAUTHORIZED: Self = Self::new(Class::Pause, 1);
    pub const RESTART: Self = Self::new(Class::Restart, 0);
    /// The instance panicked; the glue around it caught it.
    pub const RESTART_PANICKED: Self = Self::new(Class::Restart, 1);
    pub const UNCERTAIN: Self = Self::new(Class::Uncertain, 0);

    /// A code with a detail; 0 is "no detail".
    #[must_use]
    pub const fn new(class: Class, detail: u16) -> Self {
        Self((class as u32) << 16 | detail as u32)
    }

    /// The class, or `None` where this version does not know it.
    #[must_use]
    pub const fn class(self) -> Option<Class> {
        match self.0 >> 16 {
            1 => Some(Class::Delivered),
            2 => Some(Class::Partial),
            3 => Some(Class::Retry),
            4 => Some(Class::Split),
            5 => Some(Class::Reject),
            6 => Some(Class::Pause),
            7 => Some(Class::Restart),
            8 => Some(Class::Uncertain),
            _ => None,
        }
    }

    /// The lower half.
    #[must_use]
    pub const fn detail(self) -> u16 {
        self.0 as u16
    }
}

impl Outcome {
    /// An outcome that says no more than its code and a message.
    #[must_use]
    pub fn new(code: OutcomeCode, message: impl Into<RString>) -> Self {
        Self {
            code,
            after_ms: 0,
            message: message.into(),
            rows: RVec::new(),
            extra: RVec::new(),
        }
    }

    /// Everything went well.
    #[must_use]
    pub fn delivered() -> Self {
        Self::new(OutcomeCode::DELIVERED, "")
    }
}
