//! Where a database listens.

use delfin_plugin_api::postgres::tokio_postgres::config::Host;

/// The name or the address of a host; `None` for a socket of this machine.
pub(crate) fn tcp_name(host: &Host) -> Option<&str> {
    match host {
        Host::Tcp(name) => Some(name),
        Host::Unix(_) => None,
    }
}
