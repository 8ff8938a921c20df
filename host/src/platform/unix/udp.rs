//! UDP sockets: the receive buffer, and what the kernel has dropped.

use std::{fs, io, net::UdpSocket};

use rustix::net::sockopt;

/// Asks for a receive buffer of so many bytes. Returns how many there are.
pub(crate) fn set_receive_buffer(socket: &UdpSocket, wanted: usize) -> io::Result<usize> {
    // Beyond the limit of the system only with a privilege.
    if sockopt::set_socket_recv_buffer_size_force(socket, wanted).is_err() {
        sockopt::set_socket_recv_buffer_size(socket, wanted)?;
    }
    // The kernel reports twice of what it has set.
    Ok(sockopt::socket_recv_buffer_size(socket)? / 2)
}

/// Reads how many datagrams the kernel has dropped, because they came faster than they were
/// read.
#[derive(Clone, Copy, Debug)]
pub struct DropCounter {
    inode: u64,
}

impl DropCounter {
    pub(crate) fn of(socket: &UdpSocket) -> io::Result<Self> {
        Ok(Self {
            inode: rustix::fs::fstat(socket)?.st_ino,
        })
    }

    /// `None` if the kernel does not tell.
    #[must_use]
    pub fn dropped(self) -> Option<u64> {
        ["/proc/self/net/udp", "/proc/self/net/udp6"]
            .iter()
            .find_map(|path| drops_of(&fs::read_to_string(path).ok()?, self.inode))
    }
}

/// The last column of the line of a socket. The tenth column is its inode.
fn drops_of(table: &str, inode: u64) -> Option<u64> {
    let inode = inode.to_string();
    let mut lines = table.lines().map(str::split_whitespace);
    let mut line = lines.find(|columns| columns.clone().nth(9) == Some(&inode))?;
    line.next_back()?.parse().ok()
}
