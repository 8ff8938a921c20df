//! What the host has handed over to this process.

#![expect(unsafe_code, reason = "a socket is handed over by the system")]

use std::{
    ffi::OsString,
    io::{self, Read},
    mem::MaybeUninit,
    net::TcpStream,
    os::windows::{ffi::OsStringExt, io::FromRawSocket},
    path::PathBuf,
    ptr,
};

use delfin_plugin_protocol::FrameSocket;
use windows_sys::Win32::Networking::WinSock::{
    FROM_PROTOCOL_INFO, INVALID_SOCKET, WSA_FLAG_NO_HANDLE_INHERIT, WSA_FLAG_OVERLAPPED, WSADATA,
    WSAPROTOCOL_INFOW, WSASocketW, WSAStartup,
};

use crate::platform::ProgramStart;

const WINSOCK_VERSION: u16 = 0x0202;

/// What the host has passed.
pub(crate) struct HostConnections {
    pub(crate) socket: FrameSocket,
    pub(crate) library: InheritedLibrary,
}

/// The library that the process opens.
#[derive(Debug)]
pub(crate) struct InheritedLibrary(PathBuf);

impl InheritedLibrary {
    pub(crate) fn path(&self) -> PathBuf {
        self.0.clone()
    }
}

/// Takes what the host has written to standard input.
///
/// # Errors
///
/// The process was not started by a host.
pub(crate) fn take_host_connections() -> io::Result<HostConnections> {
    let mut bytes = Vec::new();
    io::stdin().read_to_end(&mut bytes)?;
    let info = bytes.split_at_checked(size_of::<WSAPROTOCOL_INFOW>());
    let (info, path) = info.ok_or_else(|| io::Error::other("standard input is no connection"))?;
    let path: Vec<u16> = path
        .chunks_exact(2)
        .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
        .collect();
    Ok(HostConnections {
        socket: open(info)?,
        library: InheritedLibrary(OsString::from_wide(&path).into()),
    })
}

fn open(bytes: &[u8]) -> io::Result<FrameSocket> {
    let mut data = WSADATA::default();
    // SAFETY: the structure is written.
    let started = unsafe { WSAStartup(WINSOCK_VERSION, &raw mut data) };
    if started != 0 {
        return Err(io::Error::from_raw_os_error(started));
    }
    let mut info = MaybeUninit::<WSAPROTOCOL_INFOW>::zeroed();
    // SAFETY: callers pass as many bytes as the structure has, which is plain numbers.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), info.as_mut_ptr().cast(), bytes.len()) };
    let any = FROM_PROTOCOL_INFO;
    let flags = WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT;
    // SAFETY: the structure is that of the host for this process.
    let socket = unsafe { WSASocketW(any, any, any, info.as_ptr(), 0, flags) };
    if socket == INVALID_SOCKET {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the socket was just opened, and no one else owns it.
    let socket = unsafe { TcpStream::from_raw_socket(socket as u64) };
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// # Errors
///
/// Always: a process cannot become another program.
pub(crate) fn check_host_connection() -> io::Result<()> {
    Err(unsupported())
}

/// As [`check_host_connection`].
pub(crate) fn become_program(_: &ProgramStart) -> io::Error {
    unsupported()
}

/// Whether the process can have no further handle: there is no such limit.
pub(crate) const fn are_descriptors_used_up() -> bool {
    false
}

fn unsupported() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "plugins that are programs do not run on this system yet",
    )
}
