//! Starts the process of an exporter.
//!
//! Promises: no code runs between the start of the process and its `exec`, so that the
//! start is safe and quick however large the host is. The process does the rest itself,
//! before it opens the library: see `runner/confine.rs`.

use std::{
    env,
    ffi::OsString,
    io,
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::CommandExt},
    },
    path::Path,
    process::{Child, Command},
    sync::Arc,
};

use delfin_plugin_api::connections::{PORTS_VARIABLE, own_ports};
use delfin_plugin_loader::{PluginProgram, PreparedCommand, ProgramTransport};
use rustix::{
    fs::{OFlags, fcntl_setfl},
    pipe::{PipeFlags, pipe_with},
    process::{Pid, PidfdFlags, pidfd_open},
};

use super::{
    EXPORTER_COMMAND, PROGRAM_COMMAND, ProcessRole, ProcessSource, THIS_BINARY, starter::on_starter,
};

/// Variables that the process gets from the host's environment. Others may have secrets.
const ENVIRONMENT: [&str; 12] = [
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "RUST_BACKTRACE",
    "KRB5_CONFIG",
];

/// Variables that the process always gets. The folder of a plugin must not change while it runs.
const FIXED_ENVIRONMENT: [(&str, &str); 1] = [("PYTHONDONTWRITEBYTECODE", "1")];

/// A process, and the host's ends of its connections.
pub(super) struct Spawned {
    pub(super) child: Child,
    pub(super) pid: Pid,
    /// Readable once the process has ended.
    pub(super) pidfd: Arc<OwnedFd>,
    pub(super) socket: Arc<OwnedFd>,
}

impl Spawned {
    pub(super) fn number(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Spawned {
    /// A process that no one supervises any more must not go on.
    fn drop(&mut self) {
        // Both do nothing for a process that was reaped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns also the pipe that has what the process writes to standard output and standard
/// error; reading it does not block.
///
/// # Errors
///
/// The system cannot start a process, or the program of the plugin has changed.
pub(super) async fn spawn(
    source: &Arc<ProcessSource>,
    exporter: &str,
) -> io::Result<(Spawned, OwnedFd)> {
    let (source, exporter) = (Arc::clone(source), exporter.to_owned());
    on_starter(move || spawn_here(&source, &exporter)).await
}

/// The ports that an exporter on trial may find in use, because it takes them over.
fn ports_of_host() -> String {
    let ports: Vec<String> = own_ports().iter().map(u16::to_string).collect();
    ports.join(",")
}

fn spawn_here(source: &ProcessSource, exporter: &str) -> io::Result<(Spawned, OwnedFd)> {
    let (host_end, process_end) = UnixStream::pair()?;
    let (output, process_output) = pipe_with(PipeFlags::CLOEXEC)?;
    fcntl_setfl(&output, OFlags::NONBLOCK)?;
    let mut command = Command::new(THIS_BINARY);
    let process_stdout = match source.plugin.program() {
        PluginProgram::Library(library) => {
            command
                .arg(EXPORTER_COMMAND)
                .args(arguments(source, exporter));
            let interface = &source.plugin.inspection().manifest.abi;
            command.arg(format!("--interface={interface}"));
            command.args((source.role == ProcessRole::Driver).then_some("--driver"));
            library.file().try_clone()?.into()
        }
        PluginProgram::Command(program) => {
            program.check_unchanged().map_err(io::Error::other)?;
            command
                .arg(PROGRAM_COMMAND)
                .args(arguments(source, exporter));
            command.args(program_arguments(program));
            process_output.try_clone()?
        }
    };
    command
        .arg0("delfin-host")
        .env_clear()
        .envs(FIXED_ENVIRONMENT)
        .envs(
            ENVIRONMENT
                .iter()
                .filter_map(|name| Some((name, env::var_os(name)?))),
        )
        .process_group(0)
        // The three standard descriptors are the only ones that a process gets without
        // code between its start and its `exec`: the connection is standard input, and
        // the library is standard output until the process has taken it from there.
        .stdin(OwnedFd::from(process_end))
        .stdout(process_stdout)
        .stderr(process_output);
    if source.role == ProcessRole::ExporterOnTrial {
        command.env(PORTS_VARIABLE, ports_of_host());
    }
    let mut child = command.spawn()?;
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
        socket: Arc::new(host_end.into()),
    };
    Ok((spawned, output))
}

fn arguments(source: &ProcessSource, exporter: &str) -> Vec<String> {
    let mut arguments = vec![
        exporter.to_owned(),
        format!("--parent={}", std::process::id()),
    ];
    let limits = [
        ("memory", source.limits.memory),
        ("open-files", source.limits.open_files),
    ];
    for (name, limit) in limits {
        arguments.extend(limit.map(|limit| format!("--{name}={limit}")));
    }
    arguments
}

fn program_arguments(program: &PreparedCommand) -> Vec<OsString> {
    let path = |name: &str, path: &Path| {
        let mut argument = OsString::from(name);
        argument.push(path);
        argument
    };
    let mut arguments = vec![
        path("--folder=", program.folder()),
        path("--program=", &program.program),
    ];
    if program.command.transport == ProgramTransport::Stdio {
        arguments.push("--stdio".into());
    }
    arguments.push("--".into());
    arguments.extend(program.command.words.iter().map(OsString::from));
    arguments
}
