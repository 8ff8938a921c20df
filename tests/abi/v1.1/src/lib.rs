//! The interface as 1.1 could be: an additional method in each of two traits, and an
//! additional function in the root module. It is compatible with 1.0.

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
mod context;
mod exporter;
#[path = "../../v1.0/src/manifest.rs"]
pub mod manifest;
#[path = "../../v1.0/src/outcome.rs"]
mod outcome;
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
