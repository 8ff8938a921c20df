//! Whether a server could listen at an address, without disturbing one that does.

use std::{
    collections::BTreeSet,
    env, io,
    net::{SocketAddr, TcpListener},
};

use crate::platform;

/// The environment variable by which the process of an exporter knows the ports of the host. It
/// cannot see what other processes have.
pub const PORTS_VARIABLE: &str = "DELFIN_HOST_PORTS";

/// Checks whether a server could listen at `address`, as
/// [`Exporter::check`](crate::Exporter::check) may: opens the port and closes it at once.
/// A port that the host or one of its exporters has counts as free, because a reload closes the
/// old instance before it starts the new one. Where the system does not say which program has a
/// port in use, it counts as taken.
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
    platform::own_ports()
}

/// Whether the port was one of [`own_ports`] for the host when it started this process.
fn was_our_port(port: u16) -> bool {
    let ports = env::var(PORTS_VARIABLE).unwrap_or_default();
    ports.split(',').any(|known| known.parse() == Ok(port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        os::fd::OwnedFd,
        process::{Command, Stdio},
    };

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
