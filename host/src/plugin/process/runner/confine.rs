//! Limits the process before it opens the library.

use std::{ffi::CString, io};

use rustix::process::{
    Pid, Resource, Rlimit, Signal, getppid, getrlimit, set_parent_process_death_signal, setrlimit,
};

use super::RunnerArgs;

/// Ties the process to the host, takes away the way to new privileges, and sets its limits.
pub(super) fn confine(args: &RunnerArgs) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // The host may have ended before the line above.
    if getppid() != Pid::from_raw(args.parent) {
        return Err(io::Error::other("the host has ended"));
    }
    rustix::thread::set_no_new_privs(true)?;
    // Tools show this name. Linux keeps 15 bytes of it.
    if let Ok(name) = CString::new(args.name.as_str()) {
        rustix::thread::set_name(&name)?;
    }
    // Of the memory, what is the process's own: neither files nor shared batches.
    limit(Resource::Data, args.memory)?;
    limit(Resource::Nofile, args.open_files)
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
