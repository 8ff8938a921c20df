//! Whether a server could listen at an address, without disturbing one that does.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// State of a socket in `/proc/net/tcp` that listens.
const LISTENS: &str = "0A";

/// A socket that listens at a port.
#[derive(Debug, PartialEq, Eq)]
struct PortUser {
    uid: u32,
    inode: u64,
}

/// Checks whether a server could listen at `address`, as
/// [`Exporter::check`](crate::Exporter::check) may: opens the port and closes it at once.
/// A port that the host or one of its exporters has counts as free, because a reload closes the
/// old instance before it starts the new one. Where `/proc` does not say which program has a port
/// in use, it counts as taken.
///
/// # Errors
///
/// Another program has the port, or the system refuses it.
pub fn check_port(address: SocketAddr) -> io::Result<()> {
    match TcpListener::bind(address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_our_port(address.port()) => {
            Ok(())
        }
        bound => bound.map(drop),
    }
}

/// Whether processes of this program have the port.
fn is_our_port(port: u16) -> bool {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(fs::read_to_string);
    let users: Vec<PortUser> = tables
        .iter()
        .flatten()
        .flat_map(|table| port_users(table, port))
        .collect();
    let program = program_of(Path::new("/proc/self"));
    !users.is_empty() && program.is_some_and(|program| users.iter().all(|user| user.runs(&program)))
}

/// The sockets of a table of the kernel that listen at `port`.
fn port_users(table: &str, port: u16) -> impl Iterator<Item = PortUser> {
    table.lines().skip(1).filter_map(move |line| {
        let mut fields = line.split_ascii_whitespace();
        let (_, local_port) = fields.nth(1)?.rsplit_once(':')?;
        let listens = fields.nth(1)? == LISTENS;
        let uid = fields.nth(3)?.parse().ok()?;
        let inode = fields.nth(1)?.parse().ok()?;
        let is_user = listens && u16::from_str_radix(local_port, 16) == Ok(port);
        is_user.then_some(PortUser { uid, inode })
    })
}

impl PortUser {
    /// Whether the process that has the socket runs `program`.
    fn runs(&self, program: &Path) -> bool {
        let socket = format!("socket:[{}]", self.inode);
        let Ok(processes) = fs::read_dir("/proc") else {
            return false;
        };
        processes.flatten().any(|process| {
            let folder = process.path();
            let is_owner = fs::metadata(&folder).is_ok_and(|metadata| metadata.uid() == self.uid);
            is_owner
                && program_of(&folder).as_deref() == Some(program)
                && fs::read_dir(folder.join("fd")).is_ok_and(|descriptors| {
                    descriptors.flatten().any(|descriptor| {
                        fs::read_link(descriptor.path()).is_ok_and(|it| it.as_os_str() == &*socket)
                    })
                })
        })
    }
}

/// The program of a process, also if its file was replaced by a new version.
fn program_of(process: &Path) -> Option<PathBuf> {
    let program = fs::read_link(process.join("exe")).ok()?;
    let text = program.to_str()?;
    Some(text.strip_suffix(" (deleted)").unwrap_or(text).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        os::fd::OwnedFd,
        process::{Command, Stdio},
    };

    #[test]
    fn sockets_that_listen_at_a_port_are_found_in_the_table_of_the_kernel() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:2443 00000000:0000 0A 00000000:00000000 00:00000000 00000000   998        0 1504 1 0 100 0 0 10 0
   1: 0100007F:2443 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 1505 1 0 100 0 0 10 0
   2: 0100007F:2444 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1506 1 0 100 0 0 10 0
";
        let users: Vec<PortUser> = port_users(table, 0x2443).collect();
        let wanted = PortUser {
            uid: 998,
            inode: 1504,
        };
        assert_eq!(users, [wanted]);
    }

    #[test]
    fn a_port_is_free_for_the_program_that_has_it_and_for_no_other() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        check_port(address).unwrap();
        let any = SocketAddr::from(([0, 0, 0, 0], address.port()));
        check_port(any).unwrap();

        // Another program has the socket until its input ends.
        let mut other = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::from(OwnedFd::from(listener)))
            .spawn()
            .unwrap();
        let refused =
            [address, any].map(|address| check_port(address).map_err(|error| error.kind()));
        assert_eq!(refused, [Err(io::ErrorKind::AddrInUse); 2]);
        drop(other.stdin.take());
        other.wait().unwrap();
        check_port(address).unwrap();
    }
}
