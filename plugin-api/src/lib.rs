//! What an exporter author sees.
//!
//! An exporter is a type that implements [`Exporter`], in a `cdylib` crate that
//! calls [`export_plugin!`]:
//!
//! ```
//! use delfin_plugin_api::{Context, Exporter, Host, Outcome, Failure, PerformanceBatch};
//!
//! struct Printer;
//!
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Config {}
//!
//! impl Exporter for Printer {
//!     type Batch = PerformanceBatch;
//!     type Config = Config;
//!
//!     fn create(_: Config, _: &Host) -> Result<Self, Failure> {
//!         Ok(Self)
//!     }
//!
//!     fn export(&mut self, batch: &PerformanceBatch, _: &Context<'_>) -> Outcome {
//!         for series in batch.series() {
//!             for (time, value) in series.points() {
//!                 log::info!("{} was {value} at {time}", series.name());
//!             }
//!         }
//!         Ok(())
//!     }
//! }
//! ```
//!
//! Its settings come out of `[exporter.NAME.config]`; what it logs with `log` or
//! `tracing`, and its panics, come out of the host's log under its name.

#![warn(missing_docs)]

mod batch;
mod bridge;
mod context;
mod export;
mod exporter;
#[cfg(feature = "grpc")]
pub mod grpc;
mod guard;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "json")]
pub mod json;
mod kind;
pub(crate) mod manifest;
mod outcome;
pub mod quantity;
pub mod redact;
pub mod sample;
pub mod setting;
mod skipped;
pub mod text;
pub mod time;

#[cfg(feature = "testkit")]
pub mod testkit;

#[expect(unsafe_code, reason = "Arrow's C Data Interface is raw pointers")]
mod glue;

pub use arrow_array;
pub use batch::*;
pub use context::{BatchPart, Context, Host};
pub use exporter::Exporter;
pub use kind::{Kind, Origin};
pub use log;
pub use outcome::{Failure, Outcome, RowFailure, RowFailures, decode_outcome, encode_outcome};
pub use serde;
pub use skipped::Skipped;

/// The version of this crate.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What [`export_plugin!`] and the host are made of. Not for authors.
#[doc(hidden)]
pub mod __glue {
    pub use crate::VERSION as API_VERSION;
    pub use crate::glue::*;
    pub use crate::manifest::{Part, len, record};
    pub use abi_stable;
    pub use delfin_plugin_abi as abi;

    /// What the crate was compiled by.
    pub const RUSTC_VERSION: &str = env!("DELFIN_RUSTC");

    /// What the crate was compiled for.
    pub const TARGET: &str = env!("DELFIN_TARGET");
}
