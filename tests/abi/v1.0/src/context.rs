//! The host as a plugin sees it: [`Context`] for one call, [`Host`] for the lifetime of an
//! instance.

use abi_stable::{
    RRef, StableAbi, sabi_trait,
    std_types::{RBox, ROption, RSlice, RStr},
};

use crate::plugin::ExtensionBox;

/// A [`Context`], borrowed for one call.
pub type ContextRef<'a> = Context_TO<'a, RRef<'a, ()>>;

/// A [`Host`], owned by an instance.
pub type HostBox = Host_TO<'static, RBox<()>>;

/// Where a batch comes from.
#[repr(transparent)]
#[derive(StableAbi, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Origin(pub u32);

impl Origin {
    pub const COLLECTION: Self = Self(1);
    pub const SYNC: Self = Self(2);
    pub const TRAP: Self = Self(3);
    pub const INGEST: Self = Self(4);
    pub const RESEND: Self = Self(5);
    pub const REPLAY: Self = Self(6);
}

/// The level of a log record, with the numbers of the `log` crate.
#[repr(transparent)]
#[derive(StableAbi, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level(pub u32);

impl Level {
    pub const OFF: Self = Self(0);
    pub const ERROR: Self = Self(1);
    pub const WARN: Self = Self(2);
    pub const INFO: Self = Self(3);
    pub const DEBUG: Self = Self(4);
    pub const TRACE: Self = Self(5);
}

/// A key and a value of a log record. Frozen.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct Field<'a> {
    pub key: RStr<'a>,
    pub value: RStr<'a>,
}

/// A log record. Frozen.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct LogRecord<'a> {
    pub level: Level,
    pub target: RStr<'a>,
    pub message: RStr<'a>,
    pub fields: RSlice<'a, Field<'a>>,
    /// The record comes from a thread that the plugin has started, and the library has
    /// several instances, so that the instance of the record is unknown.
    pub instance_unknown: bool,
}

/// Consecutive rows of a call that belong to one accepted batch. Frozen.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct BatchPart<'a> {
    /// UUIDv7, in the byte order of RFC 9562.
    pub batch_id: [u8; 16],
    pub first_row: u64,
    pub rows: u64,
    /// When the batch was accepted, in milliseconds since the Unix epoch.
    pub accepted_ms: i64,
    /// The storage of all rows; empty if they are of several, or of no storage.
    pub storage_id: RStr<'a>,
    /// The batch holds every active alert of its storage: an absent alert has ended.
    pub complete: bool,
}

/// The circumstances of one call. The host implements it.
#[sabi_trait]
pub trait Context: Send + Sync {
    /// Nanoseconds until the deadline of the call; 0 once it has passed.
    fn remaining_ns(&self) -> u64;

    /// Whether the host is about to stop: the call should return soon.
    fn cancelled(&self) -> bool;

    /// The number of the attempt with these rows, from 1.
    fn attempt(&self) -> u32;

    /// Where the rows come from.
    fn origin(&self) -> Origin;

    /// The accepted batches to which the rows belong, in the order of the rows; empty
    /// outside `export`.
    fn parts(&self) -> RSlice<'_, BatchPart<'_>>;

    /// An extension that later versions or other hosts have.
    #[sabi(last_prefix_field)]
    fn get_extension(&self, id: RStr<'_>) -> ROption<ExtensionBox>;
}

/// The host, as one instance sees it. The host implements it. Any thread of the plugin
/// may call it.
#[sabi_trait]
pub trait Host: Send + Sync {
    /// The exporter's name in the configuration.
    fn exporter(&self) -> RStr<'_>;

    /// The number of the instance, from 0, among those of the same exporter.
    fn instance(&self) -> u32;

    /// A folder for files of the exporter. It exists and survives restarts of the host.
    fn state_dir(&self) -> RStr<'_>;

    /// The least severe level that the host logs.
    fn max_level(&self) -> Level;

    /// Adds a record to the host's log. It does not block on I/O.
    fn log(&self, record: LogRecord<'_>);

    /// Adds to a counter of the exporter, which the host shows in its metrics.
    fn count(&self, counter: RStr<'_>, by: u64);

    /// An extension that later versions or other hosts have.
    #[sabi(last_prefix_field)]
    fn get_extension(&self, id: RStr<'_>) -> ROption<ExtensionBox>;
}
