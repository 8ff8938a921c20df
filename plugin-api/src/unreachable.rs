//! Says why a receiver cannot be reached, with the remedy: the same sentences for every exporter,
//! also for one whose client library connects by itself.

use std::io::{self, ErrorKind};

/// The name of the receiver's host has no address.
pub const HOST_UNKNOWN: &str =
    "the host name is unknown (check the name, and the DNS of this machine)";

/// No connection within the time for it.
pub const NOT_IN_TIME: &str =
    "cannot connect in time (check the address, and firewalls on the way)";

/// The receiver's system refuses the connection.
pub const REFUSED: &str = "connection refused (start the receiver, or check its address and port)";

/// No network leads to the receiver.
pub const NO_ROUTE: &str =
    "the host cannot be reached (check the address, and the network of this machine)";

/// Why no connection could be opened, if an error of the system, or one that is the cause of an
/// error of a client library, tells it.
#[must_use]
pub fn reason_of(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    let error = io_error_of(error)?;
    match error.kind() {
        ErrorKind::ConnectionRefused => Some(REFUSED),
        ErrorKind::TimedOut => Some(NOT_IN_TIME),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Some(NO_ROUTE),
        _ if is_lookup_failure(error) => Some(HOST_UNKNOWN),
        _ => None,
    }
}

/// The error of the system that is an error of a client library, or one of its causes.
#[must_use]
pub fn io_error_of<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e io::Error> {
    std::iter::successors(Some(error), |error| error.source())
        .find_map(|error| error.downcast_ref())
}

/// Whether the resolver of the system has failed: its errors have neither a kind nor a number.
fn is_lookup_failure(error: &io::Error) -> bool {
    error.raw_os_error().is_none()
        && error
            .to_string()
            .starts_with("failed to lookup address information")
}

/// The same, or the text of the error.
#[cfg(any(feature = "http-client", feature = "stream"))]
pub(crate) fn reason(error: &io::Error) -> String {
    reason_of(error).map_or_else(|| error.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_a_connection_from_opening_has_a_remedy() {
        #[derive(Debug, thiserror::Error)]
        #[error("library")]
        struct LibraryError(#[source] io::Error);

        for kind in [
            ErrorKind::ConnectionRefused,
            ErrorKind::TimedOut,
            ErrorKind::HostUnreachable,
            ErrorKind::NetworkUnreachable,
        ] {
            let text = reason_of(&LibraryError(kind.into())).unwrap_or_default();
            assert!(text.ends_with(')') && text.contains(" ("), "{kind}: {text}");
        }
        let unknown = std::net::ToSocketAddrs::to_socket_addrs(&("host.invalid", 80));
        assert_eq!(reason_of(&unknown.unwrap_err()), Some(HOST_UNKNOWN));
        let other = io::Error::other("odd");
        assert_eq!(reason_of(&LibraryError(other)), None);
    }
}
