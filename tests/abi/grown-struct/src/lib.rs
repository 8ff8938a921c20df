//! A wrong change: a struct of 1.0 with an additional field.

// The derives of `abi_stable` write `unsafe impl`s. Only `arrow` has unsafe code of its
// own.
#![allow(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    clippy::allow_attributes,
    unused_qualifications,
    non_local_definitions,
    missing_docs,
    reason = "the code that the derives of `abi_stable` generate"
)]

#[path = "../../v1.0/src/arrow.rs"]
mod arrow;
#[path = "../../v1.0/src/context.rs"]
mod context;
#[path = "../../v1.0/src/exporter.rs"]
mod exporter;
#[path = "../../v1.0/src/manifest.rs"]
pub mod manifest;
mod outcome;
#[path = "../../v1.0/src/plugin.rs"]
mod plugin;

pub use arrow::{ArrowArray, ArrowBatch, ArrowSchema};
pub use context::{
    BatchPart, Context, Context_TO, ContextRef, Field, Host, Host_TO, HostBox, Level, LogRecord,
    Origin,
};
pub use exporter::{Exporter, Exporter_TO, ExporterBox};
pub use outcome::{Class, Outcome, OutcomeCode, RowRange};
pub use plugin::{Extension, Extension_TO, ExtensionBox, Plugin, PluginRef};

/// The version of the interface, as `MAJOR.MINOR.PATCH`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
