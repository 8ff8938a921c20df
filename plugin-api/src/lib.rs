//! The interface for authors of exporters and drivers.
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
//! The module `driver` has the same for drivers, with the feature `driver`.
//!
//! The settings come from `[exporter.NAME.config]`. Records of `log` and `tracing`,
//! and panics, go to the host's log under the exporter's name.
//!
//! [`setting`] reads settings and collects their mistakes; [`RowFailures`] collects
//! the rows that are not delivered; `http` and `grpc` turn responses into failures;
//! `stream` connects to receivers that speak no HTTP; `runtime` runs an async client; `postgres` connects to PostgreSQL; `connections` limits the clients of a
//! server; `files` writes files that are durable; `json` writes rows, `arrow_stream` their columns, and `message` writes payloads of messages; [`prometheus`] names series; `protobuf` writes
//! messages of Protocol Buffers; [`workers`] sends requests at the same time, and [`limiter`] spreads them over time; [`template`] makes names of subjects, topics and indices; [`redact`] hides secrets, and [`credentials`] warns of those that are sent unencrypted;
//! [`text`] shortens texts; `bench` is the frame of benchmarks of encoders.

#![warn(missing_docs)]

#[cfg(feature = "arrow-stream")]
pub mod arrow_stream;
mod batch;
#[cfg(feature = "bench")]
pub mod bench;
mod bridge;
#[cfg(feature = "connections")]
pub mod connections;
mod context;
pub mod credentials;
#[cfg(feature = "driver")]
pub mod driver;
mod export;
mod exporter;
#[cfg(feature = "files")]
pub mod files;
#[cfg(feature = "grpc")]
pub mod grpc;
mod guard;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "json")]
pub mod json;
mod kind;
pub mod limiter;
pub(crate) mod manifest;
#[cfg(feature = "message")]
pub mod message;
mod outcome;
#[cfg(any(feature = "connections", feature = "files", feature = "testkit"))]
mod platform;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod prometheus;
#[cfg(feature = "protobuf")]
pub mod protobuf;
pub mod quantity;
pub mod redact;
#[cfg(feature = "runtime")]
pub mod runtime;
pub mod sample;
pub mod setting;
mod skipped;
#[cfg(feature = "stream")]
pub mod stream;
pub mod template;
pub mod text;
pub mod time;
#[cfg(feature = "tls")]
pub mod tls;
pub mod unreachable;
pub mod workers;

#[cfg(feature = "testkit")]
pub mod testkit;

#[expect(unsafe_code, reason = "the C interface is raw pointers")]
mod c_glue;
#[expect(unsafe_code, reason = "Arrow's C Data Interface is raw pointers")]
mod glue;

pub use arrow_array;
pub use batch::*;
pub use context::{BatchPart, Context, Host, HostGuard};
pub use exporter::Exporter;
pub use kind::{Kind, Origin};
pub use log;
pub use outcome::{
    Failure, Outcome, RowFailure, RowFailureKind, RowFailures, decode_outcome, encode_outcome,
};
pub use serde;
pub use skipped::Skipped;
pub use uuid::Uuid;

/// The version of this crate.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// For [`export_plugin!`] and the host. Not for authors of exporters.
#[doc(hidden)]
pub mod __glue {
    pub use crate::VERSION as API_VERSION;
    pub use crate::c_glue::{PluginFunctions, c_plugin};
    #[cfg(feature = "driver")]
    pub use crate::driver::glue::*;
    pub use crate::glue::*;
    pub use crate::guard::panic_text;
    pub use crate::manifest::{ManifestPart, check_drivers, check_names, len, record};
    pub use abi_stable;
    pub use delfin_plugin_abi as abi;
    pub use delfin_plugin_c::CPlugin;

    /// The compiler that built the crate, as `rustc --version` names it.
    pub const RUSTC_VERSION: &str = env!("DELFIN_RUSTC");

    /// The target triple that the crate was built for.
    pub const TARGET: &str = env!("DELFIN_TARGET");
}
