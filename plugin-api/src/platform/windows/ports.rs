//! The ports of this program, by the tables of the system.

#![expect(unsafe_code, reason = "the standard library has no such functions")]

use std::{
    collections::BTreeSet,
    ffi::OsString,
    os::windows::{
        ffi::OsStringExt,
        io::{AsRawHandle, FromRawHandle, OwnedHandle},
    },
    ptr, slice,
};

use windows_sys::Win32::{
    Foundation::NO_ERROR,
    NetworkManagement::IpHelper::{
        GetExtendedTcpTable, MIB_TCP6ROW_OWNER_PID, MIB_TCPROW_OWNER_PID,
        TCP_TABLE_OWNER_PID_LISTENER,
    },
    Networking::WinSock::{AF_INET, AF_INET6},
    System::Threading::{
        OpenProcess, PROCESS_NAME_WIN32, PROCESS_QUERY_LIMITED_INFORMATION,
        QueryFullProcessImageNameW,
    },
};

/// Attempts: between the question for the size and that for the table, it can grow.
const ATTEMPTS: u32 = 8;

/// The longest path that the system knows, in characters.
const MAX_PATH_LENGTH: u32 = 32_767;

/// The ports at which only processes of this program listen. A process that this one may not ask for its program is
/// another.
pub(crate) fn own_ports() -> BTreeSet<u16> {
    let rows = rows(AF_INET, |row: &MIB_TCPROW_OWNER_PID| {
        (row.dwLocalPort, row.dwOwningPid)
    });
    let rows_6 = self::rows(AF_INET6, |row: &MIB_TCP6ROW_OWNER_PID| {
        (row.dwLocalPort, row.dwOwningPid)
    });
    let users: Vec<(u16, u32)> = rows.into_iter().chain(rows_6).collect();
    let processes = users.iter().map(|(_, pid)| *pid).collect();
    let processes = processes_of_program(processes);
    let (mine, others): (Vec<_>, Vec<_>) = users
        .into_iter()
        .partition(|(_, pid)| processes.contains(pid));
    let mut ports: BTreeSet<u16> = mine.into_iter().map(|(port, _)| port).collect();
    for (port, _) in others {
        ports.remove(&port);
    }
    ports
}

/// Those of the processes that run the program of this one.
fn processes_of_program(mut processes: BTreeSet<u32>) -> BTreeSet<u32> {
    let own = program_of(std::process::id());
    processes.retain(|pid| own.is_some() && program_of(*pid) == own);
    processes
}

/// The path of the program that a process runs.
fn program_of(pid: u32) -> Option<OsString> {
    // SAFETY: the call has no preconditions.
    let process = unsafe { OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, 0, pid) };
    if process.is_null() {
        return None;
    }
    // SAFETY: the handle was just opened, and no one else owns it.
    let process = unsafe { OwnedHandle::from_raw_handle(process) };
    let mut path = vec![0_u16; MAX_PATH_LENGTH as usize];
    let mut length = MAX_PATH_LENGTH;
    // SAFETY: the handle is open, and the buffer has so many characters.
    let read = unsafe {
        QueryFullProcessImageNameW(
            process.as_raw_handle(),
            PROCESS_NAME_WIN32,
            path.as_mut_ptr(),
            &raw mut length,
        )
    };
    let path = path.get(..length as usize).filter(|_| read != 0);
    path.map(OsString::from_wide)
}

/// The port and the process of each row of a table.
fn rows<Row>(family: u16, read: impl Fn(&Row) -> (u32, u32)) -> Vec<(u16, u32)> {
    // Of 8-byte words: a table is a number, and rows of 4-byte numbers.
    let mut table: Vec<u64> = Vec::new();
    for _ in 0..ATTEMPTS {
        let mut size = size_of_val(&*table) as u32;
        let buffer = match table.is_empty() {
            true => ptr::null_mut(),
            false => table.as_mut_ptr().cast(),
        };
        // SAFETY: the buffer has so many writable bytes, and the size is written.
        let result = unsafe {
            GetExtendedTcpTable(
                buffer,
                &raw mut size,
                0,
                family.into(),
                TCP_TABLE_OWNER_PID_LISTENER,
                0,
            )
        };
        if result == NO_ERROR && !table.is_empty() {
            let start = table.as_ptr().cast::<u32>();
            // SAFETY: the table begins with the number of its rows.
            let count = unsafe { *start } as usize;
            // SAFETY: the rows follow the number, and have the alignment of one.
            let rows = unsafe { slice::from_raw_parts(start.add(1).cast::<Row>(), count) };
            let parts = rows.iter().map(read);
            // The lower half, in the order of the network.
            return parts
                .map(|(port, pid)| (u16::from_be(port as u16), pid))
                .collect();
        }
        table.resize(size as usize / size_of::<u64>() + 1, 0);
    }
    Vec::new()
}
