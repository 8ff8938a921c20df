//! A process that this one has started.
//!
//! Promises: the process and all that it starts are in a job, which ends with the host.

#![expect(
    unsafe_code,
    reason = "a socket is handed over to a process by the system"
)]

use std::{
    env,
    fs::OpenOptions,
    io::{self, Write},
    mem::MaybeUninit,
    os::windows::{
        ffi::OsStrExt,
        io::{AsHandle, AsRawHandle, AsRawSocket, OwnedHandle},
        process::CommandExt,
    },
    process::{Child, Command, ExitStatus, Stdio},
    slice,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use delfin_plugin_protocol::{FrameSocket, socket_pair};
use tokio::{
    io::Interest,
    net::{
        TcpStream,
        windows::named_pipe::{NamedPipeServer, ServerOptions},
    },
    sync::watch,
    task::spawn_blocking,
};
use windows_sys::Win32::{
    Networking::WinSock::{SOCKET, WSADuplicateSocketW, WSAPROTOCOL_INFOW},
    System::Threading::{
        CREATE_NEW_PROCESS_GROUP, CREATE_NO_WINDOW, INFINITE, WaitForSingleObject,
    },
};

use super::job::Job;
use crate::platform::ProcessCommand;

/// A process, and the host's ends of its connections.
pub(crate) struct StartedProcess {
    pub(crate) process: ChildProcess,
    pub(crate) socket: FrameSocket,
    pub(crate) output: OutputPipe,
}

/// Ended when it is dropped: a process that no one supervises any more must not go on.
pub(crate) struct ChildProcess {
    child: Child,
    job: Job,
    ended: watch::Receiver<bool>,
}

/// What a process writes to standard output and standard error.
pub(crate) struct OutputPipe(NamedPipeServer);

/// A socket that a task waits for.
pub(crate) struct WatchedSocket(TcpStream);

impl StartedProcess {
    /// Starts a process. `command` is called where it may block.
    ///
    /// # Errors
    ///
    /// Of `command`, or the system cannot start a process.
    pub(crate) async fn start(
        command: impl FnOnce() -> io::Result<ProcessCommand> + Send + 'static,
    ) -> io::Result<Self> {
        let (output, writer) = OutputPipe::new().await?;
        let started = spawn_blocking(move || spawn(&command()?, writer)).await;
        let (process, socket) = started.map_err(io::Error::other)??;
        Ok(Self {
            process,
            socket,
            output,
        })
    }
}

fn spawn(command: &ProcessCommand, output: OwnedHandle) -> io::Result<(ChildProcess, FrameSocket)> {
    let (host_end, process_end) = socket_pair()?;
    let job = Job::new(None)?;
    let mut child = Command::new(env::current_exe()?)
        .args(&command.arguments)
        .env_clear()
        .envs(
            command
                .environment
                .iter()
                .map(|(name, value)| (name, value)),
        )
        .stdin(Stdio::piped())
        .stdout(output.try_clone()?)
        .stderr(output)
        .creation_flags(CREATE_NO_WINDOW | CREATE_NEW_PROCESS_GROUP)
        .spawn()?;
    // Until it has got its connection, the process runs no code of a plugin and starts nothing.
    let prepared = job
        .add(child.as_raw_handle())
        .and_then(|()| hand_over(&process_end, command, &mut child))
        .and_then(|()| watch_end(&child));
    match prepared {
        Ok(ended) => Ok((ChildProcess { child, job, ended }, host_end)),
        Err(error) => {
            let _ = child.kill();
            let _ = child.wait();
            Err(error)
        }
    }
}

/// Writes to standard input of the process how it opens the connection, and the path of the library.
fn hand_over(socket: &FrameSocket, command: &ProcessCommand, child: &mut Child) -> io::Result<()> {
    let mut info = MaybeUninit::<WSAPROTOCOL_INFOW>::zeroed();
    // SAFETY: the socket is open, and the structure is written.
    let shared = unsafe {
        WSADuplicateSocketW(
            socket.as_raw_socket() as SOCKET,
            child.id(),
            info.as_mut_ptr(),
        )
    };
    if shared != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the structure is plain numbers without padding, and was zeroed before.
    let info = unsafe {
        slice::from_raw_parts(info.as_ptr().cast::<u8>(), size_of::<WSAPROTOCOL_INFOW>())
    };
    let path = command
        .library
        .iter()
        .flat_map(|library| library.path().as_os_str().encode_wide());
    let path: Vec<u8> = path.flat_map(u16::to_le_bytes).collect();
    let mut stdin = child
        .stdin
        .take()
        .ok_or_else(|| io::Error::other("no pipe"))?;
    stdin.write_all(info)?;
    stdin.write_all(&path)
}

/// Waits for the end of the process, in a thread.
fn watch_end(child: &Child) -> io::Result<watch::Receiver<bool>> {
    let process = child.as_handle().try_clone_to_owned()?;
    let (end, ended) = watch::channel(false);
    thread::Builder::new().spawn(move || {
        // SAFETY: the handle is open.
        unsafe { WaitForSingleObject(process.as_raw_handle(), INFINITE) };
        // No one may wait any more.
        let _ = end.send(true);
    })?;
    Ok(ended)
}

impl ChildProcess {
    pub(crate) fn number(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the process has ended.
    pub(crate) async fn ended(&self) {
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
    }

    /// Nothing: a process without a console cannot be asked to end. It is ended a second later.
    #[expect(clippy::unused_self, reason = "as on systems with signals")]
    pub(crate) const fn terminate(&self) {}

    /// Ends the process and all that it has started. Returns at once.
    pub(crate) fn kill(&self) {
        self.job.end();
    }

    /// Ends what a process that has ended has left.
    pub(crate) fn kill_group(&self) {
        self.job.end();
    }

    /// How the process has ended.
    ///
    /// # Errors
    ///
    /// The system does not tell.
    pub(crate) fn reap(&mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }
}

impl OutputPipe {
    /// A pipe, and its end for a process.
    async fn new() -> io::Result<(Self, OwnedHandle)> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!(r"\\.\pipe\delfin-host-{}-{number}", std::process::id());
        let server = ServerOptions::new()
            .access_outbound(false)
            .first_pipe_instance(true)
            .max_instances(1)
            .create(&name)?;
        let writer = OpenOptions::new().write(true).open(&name)?;
        // Both ends are connected. Without this call, the runtime does not begin to read.
        server.connect().await?;
        Ok((Self(server), writer.into()))
    }

    /// Waits until the process has written something. An error is found by the next read.
    pub(crate) async fn readable(&self) {
        let _ = self.0.readable().await;
    }

    /// Reads what is there. The error is `WouldBlock` if nothing is.
    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }

    /// As [`Self::try_read`].
    pub(crate) fn read_last(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.try_read(buffer)
    }
}

impl WatchedSocket {
    /// # Errors
    ///
    /// The system cannot watch more sockets.
    pub(crate) fn new(socket: Arc<FrameSocket>, _: Interest) -> io::Result<Self> {
        TcpStream::from_std(socket.try_clone()?).map(Self)
    }

    /// Waits until something can be read. An error is found by the next read.
    pub(crate) async fn readable(&self) {
        let _ = self.0.readable().await;
    }

    /// Waits until something can be written.
    pub(crate) async fn writable(&self) {
        let _ = self.0.writable().await;
    }

    /// Reads or writes. After the error `WouldBlock`, the next wait is for something new.
    pub(crate) fn try_io<T>(
        &self,
        interest: Interest,
        io: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        self.0.try_io(interest, io)
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        self.job.end();
    }
}
