//! Limits the process before it runs code of the plugin.

use std::{ffi::CString, fmt, fs, io};

use landlock::{Ruleset, RulesetAttr, RulesetError, Scope};
use rustix::process::{
    Pid, Resource, Rlimit, Signal, getpid, getppid, getrlimit, set_child_subreaper,
    set_parent_process_death_signal, setrlimit,
};

use super::ignored_signals;
use crate::platform::ConfineArgs;

/// What is added to the host's score for a lack of memory, and the most that the kernel
/// takes.
const OOM_SCORE: i32 = 300;
const MAX_OOM_SCORE: i32 = 1000;

/// Ties the process to the host, takes away the way to new privileges, and sets its limits. `warn`
/// gets what the system cannot do.
///
/// # Errors
///
/// The host has ended, or a limit cannot be set.
pub(crate) fn confine(args: &ConfineArgs, warn: fn(&fmt::Arguments<'_>)) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // The host may have ended before the line above.
    if getppid() != Pid::from_raw(args.parent) {
        return Err(io::Error::other("the host has ended"));
    }
    ignored_signals::restore_all();
    // What it leaves behind stays below it while it lives, and then goes to the host.
    set_child_subreaper(Some(getpid()))?;
    // If the machine runs out of memory, the kernel should not choose the host.
    if let Err(error) = prefer_for_oom_kill() {
        warn(&format_args!(
            "cannot set the score for a lack of memory: {error}"
        ));
    }
    rustix::thread::set_no_new_privs(true)?;
    if let Err(error) = separate() {
        warn(&format_args!(
            "cannot separate the process from the host: {error}"
        ));
    }
    // Tools show this name. Linux keeps 15 bytes of it.
    if let Ok(name) = CString::new(args.name.as_str()) {
        rustix::thread::set_name(&name)?;
    }
    // Of the memory, what is the process's own: neither files nor shared batches.
    limit(Resource::Data, args.memory)?;
    limit(Resource::Nofile, args.open_files)
}

/// From now on, the process and its children can signal and trace only each other. A system that
/// cannot do this, as Linux before 6.12, changes nothing.
fn separate() -> Result<(), RulesetError> {
    let ruleset = Ruleset::default().scope(Scope::Signal)?;
    ruleset.create()?.restrict_self()?;
    Ok(())
}

fn prefer_for_oom_kill() -> io::Result<()> {
    const FILE: &str = "/proc/self/oom_score_adj";
    let own: i32 = fs::read_to_string(FILE)?.trim().parse().unwrap_or(0);
    fs::write(FILE, (own + OOM_SCORE).min(MAX_OOM_SCORE).to_string())
}

/// Sets a limit, unless the one of the host is lower.
fn limit(resource: Resource, limit: Option<u64>) -> io::Result<()> {
    let Some(limit) = limit else { return Ok(()) };
    let most = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    let limit = Some(limit.min(most));
    setrlimit(
        resource,
        Rlimit {
            current: limit,
            maximum: limit,
        },
    )?;
    Ok(())
}
