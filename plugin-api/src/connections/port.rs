//! Whether a server could listen at an address, without disturbing one that does.

use std::{
    collections::{BTreeSet, HashSet},
    env, fs, io,
    net::{SocketAddr, TcpListener},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// State of a socket in `/proc/net/tcp` that listens.
const LISTENS: &str = "0A";

/// A socket that listens at a port.
#[derive(Debug, PartialEq, Eq)]
struct PortUser {
    port: u16,
    inode: u64,
}

/// The environment variable by which the process of an exporter knows the ports of the host. It
/// cannot see what other processes have.
pub const PORTS_VARIABLE: &str = "DELFIN_HOST_PORTS";

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
        Err(error)
            if error.kind() == io::ErrorKind::AddrInUse
                && (was_our_port(address.port()) || own_ports().contains(&address.port())) =>
        {
            Ok(())
        }
        bound => bound.map(drop),
    }
}

/// The ports at which only processes of this program listen.
#[must_use]
pub fn own_ports() -> BTreeSet<u16> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(fs::read_to_string);
    let users: Vec<PortUser> = tables
        .iter()
        .flatten()
        .flat_map(|table| port_users(table))
        .collect();
    let sockets = sockets_of_program();
    let (own, others): (Vec<_>, Vec<_>) = users
        .into_iter()
        .partition(|user| sockets.contains(&user.inode));
    let mut ports: BTreeSet<u16> = own.iter().map(|user| user.port).collect();
    for user in others {
        ports.remove(&user.port);
    }
    ports
}

/// Whether the port was one of [`own_ports`] for the host when it started this process.
fn was_our_port(port: u16) -> bool {
    let ports = env::var(PORTS_VARIABLE).unwrap_or_default();
    ports.split(',').any(|known| known.parse() == Ok(port))
}

/// The sockets of a table of the kernel that listen.
fn port_users(table: &str) -> impl Iterator<Item = PortUser> {
    table.lines().skip(1).filter_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (_, port) = fields.nth(1)?.rsplit_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        let listens = fields.nth(1)? == LISTENS;
        let inode = fields.nth(5)?.parse().ok()?;
        listens.then_some(PortUser { port, inode })
    })
}

/// The sockets of all processes of this user that run the program of this one.
fn sockets_of_program() -> HashSet<u64> {
    let own = Path::new("/proc/self");
    let uid = fs::metadata(own).map(|metadata| metadata.uid()).ok();
    let program = program_of(own);
    let Ok(processes) = fs::read_dir("/proc") else {
        return HashSet::new();
    };
    let folders = processes.flatten().map(|process| process.path());
    let is_own = |folder: &PathBuf| {
        let owner = fs::metadata(folder).map(|metadata| metadata.uid()).ok();
        owner == uid && program.is_some() && program_of(folder) == program
    };
    folders
        .filter(is_own)
        .flat_map(|folder| sockets_of(&folder))
        .collect()
}

/// The sockets that a process has open.
fn sockets_of(process: &Path) -> Vec<u64> {
    let descriptors = fs::read_dir(process.join("fd"))
        .into_iter()
        .flatten()
        .flatten();
    let targets = descriptors.filter_map(|descriptor| fs::read_link(descriptor.path()).ok());
    let inode = |target: PathBuf| {
        let text = target.to_str()?.strip_prefix("socket:[")?;
        text.strip_suffix(']')?.parse().ok()
    };
    targets.filter_map(inode).collect()
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
    fn sockets_that_listen_are_found_in_the_table_of_the_kernel() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:2443 00000000:0000 0A 00000000:00000000 00:00000000 00000000   998        0 1504 1 0 100 0 0 10 0
   1: 0100007F:2443 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 1505 1 0 100 0 0 10 0
   2: 0100007F:2444 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1506 1 0 100 0 0 10 0
";
        let users: Vec<PortUser> = port_users(table).collect();
        let wanted = [(0x2443, 1504), (0x2444, 1506)].map(|(port, inode)| PortUser { port, inode });
        assert_eq!(users, wanted);
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
