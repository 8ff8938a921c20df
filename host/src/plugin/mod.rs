//! Exporters of plugins as the host runs them.
//!
//! An [`Instance`] has a thread of its own, and only that thread calls into the
//! plugin: no async worker ever does, and no lock is held meanwhile. A call that
//! never returns costs its thread and nothing else.

mod attempt;
mod call;
mod host;
mod instance;
mod offers;
mod view;

pub use attempt::{answer, try_instance};
pub use call::{ExportRequest, RequestPart};
pub use host::{InstanceHost, PluginCounters};
pub use instance::{Answer, Call, Instance, Reply};
pub use offers::{ExporterFactory, PROBE_COMMAND, Plugins};
#[cfg(test)]
pub use view::PluginExporterView;
pub use view::PluginView;
