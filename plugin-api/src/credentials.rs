//! Warns of credentials that are sent unencrypted: one sentence for every exporter.

use std::net::IpAddr;

/// Logs a warning that credentials are sent without TLS, unless the receiver is this machine.
/// `receiver` is a URL that shows no secret, or a host with or without a port; `remedy` says what to
/// set.
pub fn warn_of_plain_credentials(receiver: &str, remedy: &str) {
    if !is_this_machine(receiver) {
        log::warn!(receiver; "credentials are sent unencrypted to another machine ({remedy})");
    }
}

/// Whether a receiver is this machine, by its address or the name `localhost`. `receiver` is a URL, or a host with or without a port.
#[must_use]
pub fn is_this_machine(receiver: &str) -> bool {
    let authority = receiver
        .split_once("://")
        .map_or(receiver, |(_, rest)| rest);
    let authority = authority.split(['/', '?']).next().unwrap_or_default();
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        Some(_) | None => authority,
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let address = host.parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_on_this_machine_is_known_by_its_address() {
        for (receiver, is_here) in [
            ("http://example.com", false),
            ("http://example.com:80/localhost", false),
            ("http://192.0.2.1", false),
            ("db.example.com:5432", false),
            ("[2001:db8::7]:6379", false),
            ("http://localhost:1", true),
            ("http://127.0.0.9/a", true),
            ("http://[::1]:1/a", true),
            ("http://[::ffff:127.0.0.1]", true),
            ("LOCALHOST:1883", true),
            ("127.0.0.1", true),
        ] {
            assert_eq!(is_this_machine(receiver), is_here, "{receiver}");
        }
    }
}
