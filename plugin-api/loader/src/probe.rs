//! Tries a library in a process of its own before the host opens it.
//!
//! A library's constructors run when it is opened, before any of it can be
//! called: one that crashes, ends the process or never returns would take the
//! host with it. So the host starts itself as a child, which opens the library;
//! what became of the child is remembered beside the copy, per content.

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

use crate::{cache::Shelf, inspect::inspect, library, refusal::Reason};

/// What a child process says last when it is still there after opening.
const SURVIVED: &str = "delfin-probe: survived";

/// The file beside a copy that remembers what became of the child.
const RECORD: &str = "probe.verdict";

/// How a library is tried before it is opened for the first time.
#[derive(Debug, Clone)]
pub enum Probe {
    /// It is not tried: for test kits, whose plugins are the author's own.
    None,
    /// By a program that hands its last argument to [`probe`].
    Command {
        /// The program.
        program: PathBuf,
        /// What comes before the path of the library.
        args: Vec<OsString>,
        /// How long opening may take.
        timeout: Duration,
    },
}

impl Probe {
    /// How long opening may take, unless said otherwise.
    pub const TIMEOUT: Duration = Duration::from_secs(10);

    /// By that program, with these arguments before the path of the library.
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

/// The child's part: opens the library at `path`, says how that went in one
/// line, and returns what to exit with.
#[must_use]
pub fn probe(path: &Path) -> ExitCode {
    let opened = inspect(path).and_then(|plugin| {
        library::load(path, &plugin.manifest.abi).map_err(|reason| reason.of(path))
    });
    // A refusal is an answer too: what matters is that opening came to an end.
    let line = match opened {
        Ok(_) => format!("{SURVIVED}\n"),
        Err(refusal) => format!("{refusal}\n{SURVIVED}\n"),
    };
    match io::stdout().write_all(line.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// What became of a child.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Survived,
    Crashed(i32),
    Exited(i32),
    Hangs,
}

/// Tries the copy on that shelf, unless that was done before.
pub(crate) fn try_out(probe: &Probe, shelf: &Shelf, copy: &Path) -> Result<(), Reason> {
    let Probe::Command {
        program,
        args,
        timeout,
    } = probe
    else {
        return Ok(());
    };
    let record = shelf.file(RECORD);
    let verdict = match remembered(&record) {
        Some(verdict) => verdict,
        None => {
            let mut command = Command::new(program);
            command.args(args).arg(copy);
            let verdict = run(command, *timeout, shelf)?;
            remember(shelf, &verdict)?;
            verdict
        }
    };
    match verdict {
        Verdict::Survived => Ok(()),
        Verdict::Crashed(signal) => Err(Reason::ConstructorCrashed {
            signal: signal_name(signal),
            record,
        }),
        Verdict::Exited(code) => Err(Reason::ConstructorExited { code, record }),
        Verdict::Hangs => Err(Reason::ConstructorHangs { record }),
    }
}

fn run(mut command: Command, timeout: Duration, shelf: &Shelf) -> Result<Verdict, Reason> {
    let failed = |error: io::Error| Reason::ProbeFailed {
        error: error.to_string(),
    };
    // A file, not a pipe: whoever fills a pipe that nobody empties would hang.
    let (path, output) = shelf.temporary(0o600).map_err(failed)?;
    command.stdin(Stdio::null()).stderr(Stdio::null());
    command.stdout(output);
    let ended = command.spawn().and_then(|child| wait(child, timeout));
    let said = fs::read(&path).unwrap_or_default();
    let _ = fs::remove_file(&path);
    let Some(status) = ended.map_err(failed)? else {
        return Ok(Verdict::Hangs);
    };
    verdict(status, String::from_utf8_lossy(&said).trim_end())
}

/// Waits for the child, and ends it where that takes too long.
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

fn verdict(status: ExitStatus, said: &str) -> Result<Verdict, Reason> {
    let ended_from_outside = [Signal::KILL, Signal::TERM, Signal::INT, Signal::HUP];
    match (status.signal(), status.code()) {
        // Not the plugin's doing: a shutdown, or the kernel short of memory.
        (Some(signal), _) if ended_from_outside.iter().any(|s| s.as_raw() == signal) => {
            Err(Reason::ProbeFailed {
                error: format!("the trial was ended by {}", signal_name(signal)),
            })
        }
        (Some(signal), _) => Ok(Verdict::Crashed(signal)),
        (None, Some(0)) if said.ends_with(SURVIVED) => Ok(Verdict::Survived),
        (None, code) => Ok(Verdict::Exited(code.unwrap_or_default())),
    }
}

/// A verdict holds for one interface version: another host may go further.
fn heading() -> String {
    format!(
        "delfin-plugin-loader {}, interface {VERSION}",
        env!("CARGO_PKG_VERSION")
    )
}

fn remembered(record: &Path) -> Option<Verdict> {
    let text = fs::read_to_string(record).ok()?;
    let line = text.strip_prefix(&heading())?.trim();
    match line.split_once(' ') {
        None if line == "survived" => Some(Verdict::Survived),
        None if line == "hangs" => Some(Verdict::Hangs),
        Some(("crashed", signal)) => Some(Verdict::Crashed(signal.parse().ok()?)),
        Some(("exited", code)) => Some(Verdict::Exited(code.parse().ok()?)),
        _ => None,
    }
}

fn remember(shelf: &Shelf, verdict: &Verdict) -> Result<(), Reason> {
    let line = match verdict {
        Verdict::Survived => "survived".to_owned(),
        Verdict::Hangs => "hangs".to_owned(),
        Verdict::Crashed(signal) => format!("crashed {signal}"),
        Verdict::Exited(code) => format!("exited {code}"),
    };
    let text = format!("{}\n{line}\n", heading());
    let written = shelf.write(RECORD, text.as_bytes(), 0o600);
    written.map_err(|error| Reason::CacheUnusable {
        to: shelf.file(RECORD),
        error: error.to_string(),
    })
}

fn signal_name(signal: i32) -> String {
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
