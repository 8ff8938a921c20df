//! The ports of this program, by the tables of the kernel in `/proc`.

use std::{
    collections::{BTreeSet, HashSet},
    fs,
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

/// The ports at which only processes of this program listen.
pub(crate) fn own_ports() -> BTreeSet<u16> {
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
}
