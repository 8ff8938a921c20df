//! An exporter instance in a process of its own.
//!
//! The process is this binary, started with a hidden command; it opens the library and
//! makes the calls, or it becomes the program of a plugin that is a folder. A thread of the host supervises it: sends the calls, passes on what
//! it logs, ends it when asked, and says how it ended.
//!
//! Promises: nothing here waits for the process without a limit, and when
//! [`ProcessInstance::ended`] is told, the process and its process group are gone.

mod calls;
pub(super) mod ending;
pub(super) mod output;
mod payload;
pub(super) mod registry;
mod runner;
pub(super) mod spawn;
mod supervisor;
mod wire;

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc,
        mpsc::{Sender, channel},
    },
    time::{Duration, Instant},
};

use delfin_plugin_loader::{PluginProgram, PreparedPlugin, ProgramTransport};
use rustix::event::{EventfdFlags, eventfd};
use tokio::sync::oneshot;

pub use registry::{adopt_orphans, end_all_processes};
pub use runner::{CommandArgs, ConfineArgs, RunnerArgs, run_command, run_driver, run_exporter};

use super::{
    call::{Call, Reply},
    death::Ended,
    host::InstanceHost,
    thread::thread_name,
};
use crate::config::ProcessLimits;
use supervisor::{Supervisor, SupervisorRequest};

/// The hidden command of the process.
pub const EXPORTER_COMMAND: &str = "__exporter";

/// The hidden command of the process of a plugin that is a folder.
pub const PROGRAM_COMMAND: &str = "__program";

/// How long a process may take to start, in addition to the timeout of its first call: a
/// machine that is busy must not look like a plugin that hangs.
pub(super) const START_TIME: Duration = Duration::from_secs(5);

/// The running binary, also after an upgrade has replaced its file.
pub const THIS_BINARY: &str = "/proc/self/exe";

/// What a process answers calls to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessRole {
    Exporter,
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
    /// Whether the processes cannot receive descriptors, so that rows follow their message.
    fn is_inline(&self) -> bool {
        match self.plugin.program() {
            PluginProgram::Library(_) => false,
            PluginProgram::Command(program) => program.command.transport == ProgramTransport::Stdio,
        }
    }
}

/// Dropping an instance ends its process after the call in progress.
#[derive(Debug)]
pub(super) struct ProcessInstance {
    requests: Sender<SupervisorRequest>,
    /// Tells the supervisor that there is a request, or that there will be no more.
    wake: Wake,
    ended: Ended,
}

impl ProcessInstance {
    /// Starts a process, without an instance.
    pub(super) fn start(source: &Arc<ProcessSource>, host: InstanceHost) -> io::Result<Self> {
        let (requests, received) = channel();
        let wake = Wake::new()?;
        let (end, ended) = oneshot::channel();
        let thread = std::thread::Builder::new().name(thread_name(&host.exporter));
        let (source, woken) = (Arc::clone(source), wake.descriptor());
        // The kernel ends the process when the thread that has started it ends: the
        // supervisor starts it itself.
        thread.spawn(move || {
            if let Some(death) = Supervisor::run(&source, host, &received, woken) {
                // The receiver is gone if no one waits for the end.
                let _ = end.send(death);
            }
        })?;
        Ok(Self {
            requests,
            wake,
            ended,
        })
    }

    pub(super) fn call(&self, call: Call, deadline: Instant) -> Reply {
        let (reply, result) = oneshot::channel();
        self.send(SupervisorRequest::Call {
            call,
            deadline,
            reply,
        });
        result
    }

    /// Gives up the call in progress: ends the process, unless the call returns soon.
    pub(super) fn cancel(&self) {
        self.send(SupervisorRequest::Cancel);
    }

    pub(super) fn ended(self) -> Ended {
        self.ended
    }

    fn send(&self, request: SupervisorRequest) {
        // The supervisor ends only after the instance.
        let _ = self.requests.send(request);
        self.wake.wake();
    }
}

/// Wakes the supervisor's `poll`, also by its end.
#[derive(Debug)]
pub(super) struct Wake(Arc<OwnedFd>);

impl Wake {
    pub(super) fn new() -> io::Result<Self> {
        let counter = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self(Arc::new(counter)))
    }

    /// Readable after a wake.
    pub(super) fn descriptor(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.0)
    }

    pub(super) fn wake(&self) {
        // It fails only if the counter is full, and then the supervisor is being woken.
        let _ = rustix::io::write(self.0.as_fd(), &1_u64.to_ne_bytes());
    }
}

impl Drop for Wake {
    fn drop(&mut self) {
        self.wake();
    }
}
