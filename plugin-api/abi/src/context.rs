//! What the host lends to a plugin: [`Context`] for one call, [`Host`] for the
//! life of an instance.

use abi_stable::{
    RRef, StableAbi, sabi_trait,
    std_types::{RBox, ROption, RSlice, RStr},
};

use crate::plugin::ExtensionBox;

/// A [`Context`], lent for one call.
pub type ContextRef<'a> = Context_TO<'a, RRef<'a, ()>>;

/// A [`Host`], owned by an instance.
pub type HostBox = Host_TO<'static, RBox<()>>;

/// Where a batch came from.
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

/// How loud a log record is; the numbers of the `log` crate.
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
    /// The record came from a thread of the plugin's own, and the library has
    /// several instances: it cannot be told which of them spoke.
    pub instance_unknown: bool,
}

/// Consecutive rows of a batch that were accepted together. Frozen.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct BatchPart<'a> {
    /// UUIDv7, in the byte order of RFC 9562.
    pub batch_id: [u8; 16],
    /// Counted in the batch as it was accepted; in the call, parts follow one another.
    pub first_row: u64,
    pub rows: u64,
    /// When it was accepted: milliseconds since the epoch.
    pub accepted_ms: i64,
    /// The storage that the part speaks of; empty: not of one alone.
    pub storage_id: RStr<'a>,
    /// The part is all there is of its scope: what is absent from it has ended.
    pub complete: bool,
}

/// One call, as the host sees it.
#[sabi_trait]
pub trait Context: Send + Sync {
    /// Nanoseconds left until the host takes the call for hung; 0: too late.
    fn remaining_ns(&self) -> u64;

    /// The host is about to stop: finish or give up, soon.
    fn cancelled(&self) -> bool;

    /// 1 for the first try with these rows.
    fn attempt(&self) -> u32;

    /// Where the rows came from.
    fn origin(&self) -> Origin;

    /// What the rows were accepted as, in order; empty outside `export`.
    fn parts(&self) -> RSlice<'_, BatchPart<'_>>;

    /// Something that later versions or other hosts offer, by name.
    #[sabi(last_prefix_field)]
    fn get_extension(&self, id: RStr<'_>) -> ROption<ExtensionBox>;
}

/// One instance, as the host sees it. Any thread of the plugin may call it.
#[sabi_trait]
pub trait Host: Send + Sync {
    /// The exporter's name in the configuration.
    fn exporter(&self) -> RStr<'_>;

    /// Which of several instances of that exporter this is, from 0.
    fn instance(&self) -> u32;

    /// A folder for this exporter's own files; exists, and outlives restarts.
    fn state_dir(&self) -> RStr<'_>;

    /// Records quieter than this are not wanted.
    fn max_level(&self) -> Level;

    /// Takes a record into the host's log. Does not block on I/O.
    fn log(&self, record: LogRecord<'_>);

    /// Adds to a counter that the host shows under the exporter's name.
    fn count(&self, counter: RStr<'_>, by: u64);

    /// Something that later versions or other hosts offer, by name.
    #[sabi(last_prefix_field)]
    fn get_extension(&self, id: RStr<'_>) -> ROption<ExtensionBox>;
}
