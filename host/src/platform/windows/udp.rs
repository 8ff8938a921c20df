//! UDP sockets: the receive buffer. The system does not tell what it has dropped.

#![expect(unsafe_code, reason = "the standard library has no such functions")]

use std::{io, net::UdpSocket, os::windows::io::AsRawSocket};

use windows_sys::Win32::Networking::WinSock::{
    SO_RCVBUF, SOCKET, SOL_SOCKET, getsockopt, setsockopt,
};

/// Asks for a receive buffer of so many bytes. Returns how many there are.
pub(crate) fn set_receive_buffer(socket: &UdpSocket, wanted: usize) -> io::Result<usize> {
    let socket = socket.as_raw_socket() as SOCKET;
    let wanted = i32::try_from(wanted).unwrap_or(i32::MAX);
    let mut size = size_of_val(&wanted) as i32;
    let value = (&raw const wanted).cast();
    // SAFETY: the socket is open, and the value has this size.
    check(unsafe { setsockopt(socket, SOL_SOCKET, SO_RCVBUF, value, size) })?;
    let mut got = 0_i32;
    let value = (&raw mut got).cast();
    // SAFETY: the socket is open, and the value of this size is written.
    check(unsafe { getsockopt(socket, SOL_SOCKET, SO_RCVBUF, value, &raw mut size) })?;
    Ok(usize::try_from(got).unwrap_or_default())
}

fn check(result: i32) -> io::Result<()> {
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Would read how many datagrams the system has dropped.
#[derive(Clone, Copy, Debug)]
pub struct DropCounter;

impl DropCounter {
    pub(crate) const fn of(_: &UdpSocket) -> io::Result<Self> {
        Ok(Self)
    }

    /// `None`: the system does not tell.
    #[must_use]
    pub const fn dropped(self) -> Option<u64> {
        None
    }
}
