//! This machine, and what processes use of it.

#![expect(unsafe_code, reason = "the standard library has no such functions")]

use std::{
    io,
    os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle, RawHandle},
    ptr,
    sync::OnceLock,
    time::{Duration, Instant},
};

use windows_sys::Win32::{
    Foundation::{ERROR_SUCCESS, FILETIME, STILL_ACTIVE},
    System::{
        ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS},
        Registry::{HKEY_LOCAL_MACHINE, RRF_RT_REG_SZ, RegGetValueW},
        SystemInformation::{
            ComputerNamePhysicalDnsHostname, GetComputerNameExW, GlobalMemoryStatusEx,
            MEMORYSTATUSEX,
        },
        Threading::{
            GetCurrentProcess, GetCurrentThread, GetExitCodeProcess, GetProcessHandleCount,
            GetProcessTimes, GetSystemTimes, GetThreadTimes, OpenProcess,
            PROCESS_QUERY_LIMITED_INFORMATION,
        },
    },
};

use super::files::{check, wide};
use crate::platform::machine::{OwnUsage, ResourceUsage};

/// The vendor of the driver for the machine that the host runs on, if it has one.
pub(crate) const OWN_VENDOR: Option<&str> = Some("windows");

/// The name of this machine.
pub(crate) fn machine_name() -> String {
    let mut name = [0_u16; 256];
    let mut length = 256;
    // SAFETY: the buffer has so many characters.
    let read = unsafe {
        GetComputerNameExW(
            ComputerNamePhysicalDnsHostname,
            name.as_mut_ptr(),
            &raw mut length,
        )
    };
    let length = if read == 0 { 0 } else { length as usize };
    String::from_utf16_lossy(name.get(..length).unwrap_or_default())
}

/// A clock that cannot be set, and that goes on while the machine is suspended, as the performance counter does.
pub(crate) fn running_time() -> Duration {
    static STARTED: OnceLock<Instant> = OnceLock::new();
    STARTED.get_or_init(Instant::now).elapsed()
}

/// `None`: Windows has no such id.
pub(crate) const fn boot_id() -> Option<String> {
    None
}

/// Time of a processor that this thread has used.
pub(crate) fn thread_processor_time() -> Duration {
    let [mut created, mut ended, mut kernel, mut user] = [FILETIME::default(); 4];
    // SAFETY: the handle means this thread, and the structures are written.
    let read = unsafe {
        GetThreadTimes(
            GetCurrentThread(),
            &raw mut created,
            &raw mut ended,
            &raw mut kernel,
            &raw mut user,
        )
    };
    match read {
        0 => Duration::ZERO,
        _ => duration(kernel) + duration(user),
    }
}

/// # Errors
///
/// The system does not tell.
pub(crate) fn own_usage() -> io::Result<OwnUsage> {
    // SAFETY: the handle means this process, and needs no closing.
    let process = unsafe { GetCurrentProcess() };
    let mut open_files = 0;
    // SAFETY: the handle is valid, and the number is written.
    check(unsafe { GetProcessHandleCount(process, &raw mut open_files) })?;
    Ok(OwnUsage {
        used: used(process)?,
        threads: None,
        open_files: open_files.into(),
    })
}

/// What a process uses; `None` if it has ended.
pub(crate) fn usage_of(pid: u32) -> Option<ResourceUsage> {
    // SAFETY: the call has no preconditions.
    let process = unsafe { OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, 0, pid) };
    if process.is_null() {
        return None;
    }
    // SAFETY: the handle was just opened, and no one else owns it.
    let process = unsafe { OwnedHandle::from_raw_handle(process) };
    let mut code = 0;
    // SAFETY: the handle is open, and the number is written.
    let read = unsafe { GetExitCodeProcess(process.as_raw_handle(), &raw mut code) };
    if read == 0 || code != STILL_ACTIVE.cast_unsigned() {
        return None;
    }
    used(process.as_raw_handle()).ok()
}

fn used(process: RawHandle) -> io::Result<ResourceUsage> {
    let mut memory = PROCESS_MEMORY_COUNTERS::default();
    let size = size_of_val(&memory) as u32;
    // SAFETY: the handle is valid, and the structure of this size is written.
    check(unsafe { K32GetProcessMemoryInfo(process, &raw mut memory, size) })?;
    let [mut created, mut ended, mut kernel, mut user] = [FILETIME::default(); 4];
    // SAFETY: the handle is valid, and the structures are written.
    let read = unsafe {
        GetProcessTimes(
            process,
            &raw mut created,
            &raw mut ended,
            &raw mut kernel,
            &raw mut user,
        )
    };
    check(read)?;
    Ok(ResourceUsage {
        resident_bytes: memory.WorkingSetSize as u64,
        cpu_seconds: (duration(kernel) + duration(user)).as_secs_f64(),
    })
}

/// A time in units of 100 nanoseconds.
fn duration(time: FILETIME) -> Duration {
    let units = u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime);
    Duration::from_nanos(units.saturating_mul(100))
}

/// Time of all processors since the system was started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProcessorTimes {
    pub(crate) busy: Duration,
    pub(crate) idle: Duration,
}

/// # Errors
///
/// The system does not tell.
pub(crate) fn processor_times() -> io::Result<ProcessorTimes> {
    let [mut idle, mut kernel, mut user] = [FILETIME::default(); 3];
    // SAFETY: the structures are written.
    check(unsafe { GetSystemTimes(&raw mut idle, &raw mut kernel, &raw mut user) })?;
    let idle = duration(idle);
    Ok(ProcessorTimes {
        // The time of the kernel has the idle time in it.
        busy: (duration(kernel) + duration(user)).saturating_sub(idle),
        idle,
    })
}

/// The memory of this machine, in bytes; `None` if the system does not tell.
pub(crate) fn memory_bytes() -> Option<u64> {
    let mut memory = MEMORYSTATUSEX {
        dwLength: size_of::<MEMORYSTATUSEX>() as u32,
        ..MEMORYSTATUSEX::default()
    };
    // SAFETY: the structure has its length, and is written.
    let read = unsafe { GlobalMemoryStatusEx(&raw mut memory) };
    (read != 0).then_some(memory.ullTotalPhys)
}

/// A text of the registry, below the settings of the machine. `None`: it does not exist, or is empty.
pub(crate) fn registry_text(key: &str, value: &str) -> Option<String> {
    let (key, value) = (wide(key.as_ref()), wide(value.as_ref()));
    let mut text = [0_u16; 256];
    let mut bytes = size_of_val(&text) as u32;
    // SAFETY: key and value end with 0, and the buffer has so many bytes.
    let read = unsafe {
        RegGetValueW(
            HKEY_LOCAL_MACHINE,
            key.as_ptr(),
            value.as_ptr(),
            RRF_RT_REG_SZ,
            ptr::null_mut(),
            text.as_mut_ptr().cast(),
            &raw mut bytes,
        )
    };
    if read != ERROR_SUCCESS {
        return None;
    }
    let text = text.split(|character| *character == 0).next()?;
    let text = String::from_utf16_lossy(text).trim().to_owned();
    Some(text).filter(|text| !text.is_empty())
}
