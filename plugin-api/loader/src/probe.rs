//! Probes a library in a child process before the host opens it.
//!
//! The constructors of a library run when it is opened, before the host can call
//! anything in it. A constructor that crashes, ends the process or never returns would
//! take the host with it. So the host starts itself as a child process, which opens the
//! library. The result is stored next to the copy in the plugin cache, so that a file is
//! probed once. A constructor that does not return in time is tried a second time, and not
//! recorded: a suspended machine or a slow disk looks the same.

use std::{
    ffi::OsString,
    fs,
    io::{self, Write},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use delfin_plugin_abi::VERSION;
use rustix::process::Signal;

use crate::{cache::CacheFolder, error::Reason, inspect::inspect, library};

/// The last line of the child process, if it has survived opening the library. An exit
/// code is not enough: a constructor may call `exit(0)`.
const SURVIVED: &str = "delfin-probe: survived";

/// The start of the line before, if the library cannot be opened.
const REFUSED: &str = "delfin-probe: refused: ";

/// The name of the file with the result of the probe.
const RECORD: &str = "probe.result";

/// How a library is probed before it is opened for the first time.
#[derive(Debug, Clone)]
pub enum Probe {
    /// No probe: for the test kit, which opens plugins of the author.
    None,
    /// A program that passes its last argument to [`probe`].
    Command {
        /// The program.
        program: PathBuf,
        /// The arguments before the path of the library.
        args: Vec<OsString>,
        /// The longest time that opening may take.
        timeout: Duration,
    },
}

impl Probe {
    /// The default timeout.
    pub const TIMEOUT: Duration = Duration::from_secs(10);

    /// A probe by a program with these arguments before the path of the library, and with
    /// the default timeout.
    pub fn command<A: Into<OsString>>(
        program: impl Into<PathBuf>,
        args: impl IntoIterator<Item = A>,
    ) -> Self {
        Self::Command {
            program: program.into(),
            args: args.into_iter().map(Into::into).collect(),
            timeout: Self::TIMEOUT,
        }
    }
}

/// The part of the child process: opens the library at `path`, prints the result, and
/// returns the exit code.
#[must_use]
pub fn probe(path: &Path) -> ExitCode {
    let opened = inspect(path).map_err(|error| error.reason);
    let opened = opened.and_then(|plugin| {
        library::load(path, &plugin.manifest.abi).map_err(|reason| plugin.explain(reason))
    });
    // An error is a result as well: the probe has to find out that opening ends.
    let line = match opened {
        Ok(_) => format!("{SURVIVED}\n"),
        Err(reason) => format!("\n{REFUSED}{reason}\n{SURVIVED}\n"),
    };
    match io::stdout().write_all(line.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// How the child process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ProbeResult {
    Survived,
    /// Opening ended with an error. It is not stored: its cause may be outside the file.
    Refused(String),
    Crashed(i32),
    Exited(i32),
}

/// How often a library that does not open in time is tried.
const ATTEMPTS: u32 = 2;

/// Probes a copy in the plugin cache, unless the folder has a result already.
pub(crate) fn run_probe(probe: &Probe, folder: &CacheFolder, copy: &Path) -> Result<(), Reason> {
    let Probe::Command {
        program,
        args,
        timeout,
    } = probe
    else {
        return Ok(());
    };
    let record = folder.file(RECORD);
    let result = match read_result(&record) {
        Some(result) => result,
        None => {
            let attempt = || {
                let mut command = Command::new(program);
                command.args(args).arg(copy);
                run(command, *timeout, folder).transpose()
            };
            let result = (0..ATTEMPTS).find_map(|_| attempt());
            let result = result.unwrap_or(Err(Reason::ConstructorHangs { timeout: *timeout }))?;
            if let Some(word) = stored_form(&result) {
                write_result(folder, &word)?;
            }
            result
        }
    };
    match result {
        ProbeResult::Survived => Ok(()),
        ProbeResult::Refused(reason) => Err(Reason::Refused { reason }),
        ProbeResult::Crashed(signal) => Err(Reason::ConstructorCrashed {
            signal: signal_name(signal),
            record,
        }),
        ProbeResult::Exited(code) => Err(Reason::ConstructorExited { code, record }),
    }
}

/// Returns `None` if the child does not end in time.
fn run(
    mut command: Command,
    timeout: Duration,
    folder: &CacheFolder,
) -> Result<Option<ProbeResult>, Reason> {
    let failed = |error: io::Error| Reason::ProbeFailed {
        error: error.to_string(),
    };
    // The output goes to a file, not to a pipe: a constructor that fills a pipe would
    // hang, because the host reads only after the child has ended.
    let (path, output) = folder.temporary(0o600).map_err(failed)?;
    command.stdin(Stdio::null()).stderr(Stdio::null());
    command.stdout(output);
    let ended = command.spawn().and_then(|child| wait(child, timeout));
    let output = fs::read(&path).unwrap_or_default();
    let _ = fs::remove_file(&path);
    let Some(status) = ended.map_err(failed)? else {
        return Ok(None);
    };
    result_of(status, String::from_utf8_lossy(&output).trim_end()).map(Some)
}

/// Waits for the child. Kills it after `timeout` and returns `None`.
fn wait(mut child: Child, timeout: Duration) -> io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(2));
    }
}

fn result_of(status: ExitStatus, output: &str) -> Result<ProbeResult, Reason> {
    let ended_from_outside = [Signal::KILL, Signal::TERM, Signal::INT, Signal::HUP];
    match (status.signal(), status.code()) {
        // These signals come from outside: a shutdown, or the kernel is out of memory.
        (Some(signal), _) if ended_from_outside.iter().any(|s| s.as_raw() == signal) => {
            Err(Reason::ProbeFailed {
                error: format!("{} ended the child process", signal_name(signal)),
            })
        }
        (Some(signal), _) => Ok(ProbeResult::Crashed(signal)),
        (None, Some(0)) if output.ends_with(SURVIVED) => Ok(refusal(output)),
        (None, code) => Ok(ProbeResult::Exited(code.unwrap_or_default())),
    }
}

/// The result of a child that has survived. The library may have printed lines before.
fn refusal(output: &str) -> ProbeResult {
    let lines = output.lines().rev().nth(1);
    let reason = lines.and_then(|line| line.strip_prefix(REFUSED));
    reason.map_or(ProbeResult::Survived, |reason| {
        ProbeResult::Refused(reason.to_owned())
    })
}

/// The first line of the record. A result is valid for one version of the loader and of
/// the interface, because another one may run more of the plugin's code.
fn heading() -> String {
    format!(
        "delfin-plugin-loader {}, interface {VERSION}",
        env!("CARGO_PKG_VERSION")
    )
}

fn read_result(record: &Path) -> Option<ProbeResult> {
    let text = fs::read_to_string(record).ok()?;
    let line = text.strip_prefix(&heading())?.trim();
    match line.split_once(' ') {
        None if line == "survived" => Some(ProbeResult::Survived),
        Some(("crashed", signal)) => Some(ProbeResult::Crashed(signal.parse().ok()?)),
        Some(("exited", code)) => Some(ProbeResult::Exited(code.parse().ok()?)),
        _ => None,
    }
}

/// The result as the record has it; `None` if it is not stored.
fn stored_form(result: &ProbeResult) -> Option<String> {
    match result {
        ProbeResult::Survived => Some("survived".to_owned()),
        ProbeResult::Refused(_) => None,
        ProbeResult::Crashed(signal) => Some(format!("crashed {signal}")),
        ProbeResult::Exited(code) => Some(format!("exited {code}")),
    }
}

fn write_result(folder: &CacheFolder, line: &str) -> Result<(), Reason> {
    let text = format!("{}\n{line}\n", heading());
    let written = folder.write(RECORD, text.as_bytes(), 0o600);
    written.map_err(|error| Reason::CacheUnusable {
        to: folder.file(RECORD),
        error: error.to_string(),
    })
}

/// The name of a signal, or its number.
#[must_use]
pub fn signal_name(signal: i32) -> String {
    let names = [
        (Signal::SEGV, "SIGSEGV"),
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::ILL, "SIGILL"),
        (Signal::KILL, "SIGKILL"),
        (Signal::TERM, "SIGTERM"),
        (Signal::INT, "SIGINT"),
        (Signal::HUP, "SIGHUP"),
        (Signal::TRAP, "SIGTRAP"),
        (Signal::SYS, "SIGSYS"),
    ];
    let known = names.iter().find(|(known, _)| known.as_raw() == signal);
    known.map_or_else(
        || format!("signal {signal}"),
        |(_, name)| (*name).to_owned(),
    )
}
