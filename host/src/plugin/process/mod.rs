//! An exporter instance in a process of its own.
//!
//! The process is this binary, started with a hidden command; it opens the library and
//! makes the calls, or it becomes the program of a plugin that is a folder. A task of the host
//! supervises it: sends the calls, passes on what it logs, ends it when asked, and says how it
//! ended.
//!
//! Promises: nothing here waits for the process without a limit, and when
//! [`ProcessInstance::ended`] is told, the process and its process group are gone.

mod after_end;
mod calls;
mod connection;
mod dialogue;
mod ending;
mod incoming;
mod link;
mod output;
mod payload;
mod runner;
mod runtime;
mod spawn;
mod supervisor;
mod wire;

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use delfin_plugin_loader::{PluginProgram, PreparedPlugin, ProgramTransport};
use delfin_plugin_protocol::CAN_SHARE_FILES;
use tokio::sync::{
    mpsc::{UnboundedSender, unbounded_channel},
    oneshot,
};

pub use runner::{CommandArgs, RunnerArgs, run_command, run_driver, run_exporter};

use super::{
    call::{Call, Reply},
    death::Ended,
    host::InstanceHost,
};
use crate::config::ProcessLimits;
use after_end::unclean_exit;
use calls::{Calls, ExporterRequest};
pub(super) use dialogue::{Dialogue, ProcessEnd};
pub(super) use incoming::check_version;
pub(super) use link::Link;
use payload::PayloadForm;
pub use payload::encode_ahead;
pub(super) use runtime::runtime;
pub(super) use supervisor::supervise;
pub(super) use wire::log_level;

/// The hidden command of the process.
pub const EXPORTER_COMMAND: &str = "__exporter";

/// The hidden command of the process of a plugin that is a folder.
pub const PROGRAM_COMMAND: &str = "__program";

/// How long a process may take to start, in addition to the timeout of its first call: a
/// machine that is busy must not look like a plugin that hangs.
pub(super) const START_TIME: Duration = Duration::from_secs(5);

/// What a process answers calls to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessRole {
    Exporter,
    /// An exporter that is tried, perhaps while the instance that it replaces still runs.
    ExporterOnTrial,
    Driver,
}

/// What processes of an exporter or a driver are made of.
#[derive(Clone, Debug)]
pub struct ProcessSource {
    pub plugin: PreparedPlugin,
    pub role: ProcessRole,
    pub limits: ProcessLimits,
    /// How long the process may take to exit when nothing is left to do.
    pub timeout: Duration,
}

impl ProcessSource {
    /// The same for a process that is tried.
    pub(super) fn on_trial(&self) -> Self {
        Self {
            role: ProcessRole::ExporterOnTrial,
            ..self.clone()
        }
    }

    /// How the processes get rows, until they say that they keep files.
    fn payload_form(&self) -> PayloadForm {
        match self.plugin.program() {
            PluginProgram::Command(program)
                if program.command.transport == ProgramTransport::Stdio =>
            {
                PayloadForm::Inline
            }
            PluginProgram::Command(_) | PluginProgram::Library(_) if CAN_SHARE_FILES => {
                PayloadForm::Sealed
            }
            PluginProgram::Command(_) | PluginProgram::Library(_) => PayloadForm::Inline,
        }
    }
}

/// Dropping an instance ends its process after the call in progress.
#[derive(Debug)]
pub(super) struct ProcessInstance {
    requests: UnboundedSender<ExporterRequest>,
    ended: Ended,
}

impl ProcessInstance {
    /// Starts a process, without an instance.
    ///
    /// # Errors
    ///
    /// The system cannot start a thread.
    pub(super) fn start(source: &Arc<ProcessSource>, host: InstanceHost) -> io::Result<Self> {
        let (requests, received) = unbounded_channel();
        let (end, ended) = oneshot::channel();
        let (source, host) = (Arc::clone(source), Arc::new(host));
        runtime()?.spawn(async move {
            let calls = Calls::new(Arc::clone(&host), source.payload_form(), source.timeout);
            // Messages of an exporter have no payload.
            let how = supervise(&source, Arc::clone(&host), calls, received, 0).await;
            if let Some(death) = unclean_exit(how, &host) {
                // The receiver is gone if no one waits for the end.
                let _ = end.send(death);
            }
        });
        Ok(Self { requests, ended })
    }

    pub(super) fn call(&self, call: Call, deadline: Instant) -> Reply {
        let (reply, result) = Reply::channel();
        self.send(ExporterRequest::Call {
            call,
            deadline,
            reply,
        });
        result
    }

    /// Gives up the call in progress: ends the process, unless the call returns soon.
    pub(super) fn cancel(&self) {
        self.send(ExporterRequest::Cancel);
    }

    pub(super) fn ended(self) -> Ended {
        self.ended
    }

    fn send(&self, request: ExporterRequest) {
        // The supervisor ends only after the instance, or with its runtime.
        let _ = self.requests.send(request);
    }
}
