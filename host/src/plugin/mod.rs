//! Plugin files, and instances of their exporters.
//!
//! An [`Instance`] has a thread of its own, and only this thread calls into the
//! plugin: no async worker calls a plugin, and no lock is held during a call. A
//! call that never returns costs its thread and nothing else.

mod call;
mod dry_run;
mod host;
mod instance;
mod plugins;
mod view;

pub use call::{ExportRequest, RequestPart};
pub use dry_run::{check_config, check_start, wait_for};
pub use host::{InstanceHost, PluginCounters};
pub use instance::{Call, CallResult, Instance, Reply};
pub use plugins::{ExporterFactory, PROBE_COMMAND, Plugins};
#[cfg(test)]
pub use view::PluginExporterView;
pub use view::PluginView;
