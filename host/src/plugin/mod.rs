//! Plugin files, and instances of their exporters.
//!
//! An [`Instance`] has a process of its own, or a thread of its own in the host. Only this
//! thread calls into the plugin: no async worker calls a plugin, and no lock is held during
//! a call. A call that never returns costs its process or its thread, and nothing else.
//!
//! A driver of a plugin has a process for each storage: see [`Drivers`].

mod bounds;
mod call;
mod death;
mod driver;
mod host;
mod instance;
mod plugins;
mod probe;
mod process;
mod redactor;
mod restarts;
mod settings;
mod thread;
mod trial;
mod usage;
mod view;

pub use call::{
    Call, CallResult, ExportRequest, InstanceSettings, Reply, RequestPart, StoredRows,
    wait_for_result,
};
pub use death::{DeathCause, Ended, ProcessDeath};
pub use driver::{DriverProcessView, DriverProcesses, Drivers, FoundDrivers};
pub use host::{InstanceHost, PluginCounters, PluginLevel};
pub use instance::{Instance, InstanceSource};
pub use plugins::{ExporterFactory, Plugins};
pub use process::{
    CommandArgs, EXPORTER_COMMAND, PROGRAM_COMMAND, ProcessRole, ProcessSource, RunnerArgs,
    encode_ahead, run_command, run_driver, run_exporter,
};
pub use redactor::SharedRedactor;
pub use restarts::{RestartReason, Restarts};
pub use trial::{Candidate, Trial};
pub use usage::{CurrentProcess, ProcessUsage};
#[cfg(test)]
pub use view::PluginExporterView;
pub use view::PluginView;
