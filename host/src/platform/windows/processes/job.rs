//! Jobs: a process with all that it starts, and their limits.

#![expect(unsafe_code, reason = "the standard library has no jobs")]

use std::{
    fmt, io, mem,
    os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle, RawHandle},
    ptr,
};

use windows_sys::Win32::System::{
    JobObjects::{
        AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
        JOB_OBJECT_LIMIT_PROCESS_MEMORY, JOBOBJECT_EXTENDED_LIMIT_INFORMATION,
        JobObjectExtendedLimitInformation, SetInformationJobObject, TerminateJobObject,
    },
    Threading::GetCurrentProcess,
};

use crate::platform::ConfineArgs;

/// The exit code of a process that is ended.
const KILLED: u32 = 1;

/// What is in the job ends with its last handle.
#[derive(Debug)]
pub(super) struct Job(OwnedHandle);

impl Job {
    /// A job whose processes have so many bytes of memory each.
    pub(super) fn new(memory: Option<u64>) -> io::Result<Self> {
        // SAFETY: both pointers may be null.
        let job = unsafe { CreateJobObjectW(ptr::null(), ptr::null()) };
        if job.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the handle was just opened, and no one else owns it.
        let job = Self(unsafe { OwnedHandle::from_raw_handle(job) });
        let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
        limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
        if let Some(memory) = memory {
            limits.BasicLimitInformation.LimitFlags |= JOB_OBJECT_LIMIT_PROCESS_MEMORY;
            limits.ProcessMemoryLimit = usize::try_from(memory).unwrap_or(usize::MAX);
        }
        // SAFETY: the handle is open, and the structure is of this class.
        let set = unsafe {
            SetInformationJobObject(
                job.0.as_raw_handle(),
                JobObjectExtendedLimitInformation,
                (&raw const limits).cast(),
                size_of_val(&limits) as u32,
            )
        };
        check(set)?;
        Ok(job)
    }

    pub(super) fn add(&self, process: RawHandle) -> io::Result<()> {
        // SAFETY: callers pass an open handle.
        check(unsafe { AssignProcessToJobObject(self.0.as_raw_handle(), process) })
    }

    /// Ends all that is in the job.
    pub(super) fn end(&self) {
        // SAFETY: the handle is open. It fails only if nothing is in the job.
        unsafe { TerminateJobObject(self.0.as_raw_handle(), KILLED) };
    }
}

/// Limits this process. `warn` gets what the system cannot do.
///
/// # Errors
///
/// A limit cannot be set.
pub(crate) fn confine(args: &ConfineArgs, warn: fn(&fmt::Arguments<'_>)) -> io::Result<()> {
    if args.open_files.is_some() {
        warn(&format_args!(
            "this system has no limit of open files for `open_files`"
        ));
    }
    if args.memory.is_some() {
        let job = Job::new(args.memory)?;
        // SAFETY: the handle means this process, and needs no closing.
        job.add(unsafe { GetCurrentProcess() })?;
        // Until the end of the process.
        mem::forget(job);
    }
    Ok(())
}

fn check(result: i32) -> io::Result<()> {
    match result {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
