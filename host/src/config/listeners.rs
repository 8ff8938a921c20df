//! Refuses two listeners at one address: only the first could listen.

use std::net::SocketAddr;

use super::{Config, read::Section};

pub(super) fn refuse_shared_addresses(root: &mut Section<'_>, config: &Config) {
    let syslog = &config.syslog;
    let tcp = [
        ("api", "listen", Some(config.api.listen)),
        ("metrics", "listen", config.metrics.listen),
        ("syslog", "listen_tcp", syslog.listen_tcp),
        ("syslog", "listen_tls", syslog.listen_tls),
    ];
    let udp = [
        ("traps", "listen", config.traps.listen),
        ("syslog", "listen_udp", syslog.listen_udp),
    ];
    for listeners in [&tcp[..], &udp] {
        for (index, (section, key, address)) in listeners.iter().enumerate() {
            let before = listeners[..index].iter();
            let mut before = before.filter(|(_, _, other)| overlap(*address, *other));
            if let Some((other_section, other_key, _)) = before.next() {
                let message = format!(
                    "is the address of `{other_section}.{other_key}` too (set another port)"
                );
                root.take_section(section).fail(key, &message);
            }
        }
    }
}

/// Whether a listener at one address gets what is sent to the other one.
fn overlap(a: Option<SocketAddr>, b: Option<SocketAddr>) -> bool {
    let (Some(a), Some(b)) = (a, b) else {
        return false;
    };
    let is_any = a.ip().is_unspecified() || b.ip().is_unspecified();
    let is_same_ip = a.ip() == b.ip() || is_any && a.is_ipv4() == b.is_ipv4();
    // The system chooses a port for 0.
    a.port() == b.port() && a.port() != 0 && is_same_ip
}
