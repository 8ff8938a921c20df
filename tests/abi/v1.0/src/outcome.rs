//! The outcome of a call to an exporter.

use abi_stable::{
    StableAbi,
    std_types::{RString, RVec, Tuple2},
};

/// Class and detail in one number: `class << 16 | detail`.
///
/// The host handles an unknown detail as its class. An unknown class pauses the exporter;
/// the data is kept.
#[repr(transparent)]
#[derive(StableAbi, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OutcomeCode(pub u32);

/// The upper half of an [`OutcomeCode`]. Frozen: a class never changes meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Class {
    /// The receiver has all rows.
    Delivered = 1,
    /// Some rows are not delivered. Each named range has its own code; the other rows are
    /// delivered.
    Partial = 2,
    /// The receiver is not available or overloaded: send the same rows again later.
    Retry = 3,
    /// The request is too large: send the same rows in smaller requests.
    Split = 4,
    /// The receiver will never accept these rows.
    Reject = 5,
    /// A person must correct credentials or settings: keep the data and wait.
    Pause = 6,
    /// This instance cannot be used any more: make a new one and retry.
    Restart = 7,
    /// The rows were sent and the response is unknown: the receiver may have them or not.
    Uncertain = 8,
}

/// The outcome of a call. Frozen.
#[repr(C)]
#[derive(StableAbi, Clone, Debug, PartialEq)]
pub struct Outcome {
    pub code: OutcomeCode,
    /// How long the receiver asks to wait before the next attempt, in milliseconds; 0 if it
    /// does not say.
    pub after_ms: u64,
    /// A message for people; empty when delivered.
    pub message: RString,
    /// The rows that are not delivered; only with [`Class::Partial`].
    pub rows: RVec<RowRange>,
    /// Additional pairs of a name and a value; the host ignores unknown names.
    pub extra: RVec<Tuple2<RString, RString>>,
}

/// Rows `first .. first + len` of the call, and their outcome. Frozen.
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
    /// The receiver is available, and asks for less load.
    pub const RETRY_THROTTLED: Self = Self::new(Class::Retry, 1);
    pub const SPLIT: Self = Self::new(Class::Split, 0);
    pub const REJECT: Self = Self::new(Class::Reject, 0);
    pub const PAUSE_MISCONFIGURED: Self = Self::new(Class::Pause, 0);
    pub const PAUSE_UNAUTHORIZED: Self = Self::new(Class::Pause, 1);
    pub const RESTART: Self = Self::new(Class::Restart, 0);
    /// The instance has panicked, and the panic was caught in the plugin.
    pub const RESTART_PANICKED: Self = Self::new(Class::Restart, 1);
    pub const UNCERTAIN: Self = Self::new(Class::Uncertain, 0);

    /// A code with a detail; 0 is no detail.
    #[must_use]
    pub const fn new(class: Class, detail: u16) -> Self {
        Self((class as u32) << 16 | detail as u32)
    }

    /// The class, or `None` if this version does not know it.
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
    /// An outcome with a code and a message only.
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

    /// The outcome of a call that has delivered all rows.
    #[must_use]
    pub fn delivered() -> Self {
        Self::new(OutcomeCode::DELIVERED, "")
    }
}
