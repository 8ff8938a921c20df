//! The address of a receiver: a host and a port.

use std::{
    fmt,
    io::{self, ErrorKind},
    net::{SocketAddr, ToSocketAddrs},
    sync::mpsc,
    thread,
    time::Instant,
};

use serde_json::Value;

use super::time_left;
use crate::{
    Failure,
    credentials::warn_of_plain_credentials,
    setting::Mistakes,
    unreachable::{self, HOST_UNKNOWN},
};

/// A host, which is a name or an IP address, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
}

impl Address {
    /// Reads the required setting `key`: `host`, `host:port` or `[IPv6 address]:port`.
    pub fn read(
        key: &str,
        value: Option<Value>,
        default_port: u16,
        mistakes: &mut Mistakes,
    ) -> Option<Self> {
        let remedy =
            format!("write a host and a port, such as `receiver.example.com:{default_port}`");
        if value.is_none() {
            mistakes.missing(key, &remedy);
        }
        let read = |value: &Value| Self::parse(value.as_str()?, default_port);
        mistakes.read(key, value, read, &remedy)
    }

    fn parse(text: &str, default_port: u16) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']')?;
                host.parse::<std::net::Ipv6Addr>().ok()?;
                (
                    host,
                    rest.strip_prefix(':').or(rest.is_empty().then_some(""))?,
                )
            }
            // More than one colon: an IPv6 address without a port.
            None if text.matches(':').count() > 1 => {
                text.parse::<std::net::Ipv6Addr>().ok()?;
                (text, "")
            }
            None => text.split_once(':').unwrap_or((text, "")),
        };
        let is_host = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
        let port = match port {
            "" if text.ends_with(':') => return None,
            "" => default_port,
            port => port.parse().ok().filter(|&port| port > 0)?,
        };
        (!host.is_empty() && host.chars().all(is_host)).then(|| Self {
            host: host.to_owned(),
            port,
        })
    }

    /// The IP addresses of the host. The resolver of the system knows no time limit, so
    /// it runs on a thread of its own, which ends by itself.
    ///
    /// # Errors
    ///
    /// The name is unknown, or there is no answer before the deadline.
    pub fn resolve(&self, deadline: Instant) -> io::Result<Vec<SocketAddr>> {
        let (sender, receiver) = mpsc::channel();
        let (host, port) = (self.host.clone(), self.port);
        thread::Builder::new()
            .name("resolve".to_owned())
            .spawn(move || {
                let found = (host.as_str(), port).to_socket_addrs();
                // The caller may have stopped waiting.
                let _ = sender.send(found.map(Vec::from_iter));
            })?;
        let found = receiver.recv_timeout(time_left(deadline)?);
        // The error of the resolver has no kind, and the names of its causes help few.
        let unknown = |_| io::Error::new(ErrorKind::NotFound, HOST_UNKNOWN);
        match found {
            Ok(found) => found.map_err(unknown),
            Err(_) => Err(ErrorKind::TimedOut.into()),
        }
    }

    /// The IP addresses of the host, as [`resolve`](Self::resolve) finds them.
    ///
    /// # Errors
    ///
    /// [`Failure::Retry`]: nothing was sent.
    pub fn look_up(&self, deadline: Instant) -> Result<Vec<SocketAddr>, Failure> {
        let found = self.resolve(deadline);
        found.map_err(|error| {
            let reason = unreachable::reason(&error);
            Failure::retry(format!("`{self}`: {reason}"))
        })
    }

    /// Logs a warning that credentials are sent to this address without TLS, unless it is one of
    /// this machine. `remedy` says what to set.
    pub fn warn_of_plain_credentials(&self, remedy: &str) {
        warn_of_plain_credentials(&self.to_string(), remedy);
    }

    /// The name or the IP address.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') {
            return write!(f, "[{host}]:{port}");
        }
        write!(f, "{host}:{port}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_with_and_without_a_port_is_read() {
        let check = |text: &str, shown: Option<&str>| {
            let address = Address::parse(text, 514);
            assert_eq!(
                address.map(|address| address.to_string()).as_deref(),
                shown,
                "{text}"
            );
        };
        check("log.example.com", Some("log.example.com:514"));
        check("log.example.com:6514", Some("log.example.com:6514"));
        check("192.0.2.7:1", Some("192.0.2.7:1"));
        check("2001:db8::7", Some("[2001:db8::7]:514"));
        check("[2001:db8::7]", Some("[2001:db8::7]:514"));
        check("[::1]:65535", Some("[::1]:65535"));
        for bad in [
            "", ":", ":514", "a:", "a:0", "a:65536", "a:b", "a b", "[::1", "[::1]x", "[a]:1",
            "tcp://a", "u@a", "a/b",
        ] {
            check(bad, None);
        }
    }
}
