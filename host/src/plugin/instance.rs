//! An exporter instance, in a thread of the host or in a process of its own.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use delfin_plugin_loader::PluginModule;

use super::{
    call::{Call, Reply},
    death::Ended,
    host::InstanceHost,
    process::{ProcessInstance, ProcessSource, START_TIME},
    thread::ThreadInstance,
};

/// What instances are made of.
#[derive(Clone)]
pub enum InstanceSource {
    /// A library that is open in the host.
    Library(PluginModule),
    /// A library that a process of its own opens.
    Process(Arc<ProcessSource>),
}

impl InstanceSource {
    /// The same for an instance that is tried.
    pub(super) fn on_trial(&self) -> Self {
        match self {
            Self::Library(library) => Self::Library(*library),
            Self::Process(source) => Self::Process(Arc::new(source.on_trial())),
        }
    }

    /// How long the start may take, in addition to the timeout of the first call.
    #[must_use]
    pub fn start_time(&self) -> Duration {
        match self {
            Self::Library(_) => Duration::ZERO,
            Self::Process(_) => START_TIME,
        }
    }
}

/// Dropping an instance ends its thread or process after the call in progress.
#[derive(Debug)]
pub struct Instance(Isolated);

#[derive(Debug)]
enum Isolated {
    Thread(ThreadInstance),
    Process(ProcessInstance),
}

impl Instance {
    /// Starts a thread or a process, which has no instance yet.
    ///
    /// # Errors
    ///
    /// The system cannot start a thread.
    pub fn start(source: &InstanceSource, host: InstanceHost) -> io::Result<Self> {
        let isolated = match source {
            InstanceSource::Library(library) => {
                Isolated::Thread(ThreadInstance::start(*library, host)?)
            }
            InstanceSource::Process(source) => {
                Isolated::Process(ProcessInstance::start(source, host)?)
            }
        };
        Ok(Self(isolated))
    }

    /// Starts a call that should return by the deadline.
    pub fn call(&self, call: Call, deadline: Instant) -> Reply {
        match &self.0 {
            Isolated::Thread(instance) => instance.call(call, deadline),
            Isolated::Process(instance) => instance.call(call, deadline),
        }
    }

    /// Ends the thread or process after the call in progress.
    #[must_use]
    pub fn ended(self) -> Ended {
        match self.0 {
            Isolated::Thread(instance) => instance.ended(),
            Isolated::Process(instance) => instance.ended(),
        }
    }

    /// Gives up the call in progress: its result is not waited for any more. The plugin is
    /// told; a process whose call does not return soon is ended.
    pub fn cancel(&self) {
        match &self.0 {
            Isolated::Thread(instance) => instance.cancel(),
            Isolated::Process(instance) => instance.cancel(),
        }
    }

    /// Ends the process of a call that is past its deadline, unless the call returns soon, and
    /// returns true: the reply of the call will say so. Returns false for a thread, which
    /// cannot be ended.
    pub fn on_deadline(&self) -> bool {
        match &self.0 {
            Isolated::Thread(_) => false,
            Isolated::Process(instance) => {
                instance.cancel();
                true
            }
        }
    }
}
