//! Where a database listens.

use delfin_plugin_api::postgres::tokio_postgres::config::Host;

/// The name or the address of a host; `None` for the path of a socket, which the library takes for a name.
pub(crate) fn tcp_name(host: &Host) -> Option<&str> {
    let Host::Tcp(name) = host;
    (!name.starts_with('/')).then_some(name)
}
