//! A process that this one has started.
//!
//! Promises: no code runs between the start of the process and its `exec`, so that the
//! start is safe and quick however large the host is. The process does the rest itself,
//! before it opens the library: see `confine.rs`.

use std::{
    env,
    io::{self, PipeReader, pipe},
    os::{fd::OwnedFd, unix::process::CommandExt},
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
};

use delfin_plugin_protocol::{FrameSocket, socket_pair};
use rustix::{
    fs::{OFlags, fcntl_setfl},
    process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal},
};
use tokio::io::Interest;

use super::{
    registry::RegisteredProcess,
    starter::on_starter,
    watched::{WatchedFd, watch},
};
use crate::platform::ProcessCommand;

/// The running binary, also after an upgrade has replaced its file.
const THIS_BINARY: &str = "/proc/self/exe";

/// Starts this process again, with its arguments and its number: nothing of it is left but its standard streams. Returns only if
/// that fails.
pub(crate) fn start_again() -> io::Error {
    let mut arguments = env::args_os();
    let mut command = Command::new(THIS_BINARY);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    command.args(arguments).exec()
}

/// A process, and the host's ends of its connections.
pub(crate) struct StartedProcess {
    pub(crate) process: ChildProcess,
    pub(crate) socket: FrameSocket,
    pub(crate) output: OutputPipe,
}

/// Ended when it is dropped: a process that no one supervises any more must not go on.
pub(crate) struct ChildProcess {
    spawned: Spawned,
    /// Readable once the process has ended.
    ended: WatchedFd,
    /// Until the process is reaped.
    registration: Option<RegisteredProcess>,
}

/// What a process writes to standard output and standard error.
pub(crate) struct OutputPipe(WatchedFd);

struct Spawned {
    child: Child,
    pid: Pid,
    pidfd: Arc<OwnedFd>,
}

impl StartedProcess {
    /// Starts a process. `command` is called where it may block.
    ///
    /// # Errors
    ///
    /// Of `command`, or the system cannot start a process.
    pub(crate) async fn start(
        command: impl FnOnce() -> io::Result<ProcessCommand> + Send + 'static,
    ) -> io::Result<Self> {
        let (spawned, socket, output) = on_starter(move || spawn(command()?)).await?;
        let registration = RegisteredProcess::new(spawned.pid, &spawned.pidfd);
        Ok(Self {
            process: ChildProcess {
                ended: watch(Arc::clone(&spawned.pidfd), Interest::READABLE)?,
                registration: Some(registration),
                spawned,
            },
            socket,
            output: OutputPipe(watch(Arc::new(output.into()), Interest::READABLE)?),
        })
    }
}

fn spawn(command: ProcessCommand) -> io::Result<(Spawned, FrameSocket, PipeReader)> {
    let (host_end, process_end) = socket_pair()?;
    let (output, process_output) = pipe()?;
    fcntl_setfl(&output, OFlags::NONBLOCK)?;
    let process_stdout = match command.library {
        Some(library) => library.file().try_clone()?.into(),
        None => Stdio::from(process_output.try_clone()?),
    };
    let mut child = Command::new(THIS_BINARY)
        .args(command.arguments)
        .arg0("delfin-host")
        .env_clear()
        .envs(command.environment)
        .process_group(0)
        // The three standard descriptors are the only ones that a process gets without
        // code between its start and its `exec`: the connection is standard input, and
        // the library is standard output until the process has taken it from there.
        .stdin(process_end)
        .stdout(process_stdout)
        .stderr(process_output)
        .spawn()?;
    let pid = Pid::from_child(&child);
    let pidfd = pidfd_open(pid, PidfdFlags::empty());
    let pidfd = pidfd.inspect_err(|_| {
        // Without the descriptor, the end of the process would not be noticed.
        let _ = child.kill();
        let _ = child.wait();
    })?;
    let spawned = Spawned {
        child,
        pid,
        pidfd: Arc::new(pidfd),
    };
    Ok((spawned, host_end, output))
}

impl ChildProcess {
    pub(crate) fn number(&self) -> u32 {
        self.spawned.child.id()
    }

    /// Waits until the process has ended.
    pub(crate) async fn ended(&self) {
        let _ = self.ended.readable().await;
    }

    /// Asks the process to end. Returns at once.
    pub(crate) fn terminate(&self) {
        // It fails only if the process has ended.
        let _ = pidfd_send_signal(&self.spawned.pidfd, Signal::TERM);
    }

    /// Ends the process and its group. Returns at once.
    pub(crate) fn kill(&self) {
        self.kill_group();
        let _ = pidfd_send_signal(&self.spawned.pidfd, Signal::KILL);
    }

    /// Ends what a process that has ended has left in its group. Before [`Self::reap`]: until then,
    /// its number cannot be that of another group.
    pub(crate) fn kill_group(&self) {
        let _ = kill_process_group(self.spawned.pid, Signal::KILL);
    }

    /// How the process has ended.
    ///
    /// # Errors
    ///
    /// The system does not tell.
    pub(crate) fn reap(&mut self) -> io::Result<ExitStatus> {
        let status = self.spawned.child.wait();
        self.registration = None;
        status
    }
}

impl OutputPipe {
    /// Waits until the process has written something. An error is found by the next read.
    pub(crate) async fn readable(&self) {
        let _ = self.0.readable().await;
    }

    /// Reads what is there. The error is `WouldBlock` if nothing is.
    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_io(Interest::READABLE, |pipe| {
            Ok(rustix::io::read(pipe, buffer)?)
        })
    }

    /// As [`Self::try_read`], also if [`Self::readable`] has not noticed it.
    pub(crate) fn read_last(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(self.0.get_ref(), buffer)?)
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        // Both do nothing for a process that was reaped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
