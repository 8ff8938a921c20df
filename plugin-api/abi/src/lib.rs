//! The types that cross between the host and a plugin.
//!
//! Promises: a plugin built against any 1.x of this crate loads in a host built with any
//! other 1.x. Four rules ensure it, and `tests/abi` loads plugins of several versions in
//! every order:
//!
//! - The major version stays 1: `abi_stable` refuses a plugin of another major version.
//! - [`Plugin`] grows at its end. A trait grows after its last method, and each new method
//!   has a default body. A caller that meets a missing method runs its own default, so the
//!   meaning of a default is frozen too.
//! - Every other struct is frozen. An addition is a method, an [`Extension`], or a column
//!   of a batch.
//! - An integer that names something ([`OutcomeCode`], [`Origin`], [`Level`]) is a
//!   transparent `u32`: an unknown value is data, not undefined behaviour.
//!
//! Knows nothing of Arrow's Rust crates, of JSON, or of how an author writes an exporter:
//! that is `delfin-plugin-api`, whose major version may change.

// The derives of `abi_stable` write `unsafe impl`s. Only `arrow` has unsafe code of its
// own.
#![allow(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    clippy::allow_attributes,
    unused_qualifications,
    non_local_definitions,
    reason = "the code that the derives of `abi_stable` generate"
)]

mod arrow;
mod context;
mod exporter;
pub mod manifest;
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
